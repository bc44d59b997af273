"""When a blocked claim could begin at the earliest, and room that is kept for it until then (EASY backfill).

The first blocked claims of a pass get a shadow: the nodes that they could begin on, from that instant on. Later claims
run in front of it as far as they end in time, and can't push it back. A shadow is no promise: it is thrown away with
the pass, and the next one may find an earlier start. (Lifka, The ANL/IBM SP scheduling system, 1995.)
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

from sublet.api.times import Millis
from sublet.book.demand import Demand
from sublet.book.placement import Candidate, find_place
from sublet.book.shape import Shape, must_have_one_node, shapes_on
from sublet.book.steps import FOREVER
from sublet.book.supply import LeaseSupply

SHADOWS: Final = 32
"""How many blocked claims of a pass get one."""
_INSTANTS_TRIED: Final = 24
"""At which claims over several leases are tried."""


@dataclass(frozen=True, slots=True)
class Opening:
    """Where and from when a claim that is blocked now could have its GPUs."""

    at_ms: Millis
    demand: Demand
    """The same demand with that start."""
    found: Candidate

    def keep(self) -> None:
        """Keep its room free for the rest of the pass."""
        for place in self.found.places:
            until_ms = self.demand.until_on(place.supply.ends_ms)
            place.supply.keep(place.size, place.nodes, place.gpus, self.at_ms, until_ms)


def find_opening(demand: Demand, supplies: Sequence[LeaseSupply], now_ms: Millis) -> Opening | None:
    """Return the earliest start after now that these leases have room for, None if there is none in sight.

    A claim with a window of its own is looked for at later windows of the same length.
    """
    alone = {at for s in supplies for at in _alone(demand, s) if at > now_ms}
    found = next((o for at in sorted(alone) if (o := _at(demand, supplies, at))), None)
    before_ms = found.at_ms if found is not None else FOREVER
    together = (_at(demand, supplies, at) for at in _instants(demand, supplies, now_ms, before_ms))
    return next((opening for opening in together if opening is not None), found)


def _at(demand: Demand, supplies: Sequence[LeaseSupply], at_ms: Millis) -> Opening | None:
    later = replace(demand.at(at_ms), is_ahead=True)
    begun = [s for s in supplies if s.begins_ms <= at_ms < s.ends_ms]
    begun = [s for s in begun if at_ms < later.until_on(s.ends_ms) <= s.ends_ms]
    found = find_place(later, begun)
    return Opening(at_ms, later, found) if found is not None else None


def _alone(demand: Demand, supply: LeaseSupply) -> Iterable[Millis]:
    """Yield the first start at which one lease has room for each form of the claim."""
    lengths: list[int | None] = [demand.own_end_ms - demand.begin_ms]
    if demand.asked_until_ms is None:
        # an open-ended claim also runs to the lease's end, if that comes before its class's longest duration is over
        lengths = [None] if demand.latest_ms >= FOREVER else [*lengths, None]
    for shape in shapes_on(demand.claim, supply.coming_sizes):
        for size in supply.whole.sizes:
            if size < shape.gpus or (size > shape.gpus and not shape.is_part):
                continue
            for length_ms in lengths:
                at_ms = supply.first_window(
                    size, shape.nodes, shape.gpus, demand.start_ms, length_ms, demand.stops_ms
                )
                if at_ms is not None:
                    yield at_ms


def _instants(
    demand: Demand, supplies: Sequence[LeaseSupply], now_ms: Millis, before_ms: Millis
) -> list[Millis]:
    """Return the first instants at which several leases have enough nodes between them, and none has alone."""
    shapes = {x for s in supplies for x in shapes_on(demand.claim, s.coming_sizes) if x.nodes > 1}
    if not shapes or must_have_one_node(demand.claim) or len(supplies) == 1:
        return []
    begin_ms = max(now_ms, demand.start_ms)
    edges = sorted({at for s in supplies for at in s.edges() if begin_ms < at < before_ms})
    enough = (at for at in edges if any(_have(supplies, shape, at) for shape in shapes))
    return [*islice(enough, _INSTANTS_TRIED)]


def _have(supplies: Iterable[LeaseSupply], shape: Shape, at_ms: Millis) -> bool:
    all_steps = (s.whole.steps(shape.gpus) for s in supplies)
    return sum(max(0, steps.at(at_ms)) for steps in all_steps if steps is not None) >= shape.nodes
