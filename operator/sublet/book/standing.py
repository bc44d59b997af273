"""How near each lease is to serving a claim: the first hard constraint that it breaks, in a fixed order.

Constraints that no time will mend come first and passing ones last, so that the nearest lease's cause is the one that
a claim is told and it doesn't change with every hiccup.
"""

from collections.abc import Iterable
from enum import IntEnum

from sublet.book.demand import Demand
from sublet.book.supply import LeaseSupply


class Standing(IntEnum):
    """From farthest to nearest."""

    HIDDEN = 0
    """Other products, or kept from this tenant by the platform: no business of the claim."""
    OVER = 1
    """Its sellable term has ended."""
    LACKING = 2
    """Its nodes don't have what the class requires."""
    CLOSED = 3
    """It takes no new claims."""
    EXCLUDED = 4
    """The claim's own list of leases leaves it out."""
    ELSEWHERE = 5
    """In another jurisdiction or region than the claim or its tenant allows."""
    TOO_SHORT = 6
    """It ends before the claim would."""
    UNFIT = 7
    """The claim has no form on nodes of its sizes."""
    LATER = 8
    """Its term hasn't begun."""
    SILENT = 9
    """Its cluster doesn't answer."""
    UNPROVEN = 10
    """Its isolation isn't proven now."""
    OPEN = 11
    """Only capacity decides."""


class Standings:
    """The leases of one pass by their standing towards one demand."""

    def __init__(self, demand: Demand, supplies: Iterable[LeaseSupply]) -> None:
        self._memory_mib = demand.memory_mib
        self._by: dict[Standing, list[LeaseSupply]] = {}
        for supply in supplies:
            self._by.setdefault(standing_of(demand, supply), []).append(supply)

    def of(self, *standings: Standing) -> list[LeaseSupply]:
        """Return the leases of these standings."""
        return [supply for each in standings for supply in self._by.get(each, ())]

    def gpus(self, *standings: Standing) -> int:
        """Return how many GPUs the leases of these standings have; with enough memory, where any has."""
        return sum(supply.gpus_with(self._memory_mib) for supply in self.of(*standings))


def standing_of(demand: Demand, supply: LeaseSupply) -> Standing:
    """Return where a lease stands towards a demand."""
    if supply.products.isdisjoint(demand.products):
        return Standing.HIDDEN
    if not demand.tenant.spec.leases.admits(supply.alias):
        return Standing.HIDDEN
    return _refused(demand, supply) or postponed(demand, supply) or Standing.OPEN


def _refused(demand: Demand, supply: LeaseSupply) -> Standing | None:
    """Return what only a change of the claim or of the lease can mend."""
    if supply.is_over:
        return Standing.OVER
    if supply.lacks(demand.memory_mib):
        return Standing.LACKING
    if not supply.is_open:
        return Standing.CLOSED
    outside = _ruled_out(demand, supply)
    if outside is not None:
        return outside
    asked = demand.asked_until_ms
    waits_ms = max(0, supply.begins_ms - demand.start_ms)
    outlives = asked is not None and asked + waits_ms > supply.ends_ms
    if outlives or demand.start_ms >= supply.ends_ms:
        return Standing.TOO_SHORT
    return None if supply.fits(demand.claim, demand.start_ms, demand.memory_mib) else Standing.UNFIT


def _ruled_out(demand: Demand, supply: LeaseSupply) -> Standing | None:
    """Return which of the claim's own wishes for a place, or of its tenant's limits, the lease breaks."""
    wanted, law = demand.claim.spec.placement, demand.tenant.spec.jurisdictions
    where = supply.lease.spec.location
    if law and where.jurisdiction not in law:
        return Standing.ELSEWHERE
    if not wanted.leases.admits(supply.alias):
        return Standing.EXCLUDED
    if wanted.jurisdictions and where.jurisdiction not in wanted.jurisdictions:
        return Standing.ELSEWHERE
    if wanted.regions and where.region not in wanted.regions:
        return Standing.ELSEWHERE
    return None


def postponed(demand: Demand, supply: LeaseSupply) -> Standing | None:
    """Return what time or a repair will mend."""
    if supply.begins_ms > demand.start_ms:
        return Standing.LATER
    if supply.is_silent:
        return Standing.SILENT
    return None if supply.inventory.isolation_ready else Standing.UNPROVEN
