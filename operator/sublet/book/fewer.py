"""Fewer GPUs than asked for: the most that there is a place for, for claims that take a part and for offers.

What fits in one form (nodes of one size, or a part of one node) fits in smaller numbers too, so each form is searched by
halves; the largest number of all forms is exact. Not so under a landlord's largest share: of three nodes it may have one
where it may have two of four. Such claims are tried from the largest number on, a few times.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final

from sublet.api.times import Millis
from sublet.book.demand import Demand
from sublet.book.placement import Candidate
from sublet.book.pools import Wanted
from sublet.book.shape import MAX_NODES, must_have_one_node
from sublet.book.standing import Standing, Standings
from sublet.book.supply import LeaseSupply
from sublet.book.unmet import spread_sizes

_SPREADS_TRIED: Final = 32
"""Of nodes of each size."""
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
    sizes = {size for s in supplies for size in s.sizes_at(demand.start_ms, demand.memory_mib)}
    per_node = demand.claim.spec.gpus_per_node
    if demand.claim.spec.placement.is_spread:
        units = sizes if per_node is None else {per_node}
        return _most_spread(
            demand, least, {u: spread_sizes(demand, u, supplies) for u in units}, find
        )
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


def _most_spread(
    demand: Demand, least: int, nodes: Mapping[int, Iterable[int]], find: Find
) -> Fewer | None:
    """Return the largest of these numbers of nodes that there is a place for; `nodes`: GPUs of a node -> numbers."""
    tried = {
        gpus
        for unit, numbers in nodes.items()
        for gpus in islice((unit * n for n in numbers if unit * n < demand.gpus), _SPREADS_TRIED)
    }
    for gpus in sorted((g for g in tried if g >= least), reverse=True):
        smaller = demand.of_size(gpus)
        if (found := find(smaller)) is not None:
            return Fewer(smaller, found)
    return None


def _most_units(
    demand: Demand, unit: int, supplies: Iterable[LeaseSupply], sizes: Iterable[int]
) -> int:
    """Return how many units of so many GPUs there may be: whole nodes, or one node's part of them."""
    largest = max(sizes, default=0)
    if unit == 1 and demand.claim.spec.gpus_per_node is None:
        return largest
    at_once = Millis(demand.start_ms + 1)
    wanted = Wanted(unit, demand.memory_mib)
    nodes = sum(s.nodes_for(wanted, unit, demand.start_ms, at_once) for s in supplies)
    part = 1 if unit < largest and demand.claim.spec.gpus_per_node is not None else 0
    return min(max(nodes, part), 1 if must_have_one_node(demand.claim) else MAX_NODES)
