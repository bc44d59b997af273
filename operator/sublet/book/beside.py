"""What a bound claim asks for beside the nodes that it has, and which leases it may have that on. Pure."""

from collections.abc import Mapping
from dataclasses import replace

from sublet.api.gpuclaim import Allocation, GpuClaim
from sublet.api.gpuclass import GpuClass
from sublet.api.ids import LeaseUID
from sublet.api.times import Millis
from sublet.book.demand import Demand, Rules
from sublet.book.spread import may_join
from sublet.book.standing import Standing, Standings
from sublet.book.supply import LeaseSupply

Supplies = Mapping[LeaseUID, LeaseSupply]


def asked_anew(
    claim: GpuClaim,
    allocation: Allocation,
    offer: GpuClass,
    own_ms: Millis,
    rules: Rules,
    now_ms: Millis,
) -> Demand | None:
    """Return what a bound claim asks for from now on, on the terms it has; None if its tenant is gone."""
    found = rules.promised(claim, allocation)
    if found is None:
        return None
    return replace(
        found,
        products=frozenset(offer.spec.products),
        begin_ms=now_ms,
        start_ms=now_ms,
        asked_until_ms=None,
        latest_ms=own_ms,
        is_ahead=False,
        memory_mib=offer.spec.requires.memory_mi_b or 0,
        in_domain=offer.spec.requires.nvlink_domain,
    )


def open_beside(demand: Demand, allocation: Allocation, supplies: Supplies) -> list[LeaseSupply]:
    """Return the leases that serve a demand and that may join those of an allocation."""
    mine = leases_of(allocation, supplies)
    found = Standings(demand, supplies.values()).of(Standing.OPEN)
    return [s for s in found if all(s is m or may_join(s, m) for m in mine)]


def leases_of(allocation: Allocation, supplies: Supplies) -> list[LeaseSupply]:
    """Return the leases of an allocation that are there."""
    uids = sorted(allocation.lease_uids)
    return [supplies[LeaseUID(u)] for u in uids if LeaseUID(u) in supplies]
