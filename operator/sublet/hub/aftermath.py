"""What claims leave in clusters by a person's word: listed in the lease's status, cleaned when the cluster answers.

Of a lost lease the list is written with the word itself, so that a restart knows it. Cleaning is one task per lease, tried
again until a live look shows nothing; a claim that still holds nodes there by the hub is left alone until it doesn't.
What the list has no room for is counted: nobody waits for a lost cluster. If it comes back, the looks for drift find the
rest as orphans, and the ledger says that they are over.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from sublet.api.gpuclaim import GpuClaim
from sublet.api.gpulease import GpuLease
from sublet.api.ids import ClaimUID, LeaseUID
from sublet.api.last_word import Leftover, LostStatus, count_fitting
from sublet.api.move_status import all_nodes
from sublet.api.times import Millis
from sublet.binder.forced import leftover_of
from sublet.binder.leftovers import clear
from sublet.binder.ports import ClusterRefuses, ClusterSilent, StillThere, Tools
from sublet.book.holdings import holds
from sublet.book.inventory import Reach
from sublet.clock import in_ms
from sublet.fleet.cluster import LeasedCluster
from sublet.fleet.facts import Orphans
from sublet.kube.errors import KubeError
from sublet.logs import log_about

_RETRY_SECONDS: Final = 5.0


def left_there(
    lease: GpuLease, lost: LostStatus, claims: Iterable[GpuClaim], now_ms: Millis
) -> tuple[tuple[Leftover, ...], int]:
    """Return a lost lease's leftovers: those that are known, and what every claim that holds nodes there will leave.

    And of how many claims more there is no room to say it.
    """
    known = {left.claim_uid for left in lease.status.leftovers}
    found = [
        leftover_of(claim, lease.metadata.uid, lost.by, now_ms)
        for claim in _on(lease, claims)
        if claim.metadata.uid not in known
    ]
    new = sorted(found, key=lambda left: left.claim_uid)
    fitting = count_fitting(lease.status.leftovers, new)
    return (*lease.status.leftovers, *new[:fitting]), len(new) - fitting


def left_beside(lease: GpuLease, more: int, orphans: Orphans) -> int | None:
    """Return how many claims of a lost lease left something that isn't listed; `more`: those that still hold nodes by the hub.

    They stay counted when they have ended, until the list is done with and a look found nobody's namespace or entry.
    """
    are_gone = not lease.status.leftovers and orphans.message and not orphans.reason
    before = 0 if are_gone else lease.status.leftovers_more or 0
    return max(before, more) or None


class Aftermath:
    """Cleans what was left behind."""

    def __init__(
        self,
        tools: Tools,
        claim: Callable[[str], GpuClaim | None],
        connection: Callable[[LeaseUID], LeasedCluster | None],
        changed: Callable[[], None],
    ) -> None:
        """`claim` returns a claim of the hub by UID, `connection` a lease's connection, whatever its state."""
        self._tools = tools
        self._claim = claim
        self._connection = connection
        self._changed = changed
        self._tasks: dict[LeaseUID, asyncio.Task[None]] = {}  # lease UID -> its task
        self._again_at: dict[LeaseUID, float] = {}  # lease UID -> not before (monotonic seconds)
        self._waits_for: float | None = None

    @property
    def due_ms(self) -> Millis | None:
        """Return when to be told again at the latest; None if nothing is left anywhere that answers."""
        return in_ms(self._waits_for, self._tools.clock)

    def tend(self, leases: Iterable[GpuLease]) -> None:
        """Start to clean where something is left, the cluster answers, and nothing is under way."""
        now, self._waits_for = self._tools.clock.monotonic(), None
        self._again_at = {uid: at for uid, at in self._again_at.items() if at > now}
        for lease in leases:
            uid = LeaseUID(lease.metadata.uid)
            cluster = self._answering(uid)
            if not lease.status.leftovers or uid in self._tasks or cluster is None:
                continue
            if (again := self._again_at.get(uid)) is not None:
                self._waits_for = min(self._waits_for or again, again)
            elif ready := [x for x in lease.status.leftovers if not self._is_held(lease, x)]:
                self._tasks[uid] = asyncio.create_task(self._clean(lease, ready, cluster))

    async def close(self) -> None:
        """Stop all tasks; whatever they were at is begun again."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _answering(self, uid: LeaseUID) -> LeasedCluster | None:
        found = self._connection(uid)
        if found is None or not found.writable or found.facts.reach is not Reach.REACHABLE:
            return None
        return found

    def _is_held(self, lease: GpuLease, left: Leftover) -> bool:
        """Say whether the claim still holds nodes in that cluster, by this lease or another: its namespace is in use."""
        claim = self._claim(left.claim_uid)
        if claim is None or not holds(claim):
            return False
        uids = {LeaseUID(p.lease_uid) for p in all_nodes(claim)}
        found = [self._tools.lease(uid) for uid in uids]
        clusters = {x.status.cluster_uid for x in found if x is not None}
        return lease.metadata.uid in uids or lease.status.cluster_uid in clusters

    async def _clean(
        self, lease: GpuLease, leftovers: list[Leftover], cluster: LeasedCluster
    ) -> None:
        uid, wait = LeaseUID(lease.metadata.uid), 0.0
        try:
            for left in leftovers:
                log = log_about(lease=lease, claim_uid=ClaimUID(left.claim_uid))
                try:
                    await clear(lease, left, cluster, self._tools)
                    log.info("leftovers cleaned", word_of=left.by)
                except StillThere as reason:
                    wait = max(wait, min(reason.wait_seconds, 30.0))
                except (ClusterSilent, ClusterRefuses, KubeError) as error:
                    log.warning("leftovers not cleaned", error=str(error))
                    wait = _RETRY_SECONDS
                    break
                except Exception:
                    log.exception("leftovers not cleaned")
                    wait = _RETRY_SECONDS
                    break
        finally:
            self._tasks.pop(uid, None)
            self._again_at[uid] = self._tools.clock.monotonic() + max(wait, 1.0)
            self._changed()


def _on(lease: GpuLease, claims: Iterable[GpuClaim]) -> Iterator[GpuClaim]:
    """Yield the claims that hold nodes of a lease."""
    uid = lease.metadata.uid
    for claim in claims:
        if holds(claim) and any(p.lease_uid == uid for p in all_nodes(claim)):
            yield claim
