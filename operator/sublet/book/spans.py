"""From when to when a claim's allocation holds GPUs of a lease, and which part of that its tenant pays for. Pure.

GPUs are held from the decision, or from the start of a window that was promised ahead, to the end of the release, and
paid for from boundTime to releaseTime; a promise is counted as paid for from its start on. An allocation that
still holds goes on as `Holdings` sees it: to its end, or without one. A claim keeps its last allocation only: earlier
ones, and those of claims that are gone, are in the ledger.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal

from sublet.api.common import find_condition
from sublet.api.gpuclaim import Allocation, GpuClaim
from sublet.api.ids import ClaimUID, LeaseUID
from sublet.api.rating import Rate
from sublet.api.times import Millis
from sublet.book.holdings import held_until, holds
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
    """What the tenant pays."""
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


def spans_of(claims: Iterable[GpuClaim], now_ms: Millis) -> Spans:
    """Return what claims' allocations hold or held, by lease."""
    found: Spans = defaultdict(list)
    for claim in claims:
        if claim.status.allocation is not None:
            for span in _spans(claim, claim.status.allocation, now_ms):
                found[span.lease_uid].append(span)
    return found


def _spans(claim: GpuClaim, allocation: Allocation, now_ms: Millis) -> Iterator[Span]:
    yield from _given_up(claim, allocation)
    if allocation.is_ahead and not holds(claim):
        return  # a promise that was given up never held anything
    gpus: dict[LeaseUID, int] = defaultdict(int)
    for place in allocation.placements or allocation.bookings:
        gpus[LeaseUID(place.lease_uid)] += place.gpus
    # what was promised ahead is held from its start on
    begin = Millis(max(allocation.decided_time, claim.spec.schedule.start_time or 0))
    end = max(begin, _held_until(claim, allocation, now_ms))
    paid_from = allocation.bound_time if allocation.bound_time is not None else begin
    paid_until = max(paid_from, min(end, _paid_until(claim, allocation)))
    for lease_uid, count in gpus.items():
        yield Span(
            claim_uid=ClaimUID(claim.metadata.uid),
            lease_uid=lease_uid,
            gpus=count,
            from_ms=begin,
            until_ms=end,
            paid_from_ms=paid_from,
            paid_until_ms=paid_until,
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
