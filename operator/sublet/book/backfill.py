"""When a blocked claim could begin at the earliest, and room that is kept for it until then (EASY backfill).

The first blocked claims of a pass that can have one get a shadow: the nodes that they could begin on, from that instant
on. Later claims run in front of it as far as they end in time, and can't push it back. A shadow is no promise: it is
thrown away with the pass, and the next one may find an earlier start. (Lifka, The ANL/IBM SP scheduling system, 1995.)
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice, product
from typing import Final

from sublet.api.times import Millis
from sublet.book.demand import Demand
from sublet.book.domains import free_in, largest, must_have_domain
from sublet.book.placement import Candidate, find_place
from sublet.book.pools import Wanted
from sublet.book.shape import Shape, must_have_one_node, shapes_on
from sublet.book.steps import FOREVER, Steps
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
            place.supply.keep(place.pool, place.nodes, place.gpus, self.at_ms, until_ms)


def find_opening(demand: Demand, supplies: Sequence[LeaseSupply], now_ms: Millis) -> Opening | None:
    """Return the earliest start after now that these leases have room for, None if there is none in sight.

    A claim with a window of its own is looked for at later windows of the same length.
    """
    by_lease = () if demand.claim.spec.placement.is_spread else supplies
    alone = {at for s in by_lease for at in _alone(demand, s) if at > now_ms}
    found = next((o for at in sorted(alone) if (o := opening_at(demand, supplies, at))), None)
    before_ms = found.at_ms if found is not None else FOREVER
    instants = _instants(demand, supplies, now_ms, before_ms)
    together = (opening_at(demand, supplies, at) for at in instants)
    return next((opening for opening in together if opening is not None), found)


def opening_at(demand: Demand, supplies: Sequence[LeaseSupply], at_ms: Millis) -> Opening | None:
    """Return the start at an instant to come, None if these leases have no room, or its tenant no means for it then."""
    later = replace(demand.at(at_ms), is_ahead=True)
    begun = [s for s in supplies if s.begins_ms <= at_ms < s.ends_ms]
    begun = [s for s in begun if at_ms < later.until_on(s.ends_ms) <= s.ends_ms]
    found = find_place(later, begun)
    return Opening(at_ms, later, found) if found is not None and later.has_means(later) else None


def _alone(demand: Demand, supply: LeaseSupply) -> Iterable[Millis]:
    """Yield the first start at which one lease has room for each form of the claim."""
    lengths: list[int | None] = [demand.own_end_ms - demand.begin_ms]
    if demand.asked_until_ms is None:
        # an open-ended claim also runs to the lease's end, if that comes before its class's longest duration is over
        lengths = [None] if demand.latest_ms >= FOREVER else [*lengths, None]
    for shape in shapes_on(demand.claim, supply.sizes_at(FOREVER, demand.memory_mib)):
        for size in supply.whole.sizes:
            if size < shape.gpus or (size > shape.gpus and not shape.is_part):
                continue
            for steps, length_ms in product(_steps(demand, supply, shape, size), lengths):
                at_ms = supply.first_window(
                    steps, shape.nodes, shape.gpus, demand.start_ms, length_ms
                )
                if at_ms is not None:
                    yield at_ms


def _steps(demand: Demand, supply: LeaseSupply, shape: Shape, size: int) -> Iterable[Steps]:
    """Yield the steps of each pool alone, where nodes must come of one, else of all nodes of a size."""
    if shape.nodes > 1 and not must_have_domain(demand):
        # no more than these: whether each pool has its part is seen when it is tried
        found = [supply.whole.total(size)]
    else:
        pools = supply.pools.suiting(Wanted(size, demand.memory_mib))
        alone = (p for p in pools if shape.nodes == 1 or p.domain)
        found = [supply.whole.steps(pool) for pool in alone]
    return (steps for steps in found if steps is not None)


def _instants(
    demand: Demand, supplies: Sequence[LeaseSupply], now_ms: Millis, before_ms: Millis
) -> list[Millis]:
    """Return the first instants at which several leases, or pools of one, have enough nodes between them."""
    sizes = [s.sizes_at(FOREVER, demand.memory_mib) for s in supplies]
    shapes = {x for each in sizes for x in shapes_on(demand.claim, each) if x.nodes > 1}
    in_one = len(supplies) == 1 and not supplies[0].whole.is_mixed
    if not shapes or must_have_one_node(demand.claim) or in_one:
        return []
    begin_ms = max(now_ms, demand.start_ms)
    edges = sorted({at for s in supplies for at in s.edges() if begin_ms < at < before_ms})
    enough = (at for at in edges if any(_have(demand, supplies, x, at) for x in shapes))
    return [*islice(enough, _INSTANTS_TRIED)]


def _have(demand: Demand, supplies: Sequence[LeaseSupply], shape: Shape, at_ms: Millis) -> bool:
    if must_have_domain(demand):
        return largest(free_in(demand.at(at_ms), shape.gpus, supplies)) >= shape.nodes
    wanted = Wanted(shape.gpus, demand.memory_mib)
    return sum(nodes for s in supplies for _, nodes in s.free_at(wanted, at_ms)) >= shape.nodes
