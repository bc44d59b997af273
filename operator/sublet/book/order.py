"""Who comes first: priority, then age, then UID so that equals are always ranked the same.

Nobody waits for the one in front: a claim that finds no place is refused and the next one is served.
"""

from sublet.api.gpuclaim import GpuClaim

Rank = tuple[int, int, str]
"""Smallest first."""


def rank(claim: GpuClaim, priority: int) -> Rank:
    """Return a claim's place in the order, by the value of its PriorityClass."""
    return (-priority, claim.metadata.creation_timestamp or 0, claim.metadata.uid)


def rank_of_holder(claim: GpuClaim) -> Rank:
    """Return the place of a claim that holds GPUs: its priority was fixed at reservation."""
    allocation = claim.status.allocation
    return rank(claim, allocation.priority if allocation is not None else 0)
