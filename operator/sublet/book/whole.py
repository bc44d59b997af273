"""How many nodes of one lease are wholly free, in time: what a window to come can be promised on.

Nodes of one pool are alike to a promise, and nobody is moved: whoever has a node began before the window does. So a
count per pool at each instant says exactly whether a promise can be kept, and which node it becomes is decided at its
start. A count per size would not: two windows in two NVLink domains can leave a node at each instant, and none for good.
Built by `LeaseSupply` once per pass; changed as the pass moves the ends of claims and keeps room for promises.
"""

from collections import Counter
from collections.abc import Iterable, Mapping

from sublet.api.ids import NodeUID
from sublet.api.times import Millis
from sublet.book.holdings import HoldingsAt
from sublet.book.inventory import NodeState
from sublet.book.pools import Pool, Pools
from sublet.book.steps import FOREVER, Steps


class WholeNodes:
    """Steps of free whole nodes by pool."""

    def __init__(
        self,
        now_ms: Millis,
        nodes: Iterable[NodeState],
        holdings: HoldingsAt,
        *,
        pools: Pools,
        rest_ms: int,
        expected: Mapping[Pool, list[tuple[Millis, int]]],
    ) -> None:
        """Count nodes that can be sold; `expected`: pool -> changes by nodes that aren't delivered yet."""
        self._now_ms = now_ms
        self._pools = pools
        self.rest_ms = rest_ms
        """How long a node rests between two claims."""
        changes: dict[Pool, list[tuple[Millis, int]]] = {
            pool: list(steps) for pool, steps in expected.items()
        }
        by_node, free_now = pools.by_node, list[Pool]()
        self._free_ms: dict[NodeUID, Millis] = {}  # node -> when it is wholly free, rested
        for node in nodes:
            hold = holdings.node(node.uid)
            free_ms = now_ms if hold is None else self.rested(hold.until_ms)
            self._free_ms[node.uid] = free_ms
            if hold is None:
                free_now.append(by_node[node.uid])
            else:
                changes.setdefault(by_node[node.uid], []).append((free_ms, 1))
        for pool, count in Counter(free_now).items():
            changes.setdefault(pool, []).append((now_ms, count))
        self._steps = {pool: Steps(now_ms, found) for pool, found in changes.items()}
        self._totals = self._added_up(changes)
        self._promised: set[Pool] = set()

    def _added_up(self, changes: Mapping[Pool, list[tuple[Millis, int]]]) -> dict[int, Steps]:
        """Return size -> steps of its pools together, which only several pools need."""
        by_size: dict[int, list[Pool]] = {}
        for pool in changes:
            by_size.setdefault(pool.size, []).append(pool)
        return {
            size: Steps(self._now_ms, [step for pool in pools for step in changes[pool]])
            for size, pools in by_size.items()
            if len(pools) > 1
        }

    @property
    def sizes(self) -> frozenset[int]:
        """Return the node sizes that there are or will be."""
        return frozenset(pool.size for pool in self._steps)

    @property
    def is_mixed(self) -> bool:
        """Say whether there are several pools of one size."""
        return bool(self._totals)

    def steps(self, pool: Pool) -> Steps | None:
        """Return the steps of a pool, None if there are no such nodes."""
        return self._steps.get(pool)

    def total(self, size: int) -> Steps | None:
        """Return the steps of a size over its pools: no more nodes than these are there for any window."""
        found = self._totals.get(size)
        return found or next((s for pool, s in self._steps.items() if pool.size == size), None)

    def is_promised(self, pool: Pool) -> bool:
        """Say whether nodes of a pool may be promised to a window to come."""
        return pool in self._promised

    def edges(self) -> set[Millis]:
        """Return the instants at which a count changes."""
        return {at for steps in self._steps.values() for at in steps.edges}

    def at(self, pool: Pool, at_ms: Millis) -> int:
        """Return how many nodes of a pool are free at an instant; below 0 where more were promised."""
        steps = self._steps.get(pool)
        return steps.at(at_ms) if steps is not None else 0

    def least(self, pool: Pool, from_ms: Millis, until_ms: Millis) -> int:
        """Return how many nodes of a pool are free at every instant of a window and the rest after it."""
        steps = self._steps.get(pool)
        return steps.least(from_ms, self.rested(until_ms)) if steps is not None else 0

    def hold(self, pool: Pool, nodes: int, from_ms: Millis, until_ms: Millis) -> None:
        """Take nodes out for a window and the rest after it; a negative number puts them back."""
        if pool in self._steps:
            self._promised.add(pool)
            self._add(pool, -nodes, from_ms, self.rested(until_ms))

    def move(self, node: NodeState, until_ms: Millis) -> None:
        """Move the instant at which the last claim on a node ends; of nodes that aren't counted nothing changes."""
        before = self._free_ms.get(node.uid)
        if before is None:
            return
        after = self._free_ms[node.uid] = self.rested(until_ms)
        pool = self._pools.by_node[node.uid]
        self._add(pool, -1, before, after)
        self._add(pool, 1, after, before)

    def can_move(self, node: NodeState, until_ms: Millis) -> bool:
        """Say whether a node may be held to an instant without taking it from a promise."""
        before, after = self._free_ms.get(node.uid, FOREVER), self.rested(until_ms)
        return (
            before >= after or self._steps[self._pools.by_node[node.uid]].least(before, after) > 0
        )

    def first_short(self, pool: Pool, from_ms: Millis, until_ms: Millis) -> Millis | None:
        """Return until when no promise lacks a node of a pool, rests taken off; None if none does before `until_ms`."""
        steps = self._steps.get(pool)
        if steps is None or from_ms >= until_ms:
            return None
        end_ms = self.rested(until_ms)
        short = steps.first_below(0, self.rested(from_ms), end_ms)
        return Millis(short - self.rest_ms) if short < end_ms else None

    def rested(self, at_ms: Millis) -> Millis:
        """Return when a node that is left at an instant has rested."""
        return Millis(at_ms + self.rest_ms) if at_ms < FOREVER else FOREVER

    def _add(self, pool: Pool, nodes: int, from_ms: Millis, until_ms: Millis) -> None:
        self._steps[pool].add(nodes, from_ms, until_ms)
        if (total := self._totals.get(pool.size)) is not None:
            total.add(nodes, from_ms, until_ms)
