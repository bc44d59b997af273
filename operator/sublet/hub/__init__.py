"""The hub: what its objects say, when to plan, who leads, and what is written back to them.

kopf feeds events into `HubState` on every replica and writes nothing; the loop plans over snapshots; only the leader's
decisions reach the binder.
"""
