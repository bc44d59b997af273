"""What a cluster holds of claims that, by the hub, don't have it: whose it may be, and what may be done about it. Pure.

Absence alone frees nothing. The ledger is the witness outside the hub: a claim that it saw end is over; one that it
has open and the hub doesn't know was let go by hand, unless the hub itself was put back to an earlier state. Versions
tell of that only where the hub is the same one: a new hub counts from a number of its own, so the time of the backup counts
beside them.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sublet.api.gpuclaim import GpuClaim
from sublet.api.gpulease import GpuLease
from sublet.api.ids import ClaimUID, LeaseUID, NodeName, NodeUID
from sublet.api.times import Millis
from sublet.api.wording import how_many
from sublet.book.holdings import holds
from sublet.book.lost import meter_ends
from sublet.drift.claims import holdings_of, homes_of
from sublet.kube.versions import version_number
from sublet.ledger.entry import HOLDING, EntryKind, Fact
from sublet.ledger.running import open_lines

MOST_ORPHANS: Final = 1_000
"""Of one cluster in one look; a look that shows so many may not have shown all."""
_MASS_PERCENT: Final = 30
_CLOCKS_APART_MS: Final = 3_600_000
"""The clock that dates a backup is not the one that dates the ledger's lines: what is nearer than this counts as later."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What one node's own book says of a claim."""

    lease_uid: LeaseUID
    node: NodeName
    node_uid: NodeUID
    gpus: int


@dataclass(frozen=True, slots=True)
class Orphan:
    """All that one cluster holds of one claim that, by the hub, doesn't have it; or what the ledger alone has of it there."""

    claim_uid: ClaimUID
    entries: tuple[Entry, ...] = ()
    namespaces: tuple[str, ...] = ()
    lines: tuple[Fact, ...] = ()
    """What the ledger has open of a claim of which nothing else is seen there."""
    is_elsewhere: bool = False
    """Beside those, the ledger has lines of it open on leases that weren't looked at here."""

    @property
    def is_seen(self) -> bool:
        """Say whether the cluster shows anything of it."""
        return bool(self.entries or self.namespaces)

    @property
    def gpus(self) -> int:
        """Return the GPUs that it keeps from being sold, or that the ledger alone has as held."""
        held = sum(f.gpus for f in self.lines if f.kind in HOLDING)
        return sum(e.gpus for e in self.entries) + held


class Fate(StrEnum):
    """What is done about an orphan; the values are reasons of the lease's condition."""

    NONE = "None"
    """It is none: the hub knows it after all."""
    WAITS = "Waits"
    """Looked at once more before anything is done."""
    AWAITED = "AwaitsAdoption"
    """The hub has the claim from a backup, and nobody has adopted it yet."""
    TAKEN_BACK = "TakenBack"
    """Nobody's by two looks at the hub and by the ledger: released."""
    HUB_REWOUND = "HubRewound"
    """The hub is older than the ledger, or was restored from a backup that is older than something of the claim."""
    UNKNOWN = "UnknownClaim"
    """Neither the hub nor the ledger knows the claim."""
    TOO_MANY = "TooMany"
    """So many at once are no accident of a few."""
    ELSEWHERE = "LinesElsewhere"
    """The ledger has it on other leases, too, and their cluster may show it: a person's word ends it."""


HELD: Final = (Fate.HUB_REWOUND, Fate.TOO_MANY, Fate.AWAITED, Fate.UNKNOWN, Fate.ELSEWHERE)
"""Fates in which nothing is done without a person, the most telling first."""
LASTING: Final = frozenset({Fate.HUB_REWOUND, Fate.TOO_MANY})
"""Fates that stay an orphan's while it is one: a hub that goes on writes soon overtakes the version that told of it, and
of many that vanished few are left when most were adopted."""


@dataclass(frozen=True, slots=True)
class Witness:
    """One live look at the hub, and what the ledger says beside it."""

    hub_version: int
    """resourceVersion of the hub's list."""
    hub_claims: Mapping[ClaimUID, GpuClaim | None]
    """Those of the claims that are asked about which are on the hub, by UID; None where one can't be read: whatever is there may be its."""
    facts: Mapping[ClaimUID, Sequence[Fact]]
    """The ledger's lines of the claims that are asked about."""
    newest_version: int
    """The highest resourceVersion of the hub that the ledger's last lines name."""
    lost_version: int = 0
    """The highest that they named when this process found the hub older than them; 0 if it didn't."""
    awaited: Collection[str] = ()
    """Claims that were restored and wait to be adopted, by the UIDs that they had; none of `hub_claims`."""
    backup_ms: Millis | None = None
    """When the earliest backup was taken that the lease, or a claim on the hub, is from; None if none is."""


def fate_of(
    orphan: Orphan,
    witness: Witness,
    *,
    seen_before: bool,
    released: bool,
    lasting: Fate | None = None,
) -> Fate:
    """Judge one orphan; `seen_before`: an earlier look at hub and cluster showed it, too; `released`: a person's word.

    `lasting`: what an earlier look found that only a person ends.
    """
    uid, facts = orphan.claim_uid, witness.facts.get(orphan.claim_uid, ())
    live = witness.hub_claims.get(uid)
    is_there = uid in witness.hub_claims
    if uid in witness.awaited or (is_there and (live is None or _has(live, orphan))):
        return Fate.NONE if is_there else Fate.AWAITED
    if released:
        return Fate.TAKEN_BACK if seen_before else Fate.WAITS
    is_older = _is_older(witness, facts)
    if lasting is not None or is_older or (live is not None and _is_rewound(live, facts)):
        return lasting or Fate.HUB_REWOUND
    if not seen_before:
        return Fate.WAITS
    if not is_there and not facts:
        return Fate.UNKNOWN
    return Fate.ELSEWHERE if orphan.is_elsewhere else Fate.TAKEN_BACK


def too_many(fates: Mapping[ClaimUID, Fate], witness: Witness, known: int) -> Collection[ClaimUID]:
    """Return the orphans that are left alone because too many vanished at once; `known`: claims that still stand there."""
    vanished = [
        uid
        for uid, fate in fates.items()
        if fate in (Fate.TAKEN_BACK, Fate.WAITS, Fate.ELSEWHERE)
        and uid not in witness.hub_claims
        and open_lines(witness.facts.get(uid, ()))
    ]
    allowed = max(1, (known + len(vanished)) * _MASS_PERCENT // 100)
    return vanished if len(vanished) > allowed else ()


def ended_ms(
    uid: ClaimUID, absent_ms: Millis, witness: Witness, leases: Iterable[GpuLease]
) -> Millis:
    """Return until when a claim is billed: until the hub was first seen without it, or a lease of its was lost before."""
    lost = meter_ends(leases)
    bills = (f for f in open_lines(witness.facts[uid]) if f.kind is EntryKind.BOUND)
    return min([absent_ms, *(lost[f.lease_uid] for f in bills if f.lease_uid in lost)])


def words(found: Mapping[Fate, Sequence[Orphan]]) -> tuple[str, str]:
    """Return reason and message of a lease's condition Orphaned: what is held, and what a person can do."""
    fate = next((f for f in (*HELD, Fate.TAKEN_BACK, Fate.WAITS) if found.get(f)), None)
    if fate is None:
        return "", "every namespace and every entry is of a claim that has it"
    orphans = [o for f, some in found.items() if f is not Fate.NONE for o in some]
    uids = sorted(o.claim_uid for o in orphans)
    gpus = sum(o.gpus for o in orphans)
    more = f" and {len(uids) - _SHOWN} more" if len(uids) > _SHOWN else ""
    where = " by the ledger alone" if not any(o.is_seen for o in orphans) else ""
    return fate.value, f"{how_many(gpus, 'GPU', 'is', 'are')} held{where} for claims that don't have them by the hub ({', '.join(uids[:_SHOWN])}{more}): {_ADVICE[fate]}"  # fmt: skip


_SHOWN: Final = 3
"""Claims that a message names: enough to look for."""
_ADVICE: Final[Mapping[Fate, str]] = {
    Fate.WAITS: "they are looked at once more",
    Fate.TAKEN_BACK: "they are being taken back",
    Fate.HUB_REWOUND: (
        "the hub is older than what the ledger has, as after a restored backup, so nothing is taken back; restore or adopt the "
        "claims, or name them in spec.releaseOrphans"
    ),
    Fate.AWAITED: "they were restored from a backup and wait to be adopted; see `sublet adopt --map`",
    Fate.TOO_MANY: (
        "so many vanished at once that nothing is taken back; restore or adopt the claims, or name them in "
        "spec.releaseOrphans"
    ),
    Fate.UNKNOWN: (
        "the ledger doesn't know them either, so they may be another operator's; if they are nobody's, name them in "
        "spec.releaseOrphans"
    ),
    Fate.ELSEWHERE: (
        "the ledger has them on leases, too, that this look can't see (of another cluster, lost or gone), so nothing ends by itself; if "
        "the claims are really gone, name them in spec.releaseOrphans"
    ),
}


def _has(live: GpuClaim, orphan: Orphan) -> bool:
    """Say whether the claim, as it is on the hub now, has something of it; its lines are its own, whatever it holds."""
    if not orphan.is_seen:
        return True
    if not holds(live):
        return False
    nodes = {place.node_uid for _, place in holdings_of(live)}
    return bool(
        nodes & {e.node_uid for e in orphan.entries} or homes_of(live) & {*orphan.namespaces}
    )


def _is_older(witness: Witness, facts: Sequence[Fact]) -> bool:
    """Say whether the hub may not know of what the ledger has of a claim.

    Lines after the backup speak for a restored hub for good: whether it was this hub that they are from, or the one that
    was lost, shows in no number and in no clock that could be relied on.
    """
    newest = max((version_number(f.source_version) for f in facts), default=0)
    is_behind = witness.hub_version < max(witness.newest_version, newest)
    if is_behind or 0 < newest <= witness.lost_version:
        return True
    backup_ms = witness.backup_ms
    return backup_ms is not None and any(f.at_ms > backup_ms - _CLOCKS_APART_MS for f in facts)


def _is_rewound(live: GpuClaim, facts: Sequence[Fact]) -> bool:
    """Say whether the ledger knows more of a claim than the hub shows."""
    newest = max((version_number(f.source_version) for f in facts), default=0)
    last = max((f.sequence for f in facts), default=0)
    return (
        newest > version_number(live.metadata.resource_version) or last >= live.status.next_sequence
    )
