"""Keeps nodes in step with leases while they live: adopts what appears, mends what lost its mark.

Driven by the loop after every pass; each node has one task at a time and each lease a bound, so that thousands of new
nodes don't crowd out claims.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from sublet.api.gpulease import GpuLease
from sublet.api.ids import LeaseUID, NodeName
from sublet.api.kinds import IN_USE_FINALIZER
from sublet.api.times import MS_PER_SECOND, Millis
from sublet.binder.nodes import adopt, wants_adoption, wants_mending
from sublet.clock import Clock
from sublet.fleet.cluster import LeasedCluster
from sublet.hub.returns import is_over
from sublet.kube.errors import KubeError
from sublet.kube.wire import Node
from sublet.logs import log_about

Work = Callable[[LeasedCluster, GpuLease, NodeName], Awaitable[bool]]

_AT_ONCE: Final = 16
_RETRY_SECONDS: Final = 10.0


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
        self._tasks: dict[
            tuple[LeaseUID, NodeName], asyncio.Task[None]
        ] = {}  # node of a lease -> its task
        self._slots: dict[LeaseUID, asyncio.Semaphore] = {}  # lease UID -> bound
        self._again_at: dict[
            tuple[LeaseUID, NodeName], float
        ] = {}  # node -> not before (monotonic seconds)
        self.due_ms: Millis | None = None
        """When to be told again at the latest: what failed is tried again."""

    def tend(self, leases: Iterable[GpuLease]) -> None:
        """Start what nodes need that don't have a task yet."""
        now = self._clock.now_ms()
        self.due_ms = None
        self._forget_what_is_over()
        for lease in leases:
            uid = LeaseUID(lease.metadata.uid)
            cluster = self._cluster(uid)
            if cluster is None or not cluster.facts.is_isolated or not _is_guarded(lease):
                continue
            if is_over(lease, now):
                continue
            for node in cluster.nodes():
                if self._is_wanted(cluster, lease, node):
                    self._start(adopt, cluster, lease, NodeName(node.metadata.name))

    def is_adopting(self, uid: LeaseUID) -> bool:
        """Say whether a node is being marked for a lease."""
        return any(lease_uid == uid for lease_uid, _ in self._tasks)

    @staticmethod
    def _is_wanted(cluster: LeasedCluster, lease: GpuLease, node: Node) -> bool:
        """Say whether a node is to be adopted, mended, or looked at again for foreign pods."""
        foreign = cluster.is_foreign(NodeName(node.metadata.name))
        return foreign or wants_adoption(node, lease) or wants_mending(node, lease)

    async def close(self) -> None:
        """Stop all tasks."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, work: Work, cluster: LeasedCluster, lease: GpuLease, name: NodeName) -> None:
        key = (cluster.lease_uid, name)
        if key in self._tasks:
            return
        left = self._again_at.get(key, 0.0) - self._clock.monotonic()
        if left > 0:
            self._look_again_at(Millis(self._clock.now_ms() + int(left * MS_PER_SECOND) + 1))
            return
        self._tasks[key] = asyncio.create_task(self._run(work, cluster, lease, name))

    def _forget_what_is_over(self) -> None:
        """Drop waits that ended: a cluster may show new names without end."""
        now = self._clock.monotonic()
        self._again_at = {key: at for key, at in self._again_at.items() if at > now}

    def _look_again_at(self, at_ms: Millis) -> None:
        self.due_ms = at_ms if self.due_ms is None else min(self.due_ms, at_ms)

    async def _run(
        self, work: Work, cluster: LeasedCluster, lease: GpuLease, name: NodeName
    ) -> None:
        key = (cluster.lease_uid, name)
        slots = self._slots.setdefault(key[0], asyncio.Semaphore(_AT_ONCE))
        try:
            async with slots:
                done = await work(cluster, lease, name)
        except KubeError as error:
            done = False
            log_about(lease=lease).warning("node not tended", node=name, error=str(error))
        finally:
            self._tasks.pop(key, None)
        if done:
            self._again_at.pop(key, None)
        else:
            self._again_at[key] = self._clock.monotonic() + _RETRY_SECONDS
        self._changed()


def _is_guarded(lease: GpuLease) -> bool:
    """Say whether the lease can't vanish before its nodes are handed back."""
    is_known = lease.status.cluster_uid is not None  # else nobody would look for marks there
    return is_known and IN_USE_FINALIZER in lease.metadata.finalizers
