"""Isolation that was proven and isn't any more: bound claims of such a lease say so, and stay as they are.

Nothing is taken back for it, since the policies may be mended in a minute and the tenant's pods are where they were. A
lease of which nobody knows whether isolation holds, because its cluster is silent, is another matter.
"""

from collections.abc import Collection, Mapping
from typing import Final

from sublet.api.common import find_condition, is_true
from sublet.api.gpuclaim import Allocation, GpuClaim
from sublet.api.ids import ClaimUID, LeaseUID
from sublet.book.decisions import Degrade
from sublet.book.inventory import LeaseInventory, Reach

ISOLATION_UNPROVEN: Final = "IsolationUnproven"


class Isolation:
    """The leases of one pass whose isolation is proven, and those where it is known not to hold."""

    def __init__(self, inventories: Mapping[LeaseUID, LeaseInventory]) -> None:
        self._bare = {uid for uid, each in inventories.items() if each.isolation_fault}
        # a lease that isn't there, or whose isolation wasn't tried since we started, isn't mended
        self._proven = {
            uid
            for uid, each in inventories.items()
            if each.isolation_ready and each.reach is Reach.REACHABLE
        }

    def of(self, claim: GpuClaim, allocation: Allocation) -> Degrade | None:
        """Return what a claim is to be told of its leases' isolation and wasn't yet, or isn't to be told any more."""
        said = find_condition(claim.status.conditions, "Degraded")
        is_said = said is not None and said.reason == ISOLATION_UNPROVEN
        if not (self._bare or is_said):
            return None
        places = _places(claim, allocation)
        aliases = sorted({alias for uid, alias in places.items() if uid in self._bare})
        if aliases and (said is None or (is_said and said.message != _words(aliases))):
            return Degrade(ClaimUID(claim.metadata.uid), ISOLATION_UNPROVEN, _words(aliases))
        if is_said and places.keys() <= self._proven:
            return Degrade(ClaimUID(claim.metadata.uid), ISOLATION_UNPROVEN, "")
        return None


def _places(claim: GpuClaim, allocation: Allocation) -> dict[LeaseUID, str]:
    """Return the leases of a claim with what tenants call them; none before it is bound."""
    if not is_true(claim.status.conditions, "Bound"):
        return {}
    return {LeaseUID(p.lease_uid): p.lease for p in allocation.placements}


def _words(aliases: Collection[str]) -> str:
    return (
        f"the policies that keep tenants apart don't act as they should at {', '.join(aliases)}: the claim stays bound, "
        "nothing new is sold there, and the platform team should mend it"
    )
