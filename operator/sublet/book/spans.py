"""From when to when a claim's allocation holds GPUs of a lease, and which part of that its tenant pays for. Pure.

GPUs are held from the decision, or from the start of a window that was promised ahead, to the end of the release, and
paid for from boundTime to releaseTime; a promise is counted as paid for from its start on. An allocation that
still holds goes on as `Holdings` sees it: to its end, or without one. A claim on its way to other nodes holds those too
from the decision on, and what it leaves until that is free. A claim keeps its last allocation only, and what it is
leaving: earlier ones, and those of claims that are gone, are in the ledger.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from sublet.api.common import find_condition, is_true
from sublet.api.gpuclaim import Allocation, Booking, GpuClaim
from sublet.api.gpuclass import GpuClass, Pricing
from sublet.api.ids import ClaimUID, LeaseUID
from sublet.api.move_status import end_there, fresh_nodes
from sublet.api.rating import Rate
from sublet.api.relocation import Move, PlacedNode
from sublet.api.times import Millis
from sublet.book.floating import Prices, dated_prices, steps
from sublet.book.holdings import RELEASE_MS, held_until, holds
from sublet.book.steps import FOREVER


@dataclass(frozen=True, slots=True)
class Span:
    """GPUs of one lease that one claim holds in `[from_ms, until_ms)`."""

    claim_uid: ClaimUID
    lease_uid: LeaseUID
    gpus: int
    from_ms: Millis
    until_ms: Millis
    paid_from_ms: Millis
    paid_until_ms: Millis
    """The same as `paid_from_ms` where nothing is paid: only what was bound is."""
    rate: Rate
    """What the tenant pays; a floating claim has one span for each of its prices."""
    is_given_up: bool = False
    """Nothing is held: the tenant pays a part of the price for giving the GPUs up too late."""

    def holds_at(self, at_ms: Millis) -> bool:
        """Say whether the GPUs are held at an instant."""
        return self.from_ms <= at_ms < self.until_ms

    def pays_at(self, at_ms: Millis) -> bool:
        """Say whether the GPUs are paid for at an instant."""
        return self.paid_from_ms <= at_ms < self.paid_until_ms

    def held(self, from_ms: Millis, until_ms: Millis) -> int:
        """Return the GPU-milliseconds held inside `[from_ms, until_ms)`."""
        return self.gpus * _overlap(self.from_ms, self.until_ms, from_ms, until_ms)

    def paid(self, from_ms: Millis, until_ms: Millis) -> int:
        """Return the GPU-milliseconds paid for inside `[from_ms, until_ms)`."""
        return self.gpus * _overlap(self.paid_from_ms, self.paid_until_ms, from_ms, until_ms)


Spans = dict[LeaseUID, list[Span]]
"""lease UID -> what is held of it"""


def spans_of(claims: Iterable[GpuClaim], classes: Iterable[GpuClass], now_ms: Millis) -> Spans:
    """Return what claims' allocations hold or held, by lease; floating prices are those of their class."""
    found: Spans = defaultdict(list)
    prices = dated_prices(classes)
    for claim in claims:
        if (held := claim.status.allocation) is not None:
            for span in _spans(claim, held, now_ms):
                found[span.lease_uid] += _priced(span, held, prices)
    return found


def _priced(span: Span, held: Allocation, prices: Prices) -> Iterator[Span]:
    """Yield a span for each price that it is paid at; the GPUs are held by the first one."""
    if span.is_given_up or held.pricing is not Pricing.FLOATING:
        yield span
        return
    holds_to = span.until_ms
    for begin, end, price in steps(held, prices, span.paid_from_ms, span.paid_until_ms):
        rate = Rate(price, held.currency)
        yield replace(span, until_ms=holds_to, paid_from_ms=begin, paid_until_ms=end, rate=rate)
        holds_to = span.from_ms


def _spans(claim: GpuClaim, allocation: Allocation, now_ms: Millis) -> Iterator[Span]:
    yield from _given_up(claim, allocation)
    yield from _left(claim, allocation, now_ms)
    if allocation.is_ahead and not holds(claim):
        return  # a promise that was given up never held anything
    # what was promised ahead is held from its start on, and what was moved to from when it took the others' place
    begin = Millis(max(allocation.decided_time, claim.spec.schedule.start_time or 0))
    if allocation.since_time is not None and allocation.bound_time is not None:
        begin = allocation.bound_time
    end = max(begin, _held_until(claim, allocation, now_ms))
    paid_from = allocation.bound_time if allocation.bound_time is not None else begin
    paid_until = max(paid_from, min(end, _paid_until(claim, allocation)))
    places = allocation.placements or allocation.bookings
    yield from _each(claim, allocation, _by_lease(places), (begin, end), (paid_from, paid_until))
    if claim.status.move is not None and holds(claim):
        yield from _to_come(claim, allocation, claim.status.move, end)


def _to_come(claim: GpuClaim, allocation: Allocation, move: Move, end_ms: Millis) -> Iterator[Span]:
    """Yield what a move takes: other nodes from its decision on, and all that is paid for once they take the place."""
    there, _ = end_there(allocation, move)
    until = there if there is not None else FOREVER
    if is_true(claim.status.conditions, "Releasing"):
        until, over = end_ms, end_ms
    else:
        over = move.cutover_time if move.cutover_time is not None else until
    fresh = fresh_nodes(allocation, move)
    held, paid = (move.decided_time, max(until, move.decided_time)), (over, max(over, until))
    yield from _each(claim, allocation, _by_lease(fresh), held, paid)
    new = {p.key for p in fresh}
    kept = [p for p in move.placements if p.key not in new]
    # a move that waits for no instant keeps them without a break
    goes_on = (max(over, end_ms), max(over, end_ms, until))
    yield from _each(claim, allocation, _by_lease(kept), goes_on, goes_on)


def _left(claim: GpuClaim, allocation: Allocation, now_ms: Millis) -> Iterator[Span]:
    """Yield what earlier nodes held and cost, for as long as the claim is leaving them."""
    for left in claim.status.leaving:
        gpus = {LeaseUID(x.lease_uid): x.gpus for x in left.metered}
        billed = (left.bound_time, left.release_time)
        yield from _each(claim, allocation, gpus, billed, billed)
        expected = Millis((left.vacated_time or left.release_time) + RELEASE_MS)
        free = left.freed_time or (expected if expected > now_ms else FOREVER)
        going = (left.release_time, max(free, left.release_time))
        nothing = (left.release_time, left.release_time)
        yield from _each(claim, allocation, _by_lease(left.placements), going, nothing)


def _by_lease(places: Iterable[PlacedNode | Booking]) -> dict[LeaseUID, int]:
    """Return lease UID -> GPUs."""
    gpus: dict[LeaseUID, int] = defaultdict(int)
    for place in places:
        gpus[LeaseUID(place.lease_uid)] += place.gpus
    return gpus


def _each(
    claim: GpuClaim,
    allocation: Allocation,
    gpus: Mapping[LeaseUID, int],
    held: tuple[Millis, Millis],
    paid: tuple[Millis, Millis],
) -> Iterator[Span]:
    for lease_uid, count in gpus.items():
        yield Span(
            claim_uid=ClaimUID(claim.metadata.uid),
            lease_uid=lease_uid,
            gpus=count,
            from_ms=held[0],
            until_ms=held[1],
            paid_from_ms=paid[0],
            paid_until_ms=paid[1],
            rate=Rate(allocation.price_per_gpu_hour, allocation.currency),
        )


def _given_up(claim: GpuClaim, allocation: Allocation) -> Iterator[Span]:
    terms = allocation.cancellation
    for given in allocation.given_up if terms is not None else ():
        price = terms.price(allocation.price_per_gpu_hour) if terms is not None else Decimal(0)
        yield Span(
            claim_uid=ClaimUID(claim.metadata.uid),
            lease_uid=LeaseUID(given.lease_uid),
            gpus=given.gpus,
            from_ms=given.from_time,
            until_ms=given.from_time,
            paid_from_ms=given.from_time,
            paid_until_ms=given.until_time,
            rate=Rate(price, allocation.currency),
            is_given_up=True,
        )


def _held_until(claim: GpuClaim, allocation: Allocation, now_ms: Millis) -> Millis:
    if not holds(claim):
        # as in the ledger, GPUs are never free before their meter stopped
        found = find_condition(claim.status.conditions, "Reserved")
        freed = found.last_transition_time if found is not None else allocation.decided_time
        return Millis(max(freed, _released_ms(claim, allocation) or freed))
    return held_until(allocation, now_ms)


def _paid_until(claim: GpuClaim, allocation: Allocation) -> Millis:
    if allocation.bound_time is None and not allocation.is_ahead:
        return allocation.decided_time
    released = _released_ms(claim, allocation)
    if released is not None:
        return released
    return allocation.until_time if allocation.until_time is not None else FOREVER


def _released_ms(claim: GpuClaim, allocation: Allocation) -> Millis | None:
    release = claim.status.release
    current = release is not None and release.sequence == allocation.sequence
    return release.release_time if release is not None and current else None


def _overlap(begin: Millis, end: Millis, from_ms: Millis, until_ms: Millis) -> int:
    return max(0, min(end, until_ms) - max(begin, from_ms))
