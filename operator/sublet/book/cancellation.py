"""What a tenant owes for giving up a window that was promised ahead, wholly or in part. Pure.

The deal is the one of the reservation. What is charged is time that the tenant had asked for, could have had, and gave
up by its own will after the free time was over: before its start or while it runs, or else who cancels would only have
to wait for the start. A window that the pool itself is late with is given up for nothing, and no hour is charged twice.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from sublet.api import claim_status
from sublet.api.cancellation import CancellationTerms, GivenUp
from sublet.api.gpuclaim import Allocation, GpuClaim
from sublet.api.times import MS_PER_SECOND, Millis
from sublet.book.demand import Demand
from sublet.book.holdings import RELEASE_MS
from sublet.book.steps import FOREVER

MAX_ENTRIES: Final = 1_024
"""So many of what was given up a status has room for."""


def terms_of(demand: Demand) -> CancellationTerms | None:
    """Return what is agreed for a window to come; None for other claims, and without a duration that is agreed."""
    offered, until_ms = demand.offer.spec.cancellation, demand.asked_until_ms
    if offered is None or until_ms is None or not demand.is_ahead:
        return None
    return CancellationTerms(
        free_before_start_seconds=offered.free_before_start_seconds,
        charge_percent=offered.charge_percent,
        until_time=until_ms,
    )


def given_up(
    claim: GpuClaim, allocation: Allocation, from_ms: Millis, now_ms: Millis
) -> tuple[GivenUp, ...]:
    """Return what is charged if the tenant gives up all from an instant on, and says so now."""
    terms, start = allocation.cancellation, claim.spec.schedule.start_time
    if terms is None or start is None or not terms.charge_percent:
        return ()
    in_time = now_ms <= start - terms.free_before_start_seconds * MS_PER_SECOND
    if in_time or _is_late(claim, allocation, start, now_ms):
        return ()
    until_ms = min(terms.until_time, allocation.until_time or FOREVER)
    gpus: dict[str, int] = defaultdict(int)  # lease UID -> GPUs
    for place in allocation.placements or allocation.bookings:
        gpus[place.lease_uid] += place.gpus
    parts = list(_not_yet(allocation, Millis(max(from_ms, start)), until_ms))
    fit = (MAX_ENTRIES - len(allocation.given_up)) // max(1, len(gpus))
    longest = sorted(parts, key=lambda part: part[0] - part[1])[:fit]
    return tuple(
        GivenUp(
            sequence=allocation.sequence,
            lease_uid=uid,
            gpus=gpus[uid],
            from_time=begin,
            until_time=end,
        )
        for begin, end in sorted(longest)
        for uid in sorted(gpus)
    )


def may_shorten(claim: GpuClaim, allocation: Allocation) -> bool:
    """Say whether there is room to say what one more shortening gives up, and after that the whole window.

    A window that was shortened and prolonged in turns has parts between those given up, each an entry of its own.
    """
    if not allocation.given_up:
        return True
    start = claim.spec.schedule.start_time or allocation.decided_time
    parts = len(list(_not_yet(allocation, start, allocation.until_time or FOREVER)))
    needed = (parts + 2) * len(allocation.lease_uids)
    return len(allocation.given_up) + needed <= MAX_ENTRIES


def _is_late(claim: GpuClaim, allocation: Allocation, start: Millis, now_ms: Millis) -> bool:
    """Say whether it is us who don't keep the promise."""
    if allocation.bound_time is not None:
        return False
    return claim_status.is_late(claim) or now_ms > start + RELEASE_MS


def _not_yet(
    allocation: Allocation, from_ms: Millis, until_ms: Millis
) -> Iterator[tuple[Millis, Millis]]:
    """Yield the parts of a time that weren't given up before, in order."""
    for begin, end in sorted({(g.from_time, g.until_time) for g in allocation.given_up}):
        if from_ms < min(begin, until_ms):
            yield from_ms, Millis(min(begin, until_ms))
        from_ms = Millis(max(from_ms, end))
    if from_ms < until_ms:
        yield from_ms, until_ms
