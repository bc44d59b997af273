"""A value that changes at instants, such as a number of GPUs or the price that holds. Pure.

Several are read side by side by walking along all their edges once, so that a month of thousands of claims costs no more
than to sort their beginnings and ends.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Generic, TypeVar

from sublet.api.times import Millis

T = TypeVar("T")


class Timeline(Generic[T]):
    """A value for every instant: `first`, and from each change on another one."""

    def __init__(self, first: T, changes: Sequence[tuple[Millis, T]] = ()) -> None:
        """Take changes in the order of time; of two at one instant the later one holds."""
        self.edges = tuple(at for at, _ in changes)
        self.values = (first, *(value for _, value in changes))

    def at(self, at_ms: Millis) -> T:
        """Return the value at an instant."""
        return self.values[bisect_right(self.edges, at_ms)]

    def edges_in(self, from_ms: Millis, to_ms: Millis) -> Sequence[Millis]:
        """Return the instants after `from_ms` and before `to_ms` at which it may change."""
        return self.edges[bisect_right(self.edges, from_ms) : bisect_right(self.edges, to_ms - 1)]

    def walk(self, instants: Sequence[Millis]) -> Iterator[T]:
        """Yield the value at each of some instants, which stand in the order of time."""
        edges, values = self.edges, self.values
        index, count = (bisect_right(edges, instants[0]) if instants else 0), len(edges)
        for at_ms in instants:
            while index < count and edges[index] <= at_ms:
                index += 1
            yield values[index]


def summed(changes: Iterable[tuple[Millis, int]]) -> Timeline[int]:
    """Return the running sum of (instant, so many more or fewer), given in any order."""
    deltas: dict[Millis, int] = defaultdict(int)  # instant -> change
    for at_ms, delta in changes:
        deltas[at_ms] += delta
    edges = sorted(deltas)
    return Timeline(0, list(zip(edges, accumulate(deltas[at] for at in edges), strict=True)))
