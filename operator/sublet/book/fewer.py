"""Fewer GPUs than asked for: the most that there is a place for, for claims that take a part and for offers.

What fits in one form (nodes of one size, or a part of one node) fits in smaller numbers too, so each form is searched by
halves; the largest number of all forms is exact.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sublet.api.times import Millis
from sublet.book.demand import Demand
from sublet.book.placement import Candidate
from sublet.book.shape import MAX_NODES, must_have_one_node
from sublet.book.standing import Standing, Standings
from sublet.book.supply import LeaseSupply

Find = Callable[[Demand], Candidate | None]
"""Looks for a place as for any claim: quota, standing, room."""


@dataclass(frozen=True, slots=True)
class Fewer:
    """A smaller demand and its place."""

    demand: Demand
    found: Candidate


def most_that_fit(demand: Demand, least: int, standings: Standings, find: Find) -> Fewer | None:
    """Return the largest demand for fewer GPUs, at least so many, that there is a place for; None if there is none."""
    supplies = standings.of(Standing.OPEN, Standing.UNFIT)
    sizes = {size for s in supplies for size in s.sizes_at(demand.start_ms)}
    per_node = demand.claim.spec.gpus_per_node
    best: Fewer | None = None
    for unit in sorted({per_node} if per_node is not None else {1, *sizes}, reverse=True):
        above = best.demand.gpus + 1 if best is not None else least
        low, high = -(-above // unit), (demand.gpus - 1) // unit
        high = min(high, _most_units(demand, unit, supplies, sizes))
        while low <= high:
            middle = (low + high + 1) // 2
            smaller = demand.of_size(middle * unit)
            found = find(smaller)
            if found is None:
                high = middle - 1
            else:
                best, low = Fewer(smaller, found), middle + 1
    return best


def _most_units(
    demand: Demand, unit: int, supplies: Iterable[LeaseSupply], sizes: Iterable[int]
) -> int:
    """Return how many units of so many GPUs there may be: whole nodes, or one node's part of them."""
    largest = max(sizes, default=0)
    if unit == 1 and demand.claim.spec.gpus_per_node is None:
        return largest
    at_once = Millis(demand.start_ms + 1)
    nodes = sum(s.nodes_for(unit, unit, demand.start_ms, at_once) for s in supplies)
    part = 1 if unit < largest and demand.claim.spec.gpus_per_node is not None else 0
    return min(max(nodes, part), 1 if must_have_one_node(demand.claim) else MAX_NODES)
