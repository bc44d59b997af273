"""What claims leave in clusters by a person's word: listed in the lease's status, cleaned when the cluster answers.

Of a lost lease the list is written with the word itself, so that a restart knows it. Cleaning is one task per lease, tried
again until a live look shows nothing; a claim that still holds nodes there by the hub is left alone until it doesn't,
also one that can't be read. What is known of the hub only says whom to leave alone; the hub itself is asked before
anything is destroyed. What the cluster refuses of one claim holds up no other.
What the list has no room for is counted: nobody waits for a lost cluster. If it comes back, the looks for drift find the
rest as orphans, and the ledger says that they are over.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import partial
from typing import Final

from sublet.api.gpuclaim import GpuClaim
from sublet.api.gpulease import GpuLease
from sublet.api.ids import ClaimUID, LeaseUID
from sublet.api.last_word import Leftover, LostStatus, count_fitting
from sublet.api.move_status import all_nodes
from sublet.api.origin import former_uid, has_bare_status
from sublet.api.times import Millis
from sublet.binder.forced import leftover_of
from sublet.binder.leftovers import clear
from sublet.binder.ports import ClusterRefuses, ClusterSilent, Overtaken, StillThere, Tools
from sublet.book.holdings import holds
from sublet.book.inventory import Reach
from sublet.clock import in_ms
from sublet.fleet.cluster import LeasedCluster
from sublet.fleet.facts import Orphans
from sublet.hub.keepers import Keepers
from sublet.hub.state import Shelf
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
        claims: Shelf[GpuClaim],
        connection: Callable[[LeaseUID], LeasedCluster | None],
        changed: Callable[[], None],
    ) -> None:
        """`connection` returns a lease's connection, whatever its state."""
        self._tools = tools
        self._claims = claims
        self._connection = connection
        self._changed = changed
        self._keepers = Keepers(tools)
        self._tasks: dict[LeaseUID, asyncio.Task[None]] = {}  # lease UID -> its task
        self._again_at: dict[LeaseUID, float] = {}  # lease UID -> not before (monotonic seconds)
        self._ended_at: dict[LeaseUID, str] = {}  # lease UID -> claim at which the last round ended
        self._waits_for: float | None = None

    @property
    def due_ms(self) -> Millis | None:
        """Return when to be told again at the latest; None if nothing is left anywhere that answers."""
        return in_ms(self._waits_for, self._tools.clock)

    def tend(self, leases: Iterable[GpuLease]) -> None:
        """Start to clean where something is left, the cluster answers, and nothing is under way."""
        now, self._waits_for = self._tools.clock.monotonic(), None
        self._again_at = {uid: at for uid, at in self._again_at.items() if at > now}
        listed = {x.metadata.uid: x for x in leases if x.status.leftovers}
        self._ended_at = {uid: at for uid, at in self._ended_at.items() if uid in listed}
        self._keepers.note(x.claim_uid for each in listed.values() for x in each.status.leftovers)
        for lease in listed.values():
            uid = LeaseUID(lease.metadata.uid)
            cluster = self._answering(uid)
            if uid in self._tasks or cluster is None:
                continue
            if (again := self._again_at.get(uid)) is not None:
                self._waits_for = min(self._waits_for or again, again)
            elif ready := self._ready(lease):
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

    def _ready(self, lease: GpuLease) -> list[Leftover]:
        """Return what may be cleaned, first what is behind the one at which the last round ended."""
        unread, listed = self._unread(), lease.status.leftovers
        last = self._ended_at.get(LeaseUID(lease.metadata.uid))
        begin = next((i + 1 for i, x in enumerate(listed) if x.claim_uid == last), 0)
        in_turn = (*listed[begin:], *listed[:begin])
        return [x for x in in_turn if not self._is_held(lease, x.claim_uid, unread)]

    def _is_held(
        self, lease: GpuLease, claim_uid: str, unread: Mapping[str, Collection[str]]
    ) -> bool:
        """Say whether a claim may hold nodes in that cluster, by what was read of it last and by what wasn't.

        Of one that was restored and has no status yet nobody knows what it holds.
        """
        claim = self._claims.sought(claim_uid)
        if claim is not None and has_bare_status(claim):
            return True
        known = all_nodes(claim) if claim is not None and holds(claim) else ()
        uids = {*(p.lease_uid for p in known), *unread.get(claim_uid, ())}
        return any(self._keepers.may_be_there(lease, LeaseUID(uid)) for uid in uids)

    async def _ask(self, lease: GpuLease, left: Leftover) -> None:
        """Raise Overtaken if a claim keeps it: by the hub, live, or by what a watch has told since the round began."""
        if self._is_held(lease, left.claim_uid, self._unread()):
            raise Overtaken(f"claim {left.claim_uid} may hold nodes there")
        await self._keepers.ask(lease, left)

    def _unread(self) -> dict[str, set[str]]:
        """Return claim UID -> UIDs of the leases that its status names, of claims that can't be read."""
        found: dict[str, set[str]] = {}
        for each in self._claims.untaken():
            if each.holder is not None:
                found.setdefault(former_uid(each.body), set()).update(each.holder.leases)
        return found

    async def _clean(
        self, lease: GpuLease, leftovers: list[Leftover], cluster: LeasedCluster
    ) -> None:
        uid, wait = LeaseUID(lease.metadata.uid), 0.0
        try:
            for left in leftovers:
                log = log_about(lease=lease, claim_uid=ClaimUID(left.claim_uid))
                try:
                    guard = partial(self._ask, lease, left)
                    await clear(lease, left, cluster, self._tools, guard)
                    log.info("leftovers cleaned", word_of=left.by)
                except StillThere as reason:
                    wait = max(wait, min(reason.wait_seconds, 30.0))
                except Overtaken as reason:
                    log.info("leftovers not cleaned", reason=str(reason))
                    wait = max(wait, _RETRY_SECONDS)
                except ClusterRefuses as error:
                    log.warning("leftovers not cleaned", error=str(error))
                    wait = max(wait, _RETRY_SECONDS)
                except (ClusterSilent, KubeError) as error:
                    log.warning("leftovers not cleaned", error=str(error))
                    wait = _RETRY_SECONDS
                    # it or the hub may be away; if it is about this one alone, the others come first next time
                    self._ended_at[uid] = left.claim_uid
                    break
                except Exception:
                    log.exception("leftovers not cleaned")
                    wait = max(wait, _RETRY_SECONDS)
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
