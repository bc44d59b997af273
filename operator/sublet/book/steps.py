"""A whole number that changes at instants: how the book writes anything that depends on time.

Sorted edges and a level after each, no grid: committed GPUs minus held ones over years cost a few dozen numbers. A
future reservation is one more interval in it.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable
from itertools import accumulate
from operator import gt, lt

from sublet.api.times import Millis

FOREVER = Millis(2**62)
"""The end of what has none."""


class Steps:
    """A step function from one instant on; what changed before that instant counts as changed at it."""

    def __init__(self, begin_ms: Millis, changes: Iterable[tuple[Millis, int]]) -> None:
        deltas: dict[Millis, int] = defaultdict(int, {begin_ms: 0})  # instant -> change
        for at_ms, delta in changes:
            if at_ms < FOREVER:
                deltas[max(at_ms, begin_ms)] += delta
        self._edges = sorted(deltas)
        self._levels = list(accumulate(deltas[at] for at in self._edges))

    @property
    def edges(self) -> tuple[Millis, ...]:
        """Return the instants at which it changes, in order."""
        return tuple(self._edges)

    def at(self, at_ms: Millis) -> int:
        """Return the level at an instant; the first one for earlier instants."""
        return self._levels[max(0, bisect_right(self._edges, at_ms) - 1)]

    def least(self, from_ms: Millis, until_ms: Millis) -> int:
        """Return the lowest level in `[from_ms, until_ms)`."""
        first = max(0, bisect_right(self._edges, from_ms) - 1)
        last = bisect_left(self._edges, until_ms)
        return min(self._levels[first : max(last, first + 1)])

    def most(self, from_ms: Millis, until_ms: Millis) -> int:
        """Return the highest level in `[from_ms, until_ms)`."""
        first = max(0, bisect_right(self._edges, from_ms) - 1)
        last = bisect_left(self._edges, until_ms)
        return max(self._levels[first : max(last, first + 1)])

    def first_for(self, level: int, from_ms: Millis, length_ms: int) -> Millis | None:
        """Return the first instant from which a level is held for so long, None if there is none."""
        index = max(0, bisect_right(self._edges, from_ms) - 1)
        begins: Millis | None = from_ms if self._levels[index] >= level else None
        for at_ms, found in zip(self._edges[index + 1 :], self._levels[index + 1 :], strict=True):
            if begins is not None and at_ms >= begins + length_ms:
                return begins
            if found < level:
                begins = None
            elif begins is None:
                begins = at_ms
        return begins

    def first_until(self, level: int, from_ms: Millis, until_ms: Millis) -> Millis | None:
        """Return the first instant from which a level is held to `until_ms`, None if there is none."""
        first = max(0, bisect_right(self._edges, from_ms) - 1)
        last = max(bisect_left(self._edges, until_ms), first + 1)
        for index in range(last - 1, first - 1, -1):
            if self._levels[index] < level:
                after = index + 1
                return self._edges[after] if after < last else None
        return from_ms

    def first_below(self, level: int, from_ms: Millis, until_ms: Millis) -> Millis:
        """Return the first instant in `[from_ms, until_ms)` that is below a level, `until_ms` if there is none."""
        return self._first(lt, level, from_ms, until_ms)

    def first_above(self, level: int, from_ms: Millis, until_ms: Millis) -> Millis:
        """Return the first instant in `[from_ms, until_ms)` that is above a level, `until_ms` if there is none."""
        return self._first(gt, level, from_ms, until_ms)

    def _first(
        self, differs: Callable[[int, int], bool], level: int, from_ms: Millis, until_ms: Millis
    ) -> Millis:
        first = max(0, bisect_right(self._edges, from_ms) - 1)
        for index in range(first, len(self._edges)):
            if self._edges[index] >= until_ms:
                break
            if differs(self._levels[index], level):
                return max(self._edges[index], from_ms)
        return until_ms

    def add(self, delta: int, from_ms: Millis, until_ms: Millis) -> None:
        """Change every level in `[from_ms, until_ms)`."""
        from_ms = max(from_ms, self._edges[0])
        if from_ms >= min(until_ms, FOREVER):
            return
        first = self._edge(from_ms)
        last = self._edge(until_ms) if until_ms < FOREVER else len(self._edges)
        for index in range(first, last):
            self._levels[index] += delta

    def _edge(self, at_ms: Millis) -> int:
        """Return the index of an edge, made if it isn't there."""
        index = bisect_left(self._edges, at_ms)
        if index == len(self._edges) or self._edges[index] != at_ms:
            self._edges.insert(index, at_ms)
            self._levels.insert(index, self._levels[index - 1])
        return index
