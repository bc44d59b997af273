"""What holds up the deletion of a lease, in words for its condition InUse: claims by name, what they left, nodes. Pure."""

from collections.abc import Iterable
from typing import Final

from sublet.api.claim_status import allocation_of
from sublet.api.common import Status
from sublet.api.gpuclaim import GpuClaim
from sublet.api.gpulease import GpuLease
from sublet.api.move_status import all_nodes
from sublet.api.wording import how_many
from sublet.book.holdings import holds

_NAMES_SHOWN: Final = 10

Found = tuple[Status, str, str]
"""(status, reason, message)"""


def in_use(using: int) -> Found:
    """Return what is said of an object that so many claims use."""
    if using:
        return (
            Status.TRUE,
            "Claims",
            f"{how_many(using, 'claim', 'holds', 'hold')} it; it can be deleted when none does",
        )
    return Status.FALSE, "NoClaims", "no claim holds it"


def lease_in_use(
    lease: GpuLease,
    using: int,
    claims: Iterable[GpuClaim],
    *,
    has_nodes: bool,
    unread: Iterable[str] = (),
) -> Found:
    """Return what is said of a lease; names are counted out only while somebody waits for its deletion.

    `unread`: names of claims that hold something of it and can't be read.
    """
    if lease.metadata.deletion_timestamp is None:
        return in_use(using)
    if using:
        return (
            Status.TRUE,
            "Claims",
            (
                f"{how_many(using, 'claim', 'holds', 'hold')} it: {_named(lease, claims, unread)}; it goes when none does: let them end with the lease "
                "(term.endTime), or declare it `lost` if its cluster won't come back"
            ),
        )
    if has_nodes and (left := lease.status.left_claims):
        return (
            Status.TRUE,
            "Leftovers",
            f"what {how_many(left, 'claim')} left in its cluster by a person's word has not been seen gone",
        )
    if has_nodes:
        return (
            Status.TRUE,
            "Nodes",
            "its nodes are handed back when its cluster answers; declare it `lost` if it won't come back",
        )
    return in_use(0)


def _named(lease: GpuLease, claims: Iterable[GpuClaim], unread: Iterable[str]) -> str:
    known = (c.metadata.key for c in claims if holds(c) and _stands_on(c, lease))
    names = sorted({*known, *unread})
    more = len(names) - _NAMES_SHOWN
    return ", ".join(names[:_NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _stands_on(claim: GpuClaim, lease: GpuLease) -> bool:
    uids = {p.lease_uid for p in all_nodes(claim)} | allocation_of(claim).lease_uids
    return lease.metadata.uid in uids
