"""Surviving the loss of the hub: `backup`, `restore`, `adopt`.

Run by the platform team with its own rights on the hub. What is restored is held until a person has looked at what
each object was before and said yes.
"""
