"""Windows that were promised ahead: kept free until they begin, made nodes at their start, and mended when they slip.

A promise counts against its lease from the first pass on, so that nothing that comes later is sold what it needs. A
phase that comes late, a node that fails or a smaller commitment can still leave too little: then the fewest claims are
hit, each of them is moved to another lease if there is room, and is told if there isn't. A promise is never dropped.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from sublet.api import claim_status
from sublet.api.gpuclaim import Allocation
from sublet.api.ids import ClaimUID, LeaseUID, TenantName
from sublet.api.times import Millis, format_instant
from sublet.book.decisions import Decision, Reserve, Warn
from sublet.book.demand import Demand, Rules
from sublet.book.holdings import Promise
from sublet.book.placement import Candidate, Place, find_place
from sublet.book.standing import Standing, Standings
from sublet.book.supply import LeaseSupply

Supplies = Mapping[LeaseUID, LeaseSupply]


@dataclass(frozen=True, slots=True)
class _Kept:
    """A promise as it lies on the leases."""

    promise: Promise
    places: tuple[Place, ...]
    missing: tuple[str, ...]
    """Leases by alias that will have too little for it; none: all is well."""


class Promises:
    """The promises of one pass, in the order in which they are kept if not all can be."""

    def __init__(
        self, promises: Iterable[Promise], rules: Rules, supplies: Supplies, now_ms: Millis
    ) -> None:
        """Keep room for every promise on its own leases."""
        self._rules = rules
        self._supplies = supplies
        self._now_ms = now_ms
        self._kept = [self._keep(each) for each in sorted(promises, key=_order)]

    def decide(self, decided: Collection[ClaimUID]) -> Iterator[Decision]:
        """Yield nodes for windows that have begun, other leases for those that slip, and warnings.

        Claims that something was decided for are left to the next pass.
        """
        for kept in self._kept:
            if kept.promise.claim.metadata.uid in decided:
                continue
            begun = kept.promise.start_ms <= self._now_ms
            if begun or kept.missing:
                yield from self._mend(kept, begun=begun)
            else:
                yield from _said(kept, "")

    def _keep(self, promise: Promise) -> _Kept:
        places, missing = [], []
        for booking in promise.bookings:
            supply = self._supplies.get(LeaseUID(booking.lease_uid))
            size = supply.whole.slot_for(booking.gpus_per_node) if supply is not None else None
            if supply is None or size is None:
                missing.append(booking.lease)
                continue
            place = Place(supply, booking.gpus_per_node, None, booking.nodes, size)
            window = (max(promise.start_ms, self._now_ms), promise.until_ms)
            if not supply.can_keep(size, place.nodes, place.gpus, *window):
                missing.append(booking.lease)
            supply.keep(size, place.nodes, place.gpus, *window)
            places.append(place)
        return _Kept(promise, tuple(places), tuple(missing))

    def _mend(self, kept: _Kept, *, begun: bool) -> Iterator[Decision]:
        promise = kept.promise
        allocation = promise.claim.status.allocation
        demand = self._rules.promised(promise.claim, allocation) if allocation else None
        if allocation is None or demand is None:
            yield from _said(kept, "its class or its tenant is gone; ask the platform team")
            return
        window = (max(promise.start_ms, self._now_ms), promise.until_ms)
        for place in kept.places:
            place.supply.keep(place.size, -place.nodes, place.gpus, *window)
        found = self._find(demand, kept)
        if found is None:
            for place in kept.places:
                place.supply.keep(place.size, place.nodes, place.gpus, *window)
            yield from _said(kept, _shortage(kept, begun=begun))
            return
        give(demand, found, promise.until_ms)
        yield Reserve(
            claim_uid=ClaimUID(promise.claim.metadata.uid),
            sequence=allocation.sequence + 1,
            tenant=TenantName(allocation.tenant),
            tenant_uid=demand.tenant_uid,
            price_per_gpu_hour=allocation.price_per_gpu_hour,
            currency=allocation.currency,
            priority=allocation.priority,
            decided_ms=allocation.decided_time,
            until_ms=allocation.until_time,
            until_cause=allocation.until_cause,
            placements=() if demand.is_ahead else tuple(p.as_placement() for p in found.places),
            bookings=tuple(p.as_booking() for p in found.places)
            if demand.is_ahead
            else allocation.bookings,
        )

    def _find(self, demand: Demand, kept: _Kept) -> Candidate | None:
        """Return a place for a promise: on its own leases if there is one, else on any that would serve it."""
        standings = Standings(demand, self._supplies.values())
        can = [s for s in standings.of(Standing.OPEN, Standing.CLOSED) if _lasts(s, kept.promise)]
        own = {place.supply.uid for place in kept.places}
        mine = find_place(demand, [s for s in can if s.uid in own])
        return mine or find_place(demand, [s for s in can if s.is_open])


def give(demand: Demand, found: Candidate, until_ms: Millis) -> None:
    """Take a candidate's nodes, or the room that is promised, out of what is free."""
    for place in found.places:
        if place.node is None:
            window = (demand.start_ms, until_ms)
            place.supply.keep(place.size, place.nodes, place.gpus, *window)
        else:
            place.supply.take(
                place.node,
                place.gpus,
                claim_uid=demand.uid,
                tenant_uid=demand.tenant_uid,
                until_ms=until_ms,
            )


def _lasts(supply: LeaseSupply, promise: Promise) -> bool:
    """Say whether a lease lasts as long as was promised."""
    return promise.until_ms <= supply.ends_ms


def _order(promise: Promise) -> tuple[int, int, Millis, str]:
    """Small ones first among equal priorities: so the fewest promises are broken when there is too little."""
    allocation: Allocation | None = promise.claim.status.allocation
    if allocation is None:
        return (0, 0, promise.start_ms, promise.claim.metadata.uid)
    return (
        -allocation.priority,
        allocation.gpus,
        allocation.decided_time,
        promise.claim.metadata.uid,
    )


def _shortage(kept: _Kept, *, begun: bool) -> str:
    gpus = sum(b.gpus for b in kept.promise.bookings)
    where = ", ".join(sorted(set(kept.missing or (p.supply.alias for p in kept.places))))
    start = format_instant(kept.promise.start_ms)
    if begun:
        return (
            f"{gpus} GPUs were promised from {start} on and aren't there yet (at {where}); they are handed over "
            "as soon as they are, or suspend the claim to give the promise up"
        )
    return (
        f"{gpus} GPUs are promised from {start} on, but {where} will have too few then as it looks now, and no "
        "other lease has room; nothing needs to be done, or suspend the claim to give the promise up"
    )


def _said(kept: _Kept, message: str) -> Iterator[Decision]:
    """Yield what a claim is to be told; that all is well only where it was told otherwise."""
    claim = kept.promise.claim
    if message or claim_status.is_late(claim):
        yield Warn(ClaimUID(claim.metadata.uid), message)
