"""How many nodes of one lease are wholly free, in time: what a window to come can be promised on.

Nodes of one size are alike to a promise, and nobody is moved: whoever has a node began before the window does. So a
count per size at each instant says exactly whether a promise can be kept, and which node it becomes is decided at its
start. Built by `LeaseSupply` once per pass and changed as the pass gives nodes and promises.
"""

from collections.abc import Iterable, Mapping

from sublet.api.times import Millis
from sublet.book.holdings import Holdings
from sublet.book.inventory import NodeState
from sublet.book.steps import FOREVER, Steps


class WholeNodes:
    """Steps of free whole nodes by node size."""

    def __init__(
        self,
        now_ms: Millis,
        nodes: Iterable[NodeState],
        holdings: Holdings,
        *,
        rest_ms: int,
        expected: Mapping[int, list[tuple[Millis, int]]],
    ) -> None:
        """Count nodes that can be sold; `expected`: node size -> changes by nodes that aren't delivered yet."""
        self._now_ms = now_ms
        self.rest_ms = rest_ms
        """How long a node rests between two claims."""
        changes: dict[int, list[tuple[Millis, int]]] = {
            size: list(steps) for size, steps in expected.items()
        }
        for node in nodes:
            hold = holdings.node(node.uid)
            free_ms = now_ms if hold is None else self._rested(hold.until_ms)
            changes.setdefault(node.gpus, []).append((free_ms, 1))
        self._steps = {size: Steps(now_ms, found) for size, found in changes.items()}

    @property
    def sizes(self) -> frozenset[int]:
        """Return the node sizes that there are or will be."""
        return frozenset(self._steps)

    def least(self, size: int, from_ms: Millis, until_ms: Millis) -> int:
        """Return how many nodes of a size are free at every instant of a window and the rest after it."""
        steps = self._steps.get(size)
        return steps.least(from_ms, self._rested(until_ms)) if steps is not None else 0

    def steps(self, size: int) -> Steps | None:
        """Return the steps of a size, None if there are no such nodes."""
        return self._steps.get(size)

    def edges(self) -> set[Millis]:
        """Return the instants at which a count changes."""
        return {at for steps in self._steps.values() for at in steps.edges}

    def slot_for(self, gpus: int) -> int | None:
        """Return the size of the node that a promise of so many GPUs on one node keeps free: the smallest that fits."""
        return min((size for size in self._steps if size >= gpus), default=None)

    def hold(self, size: int, nodes: int, from_ms: Millis, until_ms: Millis) -> None:
        """Take nodes out for a window and the rest after it; a negative number puts them back."""
        steps = self._steps.setdefault(size, Steps(self._now_ms, ()))
        steps.add(-nodes, from_ms, self._rested(until_ms))

    def prolong(self, size: int, nodes: int, from_ms: Millis, until_ms: Millis) -> None:
        """Take nodes out longer, whose rest moves from the one end to the other."""
        steps = self._steps.setdefault(size, Steps(self._now_ms, ()))
        steps.add(-nodes, self._rested(from_ms), self._rested(until_ms))

    def can_prolong(self, size: int, nodes: int, from_ms: Millis, until_ms: Millis) -> bool:
        """Say whether nodes that become free at one instant may be held to a later one."""
        steps = self._steps.get(size)
        if steps is None or from_ms >= until_ms:
            return True
        return steps.least(self._rested(from_ms), self._rested(until_ms)) >= nodes

    def free_until(self, size: int, nodes: int, from_ms: Millis, until_ms: Millis) -> Millis:
        """Return until when nodes that become free at one instant may be held on, at most `until_ms`."""
        steps = self._steps.get(size)
        if steps is None or from_ms >= until_ms:
            return until_ms
        end_ms = self._rested(until_ms)
        short = steps.first_below(nodes, self._rested(from_ms), end_ms)
        return Millis(short - self.rest_ms) if short < end_ms else until_ms

    def _rested(self, at_ms: Millis) -> Millis:
        return Millis(at_ms + self.rest_ms) if at_ms < FOREVER else FOREVER
