"""Looks at every leased cluster now and then, and early where nodes changed; starts what has to be put right.

Driven by the loop after each pass, level by level: one look per cluster at a time, a few clusters at once, no task per
object. A look compares what is there with what the hub says and writes nothing itself while all is well. What can't be
put right is kept as findings, which the loop tells claims; what is nobody's shows in the lease's condition Orphaned.

Every look ends: a cluster that answers each request just in time could make one last for hours. Where the time runs out
the cluster counts as not looked at, and until a look there ends in time its looks wait for each other alone.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from sublet.api.gpuclaim import GpuClaim
from sublet.api.gpulease import GpuLease
from sublet.api.ids import ClaimUID, ClusterUID, LeaseUID, NodeName, NodeUID
from sublet.api.times import MS_PER_SECOND, Millis
from sublet.binder.binder import Binder
from sublet.binder.ports import Tools
from sublet.book.inventory import LeaseInventory, Unfit
from sublet.drift.claims import Claims
from sublet.drift.lookout import Lookout, Place
from sublet.drift.mend import mending
from sublet.drift.news import News
from sublet.drift.orphans import Orphan
from sublet.drift.sweeper import Sweeper, lasting_of
from sublet.drift.turns import Turns
from sublet.fleet.cluster import LeasedCluster
from sublet.fleet.facts import NOT_LOOKED, Orphans
from sublet.kube.errors import Forbidden, KubeError
from sublet.ledger.port import LedgerUnavailable
from sublet.logs import log_about

_AT_ONCE: Final = 4
"""Clusters that are looked at at once."""
_LONGEST_SECONDS: Final = 90.0
"""Of one look, of which hundreds of pages take a few."""
_EARLY_SECONDS: Final = 2.0
"""After nodes fell into a state of interest; so long a burst of them is one look."""
_APART_SECONDS: Final = 10.0
"""Between two looks at a cluster, however much happens, and the age at which who has what is read anew."""
_OF_INTEREST: Final = frozenset(
    {
        Unfit.BOOK_UNREADABLE,
        Unfit.QUARANTINED,
        Unfit.NODE_OVERLAP,
        Unfit.FOREIGN_PODS,
        Unfit.WRONG_PRODUCT,
        Unfit.MIG,
        Unfit.SHARING,
        Unfit.NOT_ADOPTED,
    }
)


@dataclass(slots=True)
class _Watch:
    """One cluster's looks."""

    due: float = 0.0
    """Monotonic seconds."""
    last: float = float("-inf")
    """When the last one began."""
    inventories: tuple[LeaseInventory, ...] = ()
    states: frozenset[tuple[NodeName, Unfit]] = frozenset()
    """Nodes in a state of interest, as noticed last."""
    is_slow: bool = False
    """The last look's time ran out."""
    task: asyncio.Task[None] | None = None


class Drift:
    """The looks at all clusters, and what came of them."""

    def __init__(
        self,
        *,
        cluster: Callable[[LeaseUID], LeasedCluster | None],
        claims: Callable[[], Iterable[GpuClaim]],
        claim: Callable[[ClaimUID], GpuClaim | None],
        awaited: Callable[[], Iterable[GpuClaim]],
        binder: Binder,
        tools: Tools,
        sweeper: Sweeper,
        changed: Callable[[], None],
        every_seconds: float,
    ) -> None:
        self._cluster = cluster
        self._claims = claims
        self._awaited = awaited
        self._binder = binder
        self._tools = tools
        self._sweeper = sweeper
        self._changed = changed
        self._every_seconds = every_seconds
        self._watches: dict[ClusterUID, _Watch] = {}
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._slow_slot = asyncio.Semaphore(1)
        self._turns = Turns(claim, binder.mend)
        self.news = News()
        self._lookout = Lookout(tools, self.news)
        self._index = Claims(())
        self._indexed_at = float("-inf")
        self.due_ms: Millis | None = None
        """When to be told again at the latest, if no look ends before."""

    def tend(self, leases: Iterable[GpuLease]) -> None:
        """Start the looks that are due."""
        by_cluster: dict[ClusterUID, list[Place]] = {}
        lost: dict[ClusterUID, list[GpuLease]] = {}
        leases = tuple(leases)
        self._sweeper.recall(leases)
        for lease in leases:
            cluster = self._cluster(LeaseUID(lease.metadata.uid))
            if cluster is not None and cluster.facts.synced and cluster.facts.cluster_uid:
                by_cluster.setdefault(cluster.facts.cluster_uid, []).append(Place(lease, cluster))
            gone = lease.status.cluster_uid if lease.is_lost else None
            if gone is not None and lease.spec.release_orphans:  # a person's word needs no look
                by_cluster.setdefault(ClusterUID(gone), [])
                lost.setdefault(ClusterUID(gone), []).append(lease)
        for uid in self._watches.keys() - by_cluster.keys():
            self._drop(uid)
        self._forget_what_is_gone(leases, by_cluster)
        now, due = self._tools.clock.monotonic(), []
        for uid, places in by_cluster.items():
            watch = self._watches.setdefault(uid, _Watch())
            if self._is_news(watch, places):
                apart = min(_APART_SECONDS, self._every_seconds)
                watch.due = min(watch.due, max(now + _EARLY_SECONDS, watch.last + apart))
            is_idle = watch.task is None or watch.task.done()
            if is_idle and watch.due <= now:
                watch.last, watch.due = now, now + self._every_seconds
                watch.task = asyncio.create_task(
                    self._look(uid, places, lost.get(uid, []), watch), name=f"drift {uid}"
                )
            elif is_idle:
                due.append(watch.due - now)  # one that is under way tells when it ends
        wait = min(due, default=None)
        self.due_ms = (
            Millis(self._tools.clock.now_ms() + int(wait * MS_PER_SECOND) + 1)
            if wait is not None
            else None
        )

    def _forget_what_is_gone(
        self, leases: Collection[GpuLease], looked_at: Collection[ClusterUID]
    ) -> None:
        """Forget clusters to which no lease leads any more; one that can't be reached now is looked at again."""
        known = (lease.status.cluster_uid for lease in leases)
        clusters = {*looked_at, *(ClusterUID(uid) for uid in known if uid is not None)}
        self._lookout.keep(clusters, {LeaseUID(x.metadata.uid) for x in leases})
        self._sweeper.keep(clusters)
        self.news.forget(clusters)

    def is_kept_for_another(self, cluster: LeasedCluster, uid: NodeUID) -> bool:
        """Say whether claims have a node by other leases of its cluster alone, which put their marks back."""
        at = cluster.facts.cluster_uid
        found = self._who_has_what().holders(uid, at) if at is not None else ()
        return bool(found) and all(h.lease_uid != cluster.lease_uid for h in found)

    async def close(self) -> None:
        """Stop all looks."""
        tasks = [w.task for w in self._watches.values() if w.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._sweeper.close()

    @staticmethod
    def _is_news(watch: _Watch, places: list[Place]) -> bool:
        """Say whether other nodes than before are in a state of interest."""
        inventories = tuple(p.cluster.inventory() for p in places)
        if all(a is b for a, b in zip(inventories, watch.inventories, strict=False)) and len(
            inventories
        ) == len(watch.inventories):
            return False
        watch.inventories = inventories
        before, watch.states = (
            watch.states,
            frozenset(
                (n.name, n.unfit)
                for x in inventories
                for n in x.nodes.values()
                if n.unfit in _OF_INTEREST
            ),
        )
        return before != watch.states

    def _who_has_what(self) -> Claims:
        """Return an index of all claims that isn't old: what it can't know yet is looked at live before anything is done."""
        now = self._tools.clock.monotonic()
        if now - self._indexed_at > min(_APART_SECONDS, self._every_seconds) / 2:
            self._index = Claims(self._claims(), self._awaited(), self._tools.lease)
            self._indexed_at = now
        return self._index

    def _drop(self, uid: ClusterUID) -> None:
        self._turns.drop(uid)
        task = self._watches.pop(uid).task
        if task is not None:
            task.cancel()

    async def _look(
        self, uid: ClusterUID, places: list[Place], lost: list[GpuLease], watch: _Watch
    ) -> None:
        """Look once at one cluster, and at what a person says of its lost leases; nothing raised here leaves this task."""
        with _telling(uid, places):
            async with self._slow_slot if watch.is_slow else self._slots:
                claims, found = self._who_has_what(), None
                with _telling(uid, places):
                    found = await self._look_at(uid, places, claims, watch) if places else None
                looked = places if found is not None else []
                if looked or lost:
                    await self._sweeper.tend(uid, looked, found or (), claims, lost)
        self._changed()

    async def _look_at(
        self, uid: ClusterUID, places: list[Place], claims: Claims, watch: _Watch
    ) -> tuple[Orphan, ...] | None:
        """Look at a cluster that is connected and have mended what can be; returns its orphans, None if the time ran out."""
        try:
            async with asyncio.timeout(_LONGEST_SECONDS):
                found = await self._lookout.look(uid, places, claims, self._binder.is_busy)
        except TimeoutError:
            watch.is_slow = True
            said = f"a look at the cluster didn't end within {_LONGEST_SECONDS:.0f} seconds; it is looked at again"
            _say_not_looked(places, said)
            log = log_about(cluster_uid=uid, leases=[p.lease for p in places])
            log.warning("drift not looked for", error=said)
            return None
        watch.is_slow = False
        if found.has_more:
            watch.due = watch.last + min(_APART_SECONDS, self._every_seconds)
        self._turns.take(uid, found.unwell, mending(uid, self._tools, self.news.note))
        return found.orphans


@contextmanager
def _telling(uid: ClusterUID, places: Collection[Place]) -> Iterator[None]:
    """Say on its leases why a cluster wasn't looked at; nothing goes on from here but a cancellation."""
    log = log_about(cluster_uid=uid, leases=[p.lease for p in places])
    try:
        yield
    except Forbidden as error:
        for place in places:
            place.cluster.doubt()  # which right it is, the lease says of all at once
        said = f"a right is missing ({error.message[:200]}); run `sublet onboard` for this cluster again"
        _say_not_looked(places, said)
        log.warning("drift not looked for", error=str(error))
    except (KubeError, LedgerUnavailable) as error:
        why = str(error)[:200] if isinstance(error, KubeError) else "the ledger can't be read"
        _say_not_looked(places, f"the last look failed ({why}); it is looked at again")
        log.warning("drift not looked for", error=str(error))
    except Exception:
        said = "the last look failed by a fault of the operator's, which its log shows"
        _say_not_looked(places, said)
        log.exception("drift not looked for")


def _say_not_looked(places: Iterable[Place], why: str) -> None:
    """Say that it is unknown what is there; but what only a person ends goes on being said, for the next process to read."""
    for place in places:
        if lasting_of(place.lease) is None:
            place.cluster.note_orphans(Orphans(NOT_LOOKED, why))
