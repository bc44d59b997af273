"""Finds out whose orphans are, by the hub and the ledger, and takes back what is nobody's.

Nothing is done at first sight, and nothing while the hub looks older than the ledger or too much vanished at once. At
most one taking back is under way per orphan; what is left to do is found again by the next look.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from sublet.api.common import find_condition, is_true
from sublet.api.gpulease import GpuLease
from sublet.api.ids import ClaimUID, ClusterUID
from sublet.api.kinds import CLAIMS
from sublet.api.origin import awaited_uids, backup_times, former_uid, is_awaited
from sublet.api.times import Millis
from sublet.binder.claims import read
from sublet.binder.ports import ClusterRefuses, ClusterSilent, Overtaken, StillThere, Tools
from sublet.drift.claims import Claims
from sublet.drift.clear import Clearing, Ledger
from sublet.drift.lookout import Place
from sublet.drift.orphans import (
    LASTING,
    Fate,
    Orphan,
    Witness,
    fate_of,
    too_many,
    words,
)
from sublet.fleet.facts import Orphans
from sublet.kube.errors import KubeError, Unreachable
from sublet.kube.identity import read_cluster_uid
from sublet.kube.versions import version_number
from sublet.ledger.port import LedgerConflict, LedgerUnavailable
from sublet.logs import log_about

_NEWEST: Final = 200
"""Lines of the ledger from which the hub's newest known version is read."""
_MOST_CASES: Final = 10_000
"""So many are remembered though they aren't shown any more; a cluster could name new ones for ever."""
_Key = tuple[ClusterUID, ClaimUID]


@dataclass(slots=True)
class _Case:
    """One orphan over time."""

    absent_ms: Millis
    """When the hub was first seen without it."""
    lasting: Fate | None = None
    """What was found that only a person ends."""
    clearing: Clearing | None = None
    task: asyncio.Task[None] | None = None

    @property
    def is_under_way(self) -> bool:
        """Say whether it is being taken back."""
        return self.task is not None and not self.task.done()


class Sweeper:
    """The orphans of all clusters."""

    def __init__(
        self, tools: Tools, ledger: Ledger, hub_uid: Callable[[], ClusterUID | None]
    ) -> None:
        self._tools = tools
        self._ledger = ledger
        self._hub_uid = hub_uid
        self._cases: dict[_Key, _Case] = {}
        self._ending = asyncio.Lock()
        self._said: dict[str, Fate | None] = {}
        """lease UID -> what its condition said that lasts, when this process saw it first"""

    def recall(self, leases: Iterable[GpuLease]) -> None:
        """Take over what another process said that lasts, before it is said anew; what isn't among the leases is gone."""
        before, self._said = self._said, {}
        for lease in leases:
            uid = lease.metadata.uid
            self._said[uid] = before[uid] if uid in before else lasting_of(lease)

    def keep(self, clusters: Collection[ClusterUID]) -> None:
        """Forget the orphans of all clusters but these, unless one is being taken back."""
        for key, case in [(k, c) for k, c in self._cases.items() if k[0] not in clusters]:
            if not case.is_under_way:
                del self._cases[key]

    async def tend(
        self,
        cluster: ClusterUID,
        places: Sequence[Place],
        orphans: Sequence[Orphan],
        claims: Claims,
    ) -> None:
        """Judge what a look found; raises the hub's errors and LedgerUnavailable."""
        there = {(cluster, o.claim_uid) for o in orphans}
        for key in [k for k in self._cases if k[0] == cluster and k not in there]:
            case, is_full = self._cases[key], len(self._cases) > _MOST_CASES
            # what only a person ends isn't ended by a look that doesn't show it
            if (case.lasting is None or is_full) and not case.is_under_way:
                del self._cases[key]
        found: dict[Fate, list[Orphan]] = {}
        if orphans:
            witness = await self._ask({o.claim_uid for o in orphans}, places)
            fates = self._fates(cluster, places, orphans, witness)
            known = {c.metadata.uid for p in places for c in claims.of_lease(p.cluster.lease_uid)}
            released = _released(places)
            for uid in too_many(fates, witness, len(known)):
                if uid not in released:
                    fates[uid] = Fate.TOO_MANY
            self._remember(cluster, fates)
            for orphan in orphans:
                fate = fates[orphan.claim_uid]
                found.setdefault(fate, []).append(orphan)
                if fate is Fate.TAKEN_BACK:
                    self._start(cluster, places, orphan, witness)
        reason, message = words(found)
        for place in places:
            if found and not LASTING & found.keys():
                self._said[place.lease.metadata.uid] = None
            place.cluster.note_orphans(Orphans(reason, message))

    async def close(self) -> None:
        """Stop all takings back; each may be begun again."""
        tasks = [c.task for c in self._cases.values() if c.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _fates(
        self,
        cluster: ClusterUID,
        places: Sequence[Place],
        orphans: Sequence[Orphan],
        witness: Witness,
    ) -> dict[ClaimUID, Fate]:
        released = _released(places)
        said = next((x for p in places if (x := self._said.get(p.lease.metadata.uid))), None)
        fates: dict[ClaimUID, Fate] = {}
        for orphan in orphans:
            key = (cluster, orphan.claim_uid)
            case = self._cases.get(key)
            fates[orphan.claim_uid] = fate_of(
                orphan,
                _but_for_our_own_lines(witness, case),
                seen_before=case is not None,
                released=orphan.claim_uid in released,
                lasting=case.lasting if case is not None else said,
            )
            if fates[orphan.claim_uid] in (Fate.NONE, Fate.AWAITED):
                self._cases.pop(key, None)  # the hub has it: no look has seen it without it
            else:
                self._cases.setdefault(key, _Case(self._tools.clock.now_ms()))
        return fates

    def _remember(self, cluster: ClusterUID, fates: dict[ClaimUID, Fate]) -> None:
        """Keep what only a person ends; what is being taken back already was nobody's before."""
        for uid, fate in fates.items():
            case = self._cases.get((cluster, uid))
            if case is not None and case.clearing is None and fate in LASTING:
                case.lasting = fate

    async def _ask(self, uids: set[ClaimUID], places: Sequence[Place]) -> Witness:
        """Ask the ledger for some claims and the hub live for all; the hub must be the hub.

        The ledger first: a line of a claim that changes meanwhile would make the hub look older than it.
        """
        facts = await self._ledger.facts_of(sorted(uids))
        newest = await self._ledger.newest_facts(_NEWEST)
        listing = await self._tools.hub.get(CLAIMS.path())
        if await read_cluster_uid(self._tools.hub) != self._hub_uid():
            raise Unreachable("the hub is another cluster now")
        items = [x for x in listing["items"] if not is_awaited(x)]
        return Witness(
            hub_version=version_number(listing["metadata"]["resourceVersion"]),
            hub_claims={
                uid: read(item) if uid in uids else None
                for uid, item in ((ClaimUID(former_uid(x)), x) for x in items)
            },
            awaited=awaited_uids(listing["items"]),
            facts={uid: [f for f in facts if f.claim_uid == uid] for uid in uids},
            newest_version=max((version_number(f.source_version) for f in newest), default=0),
            backup_ms=min((*_backups(places), *backup_times(listing["items"])), default=None),
        )

    def _start(
        self, cluster: ClusterUID, places: Sequence[Place], orphan: Orphan, witness: Witness
    ) -> None:
        case = self._cases[cluster, orphan.claim_uid]
        if case.is_under_way:
            return
        is_over = orphan.claim_uid not in witness.hub_claims
        clearing = Clearing(
            self._tools,
            self._ledger,
            orphan,
            case.absent_ms,
            is_over=is_over,
            ending=self._ending,
        )
        if case.clearing is not None:
            clearing.rests_since(case.clearing)
        case.clearing = clearing
        case.task = asyncio.create_task(
            self._take_back(clearing, places, orphan), name=f"orphan {orphan.claim_uid}"
        )

    async def _take_back(self, clearing: Clearing, places: Sequence[Place], orphan: Orphan) -> None:
        """Take one orphan back, lease by lease; nothing raised here leaves this task."""
        log = log_about(claim_uid=orphan.claim_uid, leases=[p.lease for p in places])

        async def guard() -> None:
            witness = await self._ask({orphan.claim_uid}, places)
            fate = fate_of(orphan, witness, seen_before=True, released=True)
            if fate is not Fate.TAKEN_BACK:
                raise Overtaken(f"claim {orphan.claim_uid} is on the hub after all")

        leases = {e.lease_uid for e in orphan.entries}
        try:
            for place in places:
                if place.cluster.lease_uid in leases or (not leases and place is places[0]):
                    await clearing.run(place.cluster, place.lease, guard)
            log.warning("orphan taken back", gpus=orphan.gpus)
        except (StillThere, ClusterSilent, ClusterRefuses, Overtaken) as reason:
            log.info("orphan waits", reason=str(reason))
        except (KubeError, LedgerUnavailable, LedgerConflict) as error:
            log.warning("orphan not taken back", error=str(error))
        except Exception:
            log.exception("orphan not taken back")


def _released(places: Sequence[Place]) -> set[str]:
    """Return the claims of which a person says that the GPUs are to be taken back."""
    return {uid for p in places for uid in p.lease.spec.release_orphans}


def _but_for_our_own_lines(witness: Witness, case: _Case | None) -> Witness:
    """Return what an orphan is judged by: the lines of its own taking back are later than any backup, and no news."""
    is_begun = case is not None and case.clearing is not None
    return replace(witness, backup_ms=None) if is_begun else witness


def _backups(places: Sequence[Place]) -> list[Millis]:
    """Return when the backups were taken that leases are from."""
    return [origin.backup_time for p in places if (origin := p.lease.status.origin) is not None]


def lasting_of(lease: GpuLease) -> Fate | None:
    """Return what a lease's condition says that only a person ends, if it does."""
    said = find_condition(lease.status.conditions, "Orphaned")
    if said is None or not is_true(lease.status.conditions, "Orphaned"):
        return None
    return next((fate for fate in LASTING if fate.value == said.reason), None)
