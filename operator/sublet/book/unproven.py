"""Isolation that was proven and isn't any more: bound claims of such a lease say so, and stay as they are.

Nothing is taken back for it, since the policies may be mended in a minute and the tenant's pods are where they were. A
lease of which nobody knows whether isolation holds, because its cluster is silent, is another matter.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

from sublet.api.common import find_condition, is_true
from sublet.api.gpuclaim import GpuClaim
from sublet.api.ids import ClaimUID, LeaseUID
from sublet.book.decisions import Degrade
from sublet.book.inventory import LeaseInventory, Reach

ISOLATION_UNPROVEN: Final = "IsolationUnproven"


def unproven(
    holders: Iterable[GpuClaim],
    decided: Collection[str],
    inventories: Mapping[LeaseUID, LeaseInventory],
) -> Iterator[Degrade]:
    """Yield what bound claims are to be told of their leases' isolation and weren't yet, or aren't to be told any more."""
    bare = {uid for uid, each in inventories.items() if each.isolation_fault}
    # a lease that isn't there, or whose isolation wasn't tried since we started, isn't mended
    proven = {
        uid
        for uid, each in inventories.items()
        if each.isolation_ready and each.reach is Reach.REACHABLE
    }
    for claim in holders:
        said = find_condition(claim.status.conditions, "Degraded")
        is_said = said is not None and said.reason == ISOLATION_UNPROVEN
        if claim.metadata.uid in decided or not (bare or is_said):
            continue
        places = _places(claim)
        aliases = sorted({alias for uid, alias in places.items() if uid in bare})
        if aliases and (said is None or (is_said and said.message != _words(aliases))):
            yield Degrade(ClaimUID(claim.metadata.uid), ISOLATION_UNPROVEN, _words(aliases))
        elif is_said and places.keys() <= proven:
            yield Degrade(ClaimUID(claim.metadata.uid), ISOLATION_UNPROVEN, "")


def _places(claim: GpuClaim) -> dict[LeaseUID, str]:
    """Return the leases of a bound claim with what tenants call them."""
    allocation = claim.status.allocation
    if allocation is None or not is_true(claim.status.conditions, "Bound"):
        return {}
    return {LeaseUID(p.lease_uid): p.lease for p in allocation.placements}


def _words(aliases: Collection[str]) -> str:
    return (
        f"the policies that keep tenants apart don't act as they should at {', '.join(aliases)}: the claim stays bound, "
        "nothing new is sold there, and the platform team should mend it"
    )
