"""How many nodes of one lease are wholly free, in time: what a window to come can be promised on.

Nodes of one size are alike to a promise, and nobody is moved: whoever has a node began before the window does. So a
count per size at each instant says exactly whether a promise can be kept, and which node it becomes is decided at its
start. Built by `LeaseSupply` once per pass; changed as the pass moves the ends of claims and keeps room for promises.
"""

from collections.abc import Iterable, Mapping

from sublet.api.ids import NodeUID
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
        self._free_ms: dict[NodeUID, Millis] = {}  # node -> when it is wholly free, rested
        for node in nodes:
            hold = holdings.node(node.uid)
            free_ms = now_ms if hold is None else self.rested(hold.until_ms)
            self._free_ms[node.uid] = free_ms
            changes.setdefault(node.gpus, []).append((free_ms, 1))
        self._steps = {size: Steps(now_ms, found) for size, found in changes.items()}

    @property
    def sizes(self) -> frozenset[int]:
        """Return the node sizes that there are or will be."""
        return frozenset(self._steps)

    def steps(self, size: int) -> Steps | None:
        """Return the steps of a size, None if there are no such nodes."""
        return self._steps.get(size)

    def edges(self) -> set[Millis]:
        """Return the instants at which a count changes."""
        return {at for steps in self._steps.values() for at in steps.edges}

    def least(self, size: int, from_ms: Millis, until_ms: Millis) -> int:
        """Return how many nodes of a size are free at every instant of a window and the rest after it."""
        steps = self._steps.get(size)
        return steps.least(from_ms, self.rested(until_ms)) if steps is not None else 0

    def hold(self, size: int, nodes: int, from_ms: Millis, until_ms: Millis) -> None:
        """Take nodes out for a window and the rest after it; a negative number puts them back."""
        if (steps := self._steps.get(size)) is not None:
            steps.add(-nodes, from_ms, self.rested(until_ms))

    def move(self, node: NodeState, until_ms: Millis) -> None:
        """Move the instant at which the last claim on a node ends; of nodes that aren't counted nothing changes."""
        before = self._free_ms.get(node.uid)
        if before is None:
            return
        after = self._free_ms[node.uid] = self.rested(until_ms)
        steps = self._steps[node.gpus]
        steps.add(-1, before, after)
        steps.add(1, after, before)

    def can_move(self, node: NodeState, until_ms: Millis) -> bool:
        """Say whether a node may be held to an instant without taking it from a promise."""
        before = self._free_ms.get(node.uid, FOREVER)
        after = self.rested(until_ms)
        return before >= after or self._steps[node.gpus].least(before, after) > 0

    def first_short(self, size: int, from_ms: Millis, until_ms: Millis) -> Millis | None:
        """Return until when no promise lacks a node of a size, rests taken off; None if none does before `until_ms`."""
        steps = self._steps.get(size)
        if steps is None or from_ms >= until_ms:
            return None
        end_ms = self.rested(until_ms)
        short = steps.first_below(0, self.rested(from_ms), end_ms)
        return Millis(short - self.rest_ms) if short < end_ms else None

    def rested(self, at_ms: Millis) -> Millis:
        """Return when a node that is left at an instant has rested."""
        return Millis(at_ms + self.rest_ms) if at_ms < FOREVER else FOREVER
