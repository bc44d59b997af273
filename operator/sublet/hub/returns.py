"""Hands nodes back that carry a lease's mark and aren't the lease's any more: it is over, or its selector changed.

Driven by the loop after every pass; the writer asks it whether a lease that is deleted may go. Both are decided from a
live list by the lease's label, never from the watch, which doesn't show a node that left the selector. It is made
once per connection and change of the lease; again when such a node was touched, or the watch lost one; and while the
lease is over until no node carries its mark.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final

from sublet.api.gpulease import GpuLease
from sublet.api.ids import LeaseUID, NodeName
from sublet.api.times import MS_PER_SECOND, Millis
from sublet.binder.marks import read_marked, wants_return
from sublet.binder.nodes import hand_back
from sublet.clock import Clock
from sublet.fleet.cluster import LeasedCluster
from sublet.kube.errors import KubeError
from sublet.logs import log_about

_AT_ONCE: Final = 16
_AGAIN_SECONDS: Final = 1.0
"""After a look that went well: the watch may not have shown yet what it did."""
_RETRY_SECONDS: Final = 10.0
"""After one that didn't."""
_HELD_SECONDS: Final = 60.0
"""While claims hold nodes of a lease that is over and the watch doesn't show them."""


def is_over(lease: GpuLease, now_ms: Millis) -> bool:
    """Say whether a lease is done with its nodes: deleted, lost, or at its end."""
    end = lease.spec.term.end_time
    ended = end is not None and now_ms >= end
    return lease.metadata.deletion_timestamp is not None or ended or lease.is_lost


@dataclass(frozen=True, slots=True)
class _Look:
    """What one live list, and the handing back after it, came to."""

    cluster: LeasedCluster
    generation: int
    """Of the lease, whose deletion is a change, too."""
    is_over: bool
    marked: int | None
    """Nodes that carry the mark after it; None if that couldn't be seen."""
    touched: int
    """`strays_touched` of the connection before the list."""
    again_at: float
    """Not before (monotonic seconds)."""
    due_at: float
    """Monotonic seconds at which it is made again, whatever the watch shows."""

    def is_of(self, cluster: LeasedCluster, lease: GpuLease) -> bool:
        """Say whether it was made by this connection for the lease as it is."""
        return self.cluster is cluster and self.generation == lease.metadata.generation


class Returns:
    """Hands nodes back, lease by lease."""

    def __init__(
        self,
        cluster: Callable[[LeaseUID], LeasedCluster | None],
        clock: Clock,
        changed: Callable[[], None],
        is_adopting: Callable[[LeaseUID], bool],
    ) -> None:
        """`cluster` returns a lease's connection if the identity of what it leads to is proven.

        `is_adopting` says whether a node is being marked, by a task from before the lease was over.
        """
        self._cluster = cluster
        self._clock = clock
        self._changed = changed
        self._is_adopting = is_adopting
        self._looks: dict[LeaseUID, _Look] = {}
        self._tasks: dict[LeaseUID, asyncio.Task[None]] = {}
        self.due_ms: Millis | None = None
        """When to be told again at the latest: a lease ends, or a look is due."""

    def tend(self, leases: Iterable[GpuLease]) -> None:
        """Start the looks that are due."""
        now_ms = self._clock.now_ms()
        self.due_ms = None
        leases = tuple(leases)
        gone = self._looks.keys() - {lease.metadata.uid for lease in leases}
        for uid in gone:
            del self._looks[uid]
        for lease in leases:
            end, over = lease.spec.term.end_time, is_over(lease, now_ms)
            if end is not None and not over:
                self._look_again_at(end)
            cluster = self._cluster(LeaseUID(lease.metadata.uid))
            if cluster is not None:
                self._tend(cluster, lease, over=over)

    def marked(self, lease: GpuLease) -> int | None:
        """Return how many nodes carry the mark of a lease that is over; None while that isn't known.

        Nothing is marked any more while it is over, so a list from then holds for as long.
        """
        uid = LeaseUID(lease.metadata.uid)
        look, cluster = self._looks.get(uid), self._cluster(uid)
        if look is None or cluster is None or not look.is_over or not look.is_of(cluster, lease):
            return None
        return look.marked

    async def close(self) -> None:
        """Stop all tasks."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _tend(self, cluster: LeasedCluster, lease: GpuLease, *, over: bool) -> None:
        uid = cluster.lease_uid
        if uid in self._tasks or (over and self._is_adopting(uid)):
            return  # told again when that is done
        look = self._looks.get(uid)
        if look is not None and (look.is_over != over or not look.is_of(cluster, lease)):
            look = None
            del self._looks[uid]
        due_at = float("-inf") if look is None else self._due_at(look, lease)
        left = due_at - self._clock.monotonic()
        if left <= 0:
            self._tasks[uid] = asyncio.create_task(self._run(cluster, lease, over=over))
        elif left < float("inf"):
            self._look_again_at(Millis(self._clock.now_ms() + int(left * MS_PER_SECOND) + 1))

    @staticmethod
    def _due_at(look: _Look, lease: GpuLease) -> float:
        """Return when to look again: soon if a node is seen that may be free, by the watch or by what touched it."""
        is_asked = look.cluster.strays_touched != look.touched or (
            look.is_over
            and any(wants_return(n.metadata, lease, is_over=True) for n in look.cluster.nodes())
        )
        return look.again_at if is_asked else look.due_at

    def _look_again_at(self, at_ms: Millis) -> None:
        self.due_ms = at_ms if self.due_ms is None else min(self.due_ms, at_ms)

    async def _run(self, cluster: LeasedCluster, lease: GpuLease, *, over: bool) -> None:
        uid, failed_at = cluster.lease_uid, self._clock.monotonic() + _RETRY_SECONDS
        generation = lease.metadata.generation
        look = _Look(cluster, generation, over, None, cluster.strays_touched, failed_at, failed_at)
        try:
            look = await self._look(look, lease)
        except KubeError as error:
            log_about(lease=lease).warning("marked nodes not listed", error=str(error))
        finally:
            self._tasks.pop(uid, None)
        self._looks[uid] = look
        self._changed()

    async def _look(self, look: _Look, lease: GpuLease) -> _Look:
        """List the marked nodes, hand back those that are free, and say what is left."""
        cluster, touched = look.cluster, look.cluster.strays_touched
        marked = await read_marked(cluster, lease, is_over=look.is_over)
        are_back = all(await self._hand_back(cluster, lease, marked.to_return))
        if marked.to_return:
            touched = cluster.strays_touched
            marked = await read_marked(cluster, lease, is_over=look.is_over)
        now = self._clock.monotonic()
        if not are_back:
            again_at = due_at = now + _RETRY_SECONDS
        else:
            again_at = now + _AGAIN_SECONDS
            due_at = now + _HELD_SECONDS if look.is_over and marked.count else float("inf")
        return replace(look, marked=marked.count, touched=touched, again_at=again_at, due_at=due_at)

    @staticmethod
    async def _hand_back(
        cluster: LeasedCluster, lease: GpuLease, wanted: Iterable[NodeName]
    ) -> list[bool]:
        slots = asyncio.Semaphore(_AT_ONCE)

        async def back(name: NodeName) -> bool:
            try:
                async with slots:
                    return await hand_back(cluster, lease, name)
            except KubeError as error:
                log_about(lease=lease).warning("node not tended", node=name, error=str(error))
                return False

        return await asyncio.gather(*(back(name) for name in wanted))
