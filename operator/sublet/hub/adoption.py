"""Keeps nodes in step with leases while they live: adopts what appears, mends what lost its mark.

Driven by the loop after every pass. Each lease has a few nodes under way, the others wait for their turn without a task
and are looked for anew by each pass: thousands of new nodes crowd out no claim, and a cluster that shows them without
end costs no more than one that shows a few.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from sublet.api.gpulease import GpuLease
from sublet.api.ids import LeaseUID, NodeName, NodeUID
from sublet.api.kinds import IN_USE_FINALIZER
from sublet.api.times import MS_PER_SECOND, Millis
from sublet.binder.nodes import adopt, wants_adoption, wants_mending
from sublet.clock import Clock
from sublet.fleet.cluster import LeasedCluster
from sublet.fleet.nodebook import LEASE_LABEL
from sublet.hub.returns import is_over
from sublet.kube.errors import Forbidden, Invalid, KubeError
from sublet.kube.wire import Node
from sublet.logs import log_about

_AT_ONCE: Final = 16
"""Nodes of one lease."""
_MOST_WAITING: Final = 1_000
"""Of one lease; when they are done the next pass finds others."""
_RETRY_SECONDS: Final = 10.0
_MOST_DOUBLINGS: Final = 5
"""Of that, for a node whose marks are refused again and again: some five minutes."""
_SAID_AGAIN_SECONDS: Final = 60.0
"""Between two lines of the log on one lease: thousands of its nodes may fail together."""

_IsKept = Callable[[LeasedCluster, NodeUID], bool]


@dataclass(frozen=True, slots=True)
class _Refusal:
    """A cluster's no to a node's marks."""

    node: Node
    """As it was then."""
    in_a_row: int
    until: float
    """Not before, unless the node changes (monotonic seconds)."""

    def is_about(self, node: Node) -> bool:
        """Say whether nothing changed by which the cluster's policies may go, or we."""
        mine, its = self.node.metadata, node.metadata
        return self.node is node or (
            mine.uid == its.uid
            and mine.labels == its.labels
            and mine.annotations == its.annotations
            and self.node.spec.taints == node.spec.taints
        )


@dataclass(slots=True)
class _Line:
    """The nodes of one lease."""

    lease: GpuLease
    waiting: deque[NodeName] = field(default_factory=deque)
    tasks: dict[NodeName, asyncio.Task[None]] = field(default_factory=dict)
    again_at: dict[NodeName, float] = field(default_factory=dict)
    """node -> not before (monotonic seconds)"""
    refusals: dict[NodeName, _Refusal] = field(default_factory=dict)
    in_a_row: int = 0
    """Requests for nodes that failed, one after the other."""
    rests_until: float = float("-inf")
    """Monotonic seconds."""
    said_at: float = float("-inf")
    """Monotonic seconds at which the log was told last."""

    def wait_seconds(self, node: Node, now: float) -> float:
        """Return for how long a node is left alone."""
        name = NodeName(node.metadata.name)
        until, refusal = self.again_at.get(name, now), self.refusals.get(name)
        if refusal is not None and refusal.is_about(node):
            until = max(until, refusal.until)
        return until - now

    def note_refusal(self, node: Node, now: float) -> None:
        """Leave a node alone, each time for longer."""
        name = NodeName(node.metadata.name)
        before = self.refusals.get(name)
        times = before.in_a_row if before is not None and before.is_about(node) else 0
        wait = _RETRY_SECONDS * 2.0 ** min(times, _MOST_DOUBLINGS)
        self.refusals[name] = _Refusal(node, times + 1, now + wait)


class Adoption:
    """Adopts nodes."""

    def __init__(
        self,
        cluster: Callable[[LeaseUID], LeasedCluster | None],
        clock: Clock,
        changed: Callable[[], None],
    ) -> None:
        self._cluster = cluster
        self._clock = clock
        self._changed = changed
        self._lines: dict[LeaseUID, _Line] = {}
        self.due_ms: Millis | None = None
        """When to be told again at the latest: what failed is tried again."""

    def tend(
        self,
        leases: Iterable[GpuLease],
        is_kept_for_another: _IsKept = lambda *_: False,
    ) -> None:
        """Look for the nodes that need something, and start with the first; forget leases that are gone.

        `is_kept_for_another` says whether claims have a node by other leases alone, though their marks may be gone.
        """
        self.due_ms = None
        before, self._lines = self._lines, {}
        for lease in leases:
            uid = LeaseUID(lease.metadata.uid)
            line = self._lines[uid] = before.pop(uid) if uid in before else _Line(lease)
            line.lease = lease
            line.waiting = deque(islice(self._due(uid, line, is_kept_for_another), _MOST_WAITING))
            self._go_on(uid, line)
        for uid, line in before.items():
            line.waiting.clear()
            if line.tasks:
                self._lines[uid] = line

    def is_adopting(self, uid: LeaseUID) -> bool:
        """Say whether a node is being marked for a lease."""
        line = self._lines.get(uid)
        return line is not None and bool(line.tasks)

    async def close(self) -> None:
        """Stop all tasks."""
        tasks = [task for line in self._lines.values() for task in line.tasks.values()]
        for line in self._lines.values():
            line.waiting.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _due(self, uid: LeaseUID, line: _Line, is_kept: _IsKept) -> Iterator[NodeName]:
        """Yield the nodes whose turn it is; of the others, note when it is."""
        now = self._clock.monotonic()
        # waits that ended are dropped: a cluster may show new names without end
        line.again_at = {name: at for name, at in line.again_at.items() if at > now}
        cluster = self._cluster_for(uid, line.lease)
        if cluster is None:
            return
        if line.rests_until > now:
            self._look_again_in(line.rests_until - now)
            return
        nodes = cluster.nodes()
        shown = {NodeName(n.metadata.name) for n in nodes} if line.refusals else ()
        line.refusals = {n: each for n, each in line.refusals.items() if n in shown}
        for node in nodes:
            name = NodeName(node.metadata.name)
            if name in line.tasks or not _is_wanted(cluster, line.lease, node):
                continue
            seconds = line.wait_seconds(node, now)
            is_marked = LEASE_LABEL in node.metadata.labels
            if seconds <= 0 and not is_marked and is_kept(cluster, NodeUID(node.metadata.uid)):
                line.again_at[name], seconds = now + _RETRY_SECONDS, _RETRY_SECONDS
            if seconds > 0:
                self._look_again_in(seconds)
            else:
                yield name

    def _cluster_for(self, uid: LeaseUID, lease: GpuLease) -> LeasedCluster | None:
        """Return where a lease's nodes may be marked now, None if they may not."""
        cluster = self._cluster(uid)
        if cluster is None or not cluster.facts.is_isolated or not _is_guarded(lease):
            return None
        return None if is_over(lease, self._clock.now_ms()) else cluster

    def _go_on(self, uid: LeaseUID, line: _Line) -> None:
        """Start the next nodes, up to the bound."""
        while line.waiting and len(line.tasks) < _AT_ONCE:
            cluster = self._cluster_for(uid, line.lease)
            if cluster is None or line.rests_until > self._clock.monotonic():
                line.waiting.clear()
                return
            name = line.waiting.popleft()
            line.tasks[name] = asyncio.create_task(self._run(cluster, line, name))

    def _look_again_in(self, seconds: float) -> None:
        at_ms = Millis(self._clock.now_ms() + int(seconds * MS_PER_SECOND) + 1)
        self.due_ms = at_ms if self.due_ms is None else min(self.due_ms, at_ms)

    async def _run(self, cluster: LeasedCluster, line: _Line, name: NodeName) -> None:
        done = False
        try:
            done = await adopt(cluster, line.lease, name)
            line.in_a_row = 0
            line.refusals.pop(name, None)
        except KubeError as error:
            self._take_failure(cluster, line, name, error)
        finally:
            line.tasks.pop(name, None)
        if not done:
            line.again_at[name] = self._clock.monotonic() + _RETRY_SECONDS
        self._go_on(cluster.lease_uid, line)
        self._changed()

    def _take_failure(
        self, cluster: LeasedCluster, line: _Line, name: NodeName, error: KubeError
    ) -> None:
        """Say it, once for all nodes of a lease; where one after the other fails, none is tried for a while.

        A cluster that answers and refuses one node may take the next: those in front hold up none behind them.
        """
        now = self._clock.monotonic()
        if isinstance(error, Invalid | Forbidden):
            if (node := cluster.node(name)) is not None:
                line.note_refusal(node, now)
        else:
            line.in_a_row += 1
        if line.in_a_row >= _AT_ONCE:
            line.in_a_row, line.rests_until = 0, now + _RETRY_SECONDS
        if now - line.said_at >= _SAID_AGAIN_SECONDS:
            line.said_at = now
            log_about(lease=line.lease).warning("node not tended", node=name, error=str(error))


def _is_wanted(cluster: LeasedCluster, lease: GpuLease, node: Node) -> bool:
    """Say whether a node is to be adopted, mended, or looked at again for foreign pods."""
    foreign = cluster.is_foreign(NodeName(node.metadata.name))
    return foreign or wants_adoption(node, lease) or wants_mending(node, lease)


def _is_guarded(lease: GpuLease) -> bool:
    """Say whether the lease can't vanish before its nodes are handed back."""
    is_known = lease.status.cluster_uid is not None  # else nobody would look for marks there
    return is_known and IN_USE_FINALIZER in lease.metadata.finalizers
