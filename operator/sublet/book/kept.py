"""The room that promises take: what lies on which lease, from when, and how long it could lie there.

Made and changed by `promises` as a pass goes on; whoever looks for a place sees the leases as they are with it.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace

from sublet.api.gpuclaim import Booking
from sublet.api.ids import ClaimUID, LeaseUID
from sublet.api.times import Millis
from sublet.book.holdings import Promise
from sublet.book.placement import Place
from sublet.book.pools import Pool
from sublet.book.supply import LeaseSupply


@dataclass(slots=True)
class Kept:
    """A promise as it lies on the leases."""

    promise: Promise
    from_ms: Millis
    """From when room is kept: its start, now if that has passed, or when there will be room."""
    until_ms: Millis
    """To when room is kept: its end, or that of its leases if it is sooner."""
    places: tuple[Place, ...] = ()
    missing: tuple[str, ...] = ()
    """Leases by alias that will have too little for it; none: all is well."""

    @property
    def uid(self) -> ClaimUID:
        """Return the claim's UID."""
        return ClaimUID(self.promise.claim.metadata.uid)


def hold(kept: Kept, sign: int = 1) -> None:
    """Keep a promise's room, or let it go (-1)."""
    for place in kept.places:
        window = (kept.from_ms, kept.until_ms)
        place.supply.keep(place.pool, sign * place.nodes, place.gpus, *window)


def hold_on(kept: Kept, until_ms: Millis) -> None:
    """Keep a promise's room to a later end."""
    hold(kept, -1)
    kept.promise, kept.until_ms = replace(kept.promise, until_ms=until_ms), until_ms
    hold(kept)


def keep_left(
    supply: LeaseSupply, booking: Booking, from_ms: Millis, until_ms: Millis, *, moves: bool
) -> Iterator[Place]:
    """Keep as many of a promise's nodes as a lease has room for, and yield them; `moves`: in other NVLink domains too."""
    gpus, want = booking.gpus_per_node, booking.nodes
    pools = supply.booked(booking)
    if moves:
        pools += [p for p in sorted(supply.pools.all) if p.size >= gpus and p not in pools]
    for pool in pools:
        room = min(
            want,
            supply.whole.least(pool, from_ms, until_ms),
            supply.headroom(from_ms, until_ms) // gpus,
        )
        if room > 0:
            supply.keep(pool, room, gpus, from_ms, until_ms)
            yield Place(supply, gpus, None, room, pool)
            want -= room


def room_from(
    supply: LeaseSupply, booking: Booking, from_ms: Millis, until_ms: Millis
) -> Millis | None:
    """Return the first instant from which a promise could be kept as it was made, None if there is none."""
    gpus, nodes = booking.gpus_per_node, booking.nodes
    pools = supply.booked(booking)
    found = (supply.room_from(pool, gpus, nodes, from_ms, until_ms) for pool in pools)
    return min((at for at in found if at is not None), default=None)


def lasts_until(kept: Kept, before_ms: Millis, until_ms: Millis) -> Iterator[Millis]:
    """Yield until when each lease can keep its part of a promise longer than it does."""
    nodes: dict[LeaseUID, Counter[Pool]] = defaultdict(Counter)  # lease -> pool -> nodes
    for place in kept.places:
        nodes[place.supply.uid][place.pool] += place.nodes
    for place in kept.places:
        mine = nodes[place.supply.uid]
        yield place.supply.lasts_until(mine, mine.total() * place.gpus, before_ms, until_ms)
