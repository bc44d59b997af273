"""Up to which window of maintenance a claim without a duration may run, where no lease has room beyond all of them.

Only where nothing but maintenance is in its way: there must be room for its whole time, if it weren't for what its leases
have away from that window on. Else a window, be it of a lease that it doesn't even use, would let it in in front of a
promise, and once that is written its end would move on to the promise, as the end of its lease.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from sublet.api.times import Millis
from sublet.book.backfill import Opening, find_opening
from sublet.book.demand import Demand
from sublet.book.placement import Candidate, find_place
from sublet.book.steps import FOREVER
from sublet.book.supply import LeaseSupply


def stops_of(demand: Demand, supplies: Sequence[LeaseSupply]) -> list[Millis]:
    """Return when maintenance takes GPUs away while a claim runs, in order; none of one with a duration."""
    if demand.asked_until_ms is not None:
        return []
    found = {begin for supply in supplies for begin, _, _ in supply.away}
    return sorted(at for at in found if demand.start_ms < at < demand.latest_ms)


@contextmanager
def opened(supplies: Sequence[LeaseSupply], from_ms: Millis) -> Iterator[None]:
    """Sell what maintenance takes away from an instant on, for a claim that ends before it."""
    for supply in supplies:
        supply.close_windows(-1, from_ms)
    try:
        yield
    finally:
        for supply in supplies:
            supply.close_windows(1, from_ms)


def find_place_before(
    demand: Demand, supplies: Sequence[LeaseSupply], after_ms: Millis
) -> Candidate | None:
    """Return the place on these leases where a claim may stay the longest, later than an instant; None if there is none."""
    if (found := find_place(demand, supplies)) is not None:
        return found

    places: dict[Millis, Candidate | None] = {}

    def is_too_late(stop_ms: Millis) -> bool:
        with opened(supplies, stop_ms):
            places[stop_ms] = find_place(demand, supplies)
        return places[stop_ms] is None

    stops = [at for at in stops_of(demand, supplies) if at > after_ms]
    if not stops:
        return None
    last_ms = stops[-1]
    if is_too_late(last_ms):
        if is_too_late(stops[0]):
            return None
        # the later it ends, the less is open
        last_ms = stops[bisect_left(stops, True, 1, len(stops) - 1, key=is_too_late) - 1]
    found = places[last_ms]
    return replace(found, stops_ms=last_ms) if found is not None else None


def find_opening_before(
    demand: Demand, supplies: Sequence[LeaseSupply], now_ms: Millis
) -> Opening | None:
    """Return the earliest start, before a window too; of those at one instant the one that lasts the longest."""
    plain = find_opening(demand, supplies, now_ms)
    before_ms = plain.at_ms if plain is not None else FOREVER
    stops = stops_of(demand, supplies)

    openings: dict[Millis, Opening | None] = {}

    def start_up_to(stop_ms: Millis) -> Millis:
        with opened(supplies, stop_ms):
            found = openings[stop_ms] = find_opening(demand, supplies, now_ms)
        return found.at_ms if found is not None else FOREVER

    first = 0
    while first < len(stops):
        start_ms = start_up_to(stops[first])
        if start_ms >= before_ms:
            break
        if start_ms >= stops[first]:  # so is every start up to one of the stops before it
            first = bisect_right(stops, start_ms)
            continue
        is_later = bisect_right(stops, start_ms, lo=first + 1, key=start_up_to)
        stop_ms = stops[is_later - 1]
        if (found := openings[stop_ms]) is not None:
            return replace(found, demand=replace(found.demand, stops_ms=stop_ms))
        break
    return plain
