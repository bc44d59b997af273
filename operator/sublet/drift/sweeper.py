"""Finds out whose orphans are, by the hub and the ledger, and takes back what is nobody's.

A claim that is gone from the hub and of which its cluster shows nothing is one too as long as its lines in the ledger run:
nobody else would end them. By itself that is done only where one look shows all there is of it; lines on leases that this look
didn't see end by a person's word alone.

Nothing is done at first sight, and nothing while the hub looks older than the ledger or too much vanished at once. At
most one taking back is under way per orphan; what is left to do is found again by the next look.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from sublet.api.common import find_condition, is_true
from sublet.api.gpulease import GpuLease
from sublet.api.ids import ClaimUID, ClusterUID, LeaseUID
from sublet.api.kinds import LEASES
from sublet.api.origin import former_uid
from sublet.api.times import Millis
from sublet.binder.ports import ClusterRefuses, ClusterSilent, Overtaken, StillThere, Tools
from sublet.drift.behind import NEWEST, Behind, newest_version
from sublet.drift.census import Census
from sublet.drift.claims import Claims
from sublet.drift.clear import Clearing, Ledger
from sublet.drift.lookout import Place, left_by
from sublet.drift.orphans import (
    LASTING,
    MOST_ORPHANS,
    Fate,
    Orphan,
    Witness,
    ended_ms,
    fate_of,
    too_many,
    words,
)
from sublet.fleet.facts import Orphans
from sublet.kube.errors import KubeError, Unreachable
from sublet.kube.identity import read_cluster_uid
from sublet.kube.versions import version_number
from sublet.ledger.entry import Fact
from sublet.ledger.port import LedgerConflict, LedgerUnavailable
from sublet.ledger.running import open_lines
from sublet.logs import log_about

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
        self,
        tools: Tools,
        ledger: Ledger,
        hub_uid: Callable[[], ClusterUID | None],
        *,
        begun: Callable[[], Iterable[Fact]],
        known: Callable[[], Collection[str]],
        behind: Behind,
    ) -> None:
        """`begun`: lines of the ledger that may be open; `known`: claims that the hub may have, whatever can be read of them.

        Both are memory, and say only whom to ask about.
        """
        self._tools = tools
        self._ledger = ledger
        self._hub_uid = hub_uid
        self._begun = begun
        self._known = known
        self._behind = behind
        self._cases: dict[_Key, _Case] = {}
        self._ending = asyncio.Lock()
        self._census = Census(tools.hub)
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
        lost: Sequence[GpuLease] = (),
    ) -> None:
        """Judge what a look found, and what the ledger alone has there; raises the hub's errors and LedgerUnavailable.

        `places`: what was looked at. `lost`: leases that are lost, looked at or not, in which a person names claims.
        """
        released = _released([*(p.lease for p in places), *lost])
        seen = {o.claim_uid for o in orphans} | {u for p in places for u in left_by(p.lease)}
        if len(orphans) < MOST_ORPHANS:
            orphans = [*orphans, *await self._unseen(places, lost, released, seen)]
        there = {(cluster, o.claim_uid) for o in orphans}
        for key in [k for k in self._cases if k[0] == cluster and k not in there]:
            case, is_full = self._cases[key], len(self._cases) > _MOST_CASES
            # what only a person ends isn't ended by a look that doesn't show it
            if (case.lasting is None or is_full) and not case.is_under_way:
                del self._cases[key]
        found: dict[Fate, list[Orphan]] = {}
        if orphans:
            witness = await self._ask({o.claim_uid for o in orphans}, places)
            fates = self._fates(cluster, places, orphans, witness, released)
            known = {c.metadata.uid for p in places for c in claims.of_lease(p.cluster.lease_uid)}
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
        released: Collection[str],
    ) -> dict[ClaimUID, Fate]:
        said = next((x for p in places if (x := self._said.get(p.lease.metadata.uid))), None)
        # what one cluster's orphan waits for a person with, another's of the same claim does too
        lasting = {uid: c.lasting for (_, uid), c in self._cases.items() if c.lasting is not None}
        fates: dict[ClaimUID, Fate] = {}
        for orphan in orphans:
            key = (cluster, orphan.claim_uid)
            case = self._cases.get(key)
            fates[orphan.claim_uid] = fate_of(
                orphan,
                _but_for_our_own_lines(witness, case),
                seen_before=case is not None,
                released=orphan.claim_uid in released,
                lasting=lasting.get(orphan.claim_uid) or (said if case is None else None),
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

    async def _unseen(
        self,
        places: Sequence[Place],
        lost: Sequence[GpuLease],
        released: Collection[str],
        seen: Collection[ClaimUID],
    ) -> list[Orphan]:
        """Return the claims of which the ledger alone has something there; whether the hub has them isn't asked yet.

        Of those that a person names, what is on lost leases, and on those that are gone, is there too.
        """
        here = {p.cluster.lease_uid for p in places}
        begun = {
            f.claim_uid for f in self._begun() if f.lease_uid in here or f.claim_uid in released
        }
        asked = begun - {*self._known(), *seen}
        lines = defaultdict[ClaimUID, list[Fact]](list)
        for line in open_lines(await self._ledger.facts_of(sorted(asked))) if asked else ():
            lines[line.claim_uid].append(line)
        reach = here | {LeaseUID(x.metadata.uid) for x in lost}
        named = {f.lease_uid for uid, some in lines.items() if uid in released for f in some}
        reach |= await self._gone(named - reach)
        found = list[Orphan]()
        for uid, some in sorted(lines.items()):
            its = tuple(f for f in some if f.lease_uid in (reach if uid in released else here))
            if its:
                found.append(Orphan(uid, lines=its, is_elsewhere=len(its) < len(some)))
        return found

    async def _gone(self, leases: Collection[LeaseUID]) -> set[LeaseUID]:
        """Return which of some leases aren't on the hub, by a live look."""
        if not leases:
            return set()
        listing = await self._tools.hub.get(LEASES.path())
        there = {former_uid(x) for x in listing["items"]}
        return {uid for uid in leases if uid not in there}

    async def _ask(self, uids: set[ClaimUID], places: Sequence[Place]) -> Witness:
        """Ask the ledger for some claims and the hub live for all; the hub must be the hub.

        The ledger first: a line of a claim that changes meanwhile would make the hub look older than it.
        """
        facts = await self._ledger.facts_of(sorted(uids))
        newest = newest_version(await self._ledger.newest_facts(NEWEST))
        await self._behind.settle()
        roll = await self._census.ask(uids)
        if await read_cluster_uid(self._tools.hub) != self._hub_uid():
            raise Unreachable("the hub is another cluster now")
        return Witness(
            hub_version=version_number(roll.version),
            hub_claims=roll.claims,
            awaited=roll.awaited,
            facts={uid: [f for f in facts if f.claim_uid == uid] for uid in uids},
            newest_version=newest,
            lost_version=self._behind.lost_version,
            backup_ms=min((*_backups(places), *roll.backups), default=None),
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
            ended_ms(orphan.claim_uid, case.absent_ms, witness, self._tools.leases()),
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

        held = {e.lease_uid for e in orphan.entries}
        here = [p for p in places if p.cluster.lease_uid in held]
        try:
            for place in here or (places[:1] if orphan.namespaces else ()):
                await clearing.run(place.cluster, place.lease, guard)
            if not orphan.is_seen:
                await clearing.stop(guard)
            looked = (p.cluster.lease_uid for p in places)
            await clearing.end({*looked, *(f.lease_uid for f in orphan.lines)})
            log.warning("orphan taken back", gpus=orphan.gpus)
        except (StillThere, ClusterSilent, ClusterRefuses, Overtaken) as reason:
            log.info("orphan waits", reason=str(reason))
        except (KubeError, LedgerUnavailable, LedgerConflict) as error:
            log.warning("orphan not taken back", error=str(error))
        except Exception:
            log.exception("orphan not taken back")


def _released(leases: Iterable[GpuLease]) -> set[str]:
    """Return the claims of which a person says that the GPUs are to be taken back."""
    return {uid for lease in leases for uid in lease.spec.release_orphans}


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
