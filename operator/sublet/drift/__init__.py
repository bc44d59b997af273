"""What of ours is not as we left it: found, put back, or said, and what is nobody's any more.

Looks and repairs; which GPUs a claim has is decided by the book alone.
"""
