"""Old UID -> new UID of everything that was restored, and what adoption makes of it. Pure.

A claim is believed to hold what the backup says only where its nodes' own books say so too. One whose nodes have all
forgotten it was released after the backup was taken, and ends. Where a cluster can't be read nothing is concluded. What
the ledger knows beyond the backup is never billed again: the number of a reservation that has lines is not used anew.
"""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from sublet.api.cancellation import GivenUp
from sublet.api.common import ObjectMeta, find_condition, is_true
from sublet.api.downtime import Downtime
from sublet.api.gpuclaim import GpuClaim
from sublet.api.gpulease import GpuLease
from sublet.api.gputenant import GpuTenant
from sublet.api.ids import ClaimUID
from sublet.api.kinds import CLAIMS, LEASES, TENANTS, Kind
from sublet.api.move_status import all_nodes
from sublet.api.origin import ADOPTED, RESTORED, Origin, has_bare_status
from sublet.api.outage import Outage
from sublet.api.relocation import PlacedNode
from sublet.api.times import Millis
from sublet.api.wording import how_many
from sublet.book.holdings import holds
from sublet.cli.keeping.catching_up import Begun, caught_bound, charged_since
from sublet.cli.keeping.judgement import HALFWAY
from sublet.cli.keeping.possession import Possession

Item = GpuTenant | GpuClaim | GpuLease

_CHARGED: Final = (
    "by the ledger a part of its window was given up too late since, and is charged: what of it isn't given up again is "
    "billed as use, too"
)


class Verdict(StrEnum):
    """What adoption makes of a restored object."""

    ADOPT = "adopt"
    """It goes on as it was."""
    END = "end"
    """A claim that was released after the backup was taken: it ends, holding nothing."""
    WAIT = "wait"
    """Its cluster can't be read: it stays held."""
    DIFFERS = "differs"
    """Nodes hold it otherwise than the backup says: it was bound or moved after that, and stays held."""
    UNFINISHED = "unfinished"
    """The restore didn't come to its status, or to the backup's."""
    DONE = "done"
    """It was adopted before."""


@dataclass(frozen=True, slots=True)
class Row:
    """One restored object."""

    kind: Kind
    item: Item
    old: str
    new: str
    verdict: Verdict
    note: str = ""
    release_ms: Millis | None = None
    """From when the ledger has it released, where nodes hold it still: that release goes on."""
    term: "Term | None" = None
    """What the ledger has of a claim last."""
    is_seen: bool = False
    """A lease whose cluster answered."""

    @property
    def key(self) -> str:
        """Return its `namespace/name`, or name."""
        return self.item.metadata.key


@dataclass(frozen=True, slots=True)
class Term:
    """The reservation with which a claim was billed last, as the ledger has it."""

    sequence: int
    """0: it was never billed as used."""
    end_ms: Millis | None
    """None while it is billed."""
    begun: Begun | None = None
    """How its bill began, while it runs; an older operator doesn't tell."""
    outages: tuple[Outage, ...] = ()
    """Beside the bill of that reservation."""
    downtimes: tuple[Downtime, ...] = ()
    given_up: tuple[GivenUp, ...] = ()
    """Of its windows, too late."""


@dataclass(frozen=True, slots=True)
class Unread:
    """A claim of which nobody can tell what it holds: it is in no row, and stays as it is."""

    key: str
    old: str
    new: str
    why: str
    is_held: bool
    """It was restored, and isn't adopted."""


@dataclass(frozen=True, slots=True)
class Hub:
    """What the hub has."""

    tenants: Sequence[GpuTenant] = ()
    claims: Sequence[GpuClaim] = ()
    leases: Sequence[GpuLease] = ()
    unread: Sequence[Unread] = ()

    @property
    def held_unread(self) -> list[Unread]:
        """Return the restored claims that can't be adopted before they can be read."""
        return [each for each in self.unread if each.is_held]


def make_map(
    hub: Hub, seen: Mapping[str, Possession], terms: Mapping[str, Term] | None = None
) -> list[Row]:
    """Return the map in the order in which it is carried out.

    `seen`: lease UID, as it was -> its nodes; `terms`: claim UID, as it was -> what the ledger has of it last.
    Leases come last: nothing can be sold before all that was sold is known.
    """
    lost = {identity_of(x.metadata, x.status.origin) for x in hub.leases if _is_lost(x)}
    seen = {uid: replace(found, is_lost=uid in lost) for uid, found in seen.items()}
    rows = [_plain(TENANTS, t, t.status.origin) for t in hub.tenants if _is_restored(t)]
    rows += [_claim(c, seen, terms or {}) for c in hub.claims if _is_restored(c)]
    rows += [_lease(x, seen) for x in hub.leases if _is_restored(x)]
    return rows


def is_behind(claim: GpuClaim, term: Term) -> bool:
    """Say whether the ledger knows of a later reservation than a claim shows, or of an end or a charge that it doesn't."""
    is_later = term.sequence > _sequence_of(claim) or _was_bound_since(claim, term)
    is_over = term.end_ms is not None and _is_news(claim, term)
    return is_later or is_over or bool(charged_since(claim.status.allocation, term.given_up))


def strangers(hub: Hub, seen: Mapping[str, Possession]) -> Iterator[tuple[str, str, int]]:
    """Yield what nodes hold for claims that the hub doesn't know, as (node, claim UID, GPUs): it stays held."""
    known = {identity_of(c.metadata, c.status.origin) for c in hub.claims}
    known |= {each.old for each in hub.unread}
    for possession in seen.values():
        for node, book in possession.books.items():
            for uid, gpus in book.items():
                if uid not in known:
                    yield possession.names[node], uid, gpus


def digest_of(rows: Iterable[Row]) -> str:
    """Return what names a map: whoever says yes to it has seen exactly these lines."""
    lines = [
        f"{r.kind.name} {r.key} {r.old} {r.new} {r.verdict.value} {_taken_ms(r)} {r.release_ms}"
        for r in rows
    ]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]


def _taken_ms(row: Row) -> Millis | None:
    """Return when the backup was taken that an object is from: of another one it would go on otherwise."""
    origin = row.item.status.origin
    return origin.backup_time if origin is not None else None


def identity_of(meta: ObjectMeta, origin: Origin | None) -> str:
    """Return the UID that an object goes by, or will once it is adopted."""
    return origin.uid if origin is not None else meta.uid


def _is_restored(item: Item) -> bool:
    """Say whether an object is from a backup; the mark alone, which anybody can write, says so only of a new one."""
    is_marked = RESTORED in item.metadata.annotations
    return item.status.origin is not None or (is_marked and has_bare_status(item))


def _plain(kind: Kind, item: Item, origin: Origin | None, note: str = "") -> Row:
    """Return the row of an object that has nothing to compare."""
    said = find_condition(item.status.conditions, ADOPTED)
    if origin is None or (said is not None and said.reason == HALFWAY):
        old = origin.uid if origin is not None else item.metadata.annotations[RESTORED]
        note = "run `sublet restore` again"
        return Row(kind, item, old, item.metadata.own_uid, Verdict.UNFINISHED, note)
    verdict = Verdict.ADOPT if origin.adopted_time is None else Verdict.DONE
    return Row(kind, item, origin.uid, item.metadata.own_uid, verdict, note)


def _is_lost(lease: GpuLease) -> bool:
    """Say whether a person has given the cluster up, before the backup or by a word for this very object."""
    word = lease.spec.lost
    return lease.is_lost or (word is not None and word.lease_uid == lease.metadata.own_uid)


def _lease(lease: GpuLease, seen: Mapping[str, Possession]) -> Row:
    row = _plain(LEASES, lease, lease.status.origin)
    if row.verdict is not Verdict.ADOPT:
        return row
    found = seen[row.old]
    if found.unseen and found.is_lost:
        return _with(row, Verdict.ADOPT, f"it is declared lost: {found.unseen}")
    if found.unseen:
        return _with(row, Verdict.WAIT, found.unseen)
    note = f"{how_many(len(found.books), 'node', 'carries', 'carry')} its mark"
    return replace(_with(row, Verdict.ADOPT, note), is_seen=True)


def _claim(claim: GpuClaim, seen: Mapping[str, Possession], terms: Mapping[str, Term]) -> Row:
    uid = identity_of(claim.metadata, claim.status.origin)
    term = terms.get(uid)
    if term is not None and _was_bound_since(claim, term):
        claim = caught_bound(claim, uid, term.begun)
    row = _plain(CLAIMS, claim, claim.status.origin)
    if row.verdict is not Verdict.ADOPT:
        return row
    nodes = all_nodes(claim) if holds(claim) else ()
    judged = (
        _differing(row, nodes, seen)
        or (_bound_since(row, claim, term, seen) if term is not None else None)
        or _unseen(row, nodes, seen)
        or _standing(row, claim, nodes, seen, term)
    )
    charged = charged_since(claim.status.allocation, term.given_up) if term is not None else ()
    if charged and judged.verdict is Verdict.ADOPT:
        judged = replace(judged, note="; ".join(filter(None, (judged.note, _CHARGED))))
    return replace(judged, term=term)


def _differing(
    row: Row, nodes: Collection[PlacedNode], seen: Mapping[str, Possession]
) -> Row | None:
    """Return the row of a claim that nodes hold otherwise than the backup says, None if they don't."""
    expected = {n.node_uid: n.gpus for n in nodes}
    for possession in seen.values():
        for node_uid, book in possession.books.items():
            gpus = book.get(ClaimUID(row.old))
            if gpus is not None and gpus != expected.get(node_uid):
                where = f"node {possession.names[node_uid]} holds {how_many(gpus, 'GPU')} for it"
                return _with(row, Verdict.DIFFERS, f"{where}; the backup is older than that")
    return None


def _bound_since(
    row: Row, claim: GpuClaim, term: Term, seen: Mapping[str, Possession]
) -> Row | None:
    """Return the row of a claim of which the ledger has a reservation that the backup hasn't bound, None if there is none."""
    if term.sequence <= _sequence_of(claim) and not _was_bound_since(claim, term):
        return None
    is_held = any(row.old in book for each in seen.values() for book in each.books.values())
    said = "by the ledger it was bound after the backup"
    if is_held or term.end_ms is None:
        return _with(row, Verdict.DIFFERS, said)
    return _with(row, Verdict.END, f"{said}, and released")


def _unseen(row: Row, nodes: Collection[PlacedNode], seen: Mapping[str, Possession]) -> Row | None:
    """Return the row of a claim with nodes in a cluster that can't be read, None if all can."""
    for lease_uid, alias in sorted({(n.lease_uid, n.lease) for n in nodes}):
        found = seen.get(lease_uid) or Possession(unseen="its lease isn't on the hub")
        if found.unseen and not found.is_lost:
            return _with(row, Verdict.WAIT, f"{alias}: {found.unseen}")
    return None


def _standing(
    row: Row,
    claim: GpuClaim,
    nodes: Collection[PlacedNode],
    seen: Mapping[str, Possession],
    term: Term | None,
) -> Row:
    """Return the row of a claim by how many of its nodes hold it still."""
    if not nodes:
        return row
    holding = [n for n in nodes if _holds(row.old, n.node_uid, seen.values())]
    lost = [n for n in nodes if seen[n.lease_uid].unseen]
    is_over = term is not None and term.end_ms is not None and _is_news(claim, term)
    if not holding and not lost and (is_over or is_true(claim.status.conditions, "Bound")):
        return _with(row, Verdict.END, "no node holds it any more: released after the backup")
    if term is not None and is_over:
        note = "by the ledger its release had begun: it goes on"
        return replace(_with(row, Verdict.END, note), release_ms=term.end_ms)
    more = f"; {len(lost)} are in clusters that are lost" if lost else ""
    return _with(
        row,
        Verdict.ADOPT,
        f"{len(holding)} of {how_many(len(nodes), 'node', 'holds', 'hold')} it{more}",
    )


def _sequence_of(claim: GpuClaim) -> int:
    """Return the last reservation that the backup knows to have been billed, or that could be."""
    allocation = claim.status.allocation
    return allocation.sequence if allocation is not None else claim.status.next_sequence - 1


def _was_bound_since(claim: GpuClaim, term: Term) -> bool:
    """Say whether it is this reservation that is billed by the ledger, while the backup, or the hub, has it being bound."""
    allocation = claim.status.allocation
    if allocation is None or allocation.bound_time is not None or claim.status.release is not None:
        return False
    return term.end_ms is None and term.sequence == allocation.sequence


def _is_news(claim: GpuClaim, term: Term) -> bool:
    """Say whether it is this reservation that ended by the ledger, while the backup has no word of its release."""
    release = claim.status.release
    knows = release is not None and release.sequence == term.sequence
    return term.sequence == _sequence_of(claim) and not knows


def _holds(uid: str, node_uid: str, seen: Collection[Possession]) -> bool:
    return any(uid in possession.books.get(node_uid, {}) for possession in seen)


def _with(row: Row, verdict: Verdict, note: str) -> Row:
    return Row(row.kind, row.item, row.old, row.new, verdict, note)
