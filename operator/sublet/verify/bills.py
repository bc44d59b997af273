"""The bill is the integral of the ledger, and the ledger is what the claims' status says: A1, A2, A4, S11. Pure."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Final

from sublet.api.downtime import MOST_DOWNTIMES
from sublet.api.gpuclaim import GpuClaim
from sublet.api.ids import ClaimUID
from sublet.api.outage import MOST_OUTAGES
from sublet.api.times import Millis, format_instant
from sublet.ledger.entry import MARKS, Entry, EntryKind, EntryType, Fact
from sublet.ledger.interval import Interval
from sublet.ledger.terms import PriceTerms
from sublet.verify.index import Index, about
from sublet.verify.lines import Line, line_of, lines_of
from sublet.verify.violation import Violation

_HASH: Final = re.compile(r"[0-9a-f]{64}")
_STOP: Final = (
    "bill nothing from it until somebody has looked; the ledger is never edited, only corrected"
)


def ledger_is_whole(index: Index) -> Iterator[Violation]:
    """A1: the chain proves itself: no line missing, changed or forked, every interval well formed."""
    if index.world.ledger is not None and index.world.ledger.fault is not None:
        yield Violation("A1", "ledger", f"{index.world.ledger.fault}; {_STOP}")


def intervals_dont_overlap(index: Index) -> Iterator[Violation]:
    """A1: a claim is billed for one reservation at a time; from one to the next that it moved to without a gap."""
    for uid, held in _billed(index).items():
        terms = sorted(_terms(held).items())
        for (earlier, (_, end)), (later, (start, _)) in pairwise(terms):
            if end is None or end > start:
                until = format_instant(end) if end is not None else "now"
                text = (
                    f"reservation {earlier} is billed until {until}, the next one ({later}) from {format_instant(start)} on: "
                    f"twice in between; {_STOP}"
                )
                yield Violation("A1", f"ledger of claim {_name(index, uid)}", text)


def moves_leave_no_gap(index: Index) -> Iterator[Violation]:
    """A1: a claim that moved is billed to the cutover for the old nodes and from it for the new ones."""
    for claim in index.world.claims:
        ends = {left.sequence: left.release_time for left in claim.status.leaving}
        starts = {left.bound_time for left in claim.status.leaving}
        if claim.status.allocation is not None and claim.status.allocation.bound_time is not None:
            starts.add(claim.status.allocation.bound_time)
        for sequence, end in ends.items():
            if end not in starts:
                text = f"reservation {sequence} was billed until {format_instant(end)}, and nothing from then on; {_STOP}"
                yield Violation("A1", f"claim {claim.metadata.key}", text)


def _billed(index: Index) -> dict[ClaimUID, list[Interval]]:
    found: dict[ClaimUID, list[Interval]] = defaultdict(list)
    for held in index.intervals:
        if held.kind is EntryKind.BOUND:
            found[held.claim_uid].append(held)
    return found


def _terms(held: list[Interval]) -> Mapping[int, tuple[Millis, Millis | None]]:
    """Return from when to when each reservation is billed."""
    found: dict[int, tuple[Millis, Millis | None]] = {}
    for each in held:
        start, end = found.get(each.sequence, (each.start_ms, each.end_ms))
        last = None if end is None or each.end_ms is None else Millis(max(end, each.end_ms))
        found[each.sequence] = (Millis(min(start, each.start_ms)), last)
    return found


def lines_agree_with_status(index: Index) -> Iterator[Violation]:
    """A1 and A2: no line of what a claim has or leaves says anything but its status; a line comes after the status."""
    for claim, facts in _claims_lines(index):
        if claim.status.allocation is None and claim.status.origin is not None:
            continue  # released after the backup that it was restored from: the ledger alone knows
        called_for = lines_of(claim)
        mine = {line.sequence for line in called_for}
        subject = f"ledger of claim {claim.metadata.key}"
        for line in sorted(facts - called_for):
            if _may_be_forgotten(line, claim) or (
                line.sequence not in mine and _is_over(line, claim)
            ):
                continue
            early = line.kind is EntryKind.BOUND and line.type is EntryType.OPEN
            text = f"{_words(line)} isn't what the claim's status says; {_STOP}"
            yield Violation("A2" if early else "A1", subject, text, about(claim))


def _is_over(line: Line, claim: GpuClaim) -> bool:
    """Say whether a line is of an earlier reservation, or of a move that was given up: held for a while, and never billed."""
    held, move = claim.status.allocation, claim.status.move
    if held is None or line.sequence <= held.sequence:
        return held is not None and line.sequence < held.sequence
    is_under_way = move is not None and line.sequence == move.sequence
    is_begun = line.sequence < claim.status.next_sequence
    return is_begun and not is_under_way and line.kind is not EntryKind.BOUND


def _may_be_forgotten(line: Line, claim: GpuClaim) -> bool:
    """Say whether a status may say nothing of a line any more: the oldest of many outages and downtimes."""
    if line.kind is EntryKind.DOWNTIME:
        return len(claim.status.downtimes) >= MOST_DOWNTIMES
    return line.kind is EntryKind.DISPUTED and len(claim.status.outages) >= MOST_OUTAGES


def lines_are_complete(index: Index) -> Iterator[Violation]:
    """A1, eventually: every line that a claim's status calls for is in the ledger."""
    for claim, facts in _claims_lines(index):
        for line in sorted(lines_of(claim) - facts):
            text = f"{_words(line)} is missing; it comes when the ledger's store can be written to"
            yield Violation("A1", f"ledger of claim {claim.metadata.key}", text, about(claim))


_GONE: Final = (
    "it ends by itself only when one cluster, looked at twice, has all leases that the claim's lines name; see the lease's "
    "condition Orphaned, and if the claim is really gone, name it in spec.releaseOrphans of the lease, once it answers or is declared lost, or of "
    "another if that one is gone"
)


def gone_claims_are_closed(index: Index) -> Iterator[Violation]:
    """A1: nobody is billed for a claim that is gone: its last lines come before its finalizer goes."""
    for held in index.intervals:
        if held.end_ms is None and not index.is_known(held.claim_uid):
            text = f"claim {held.claim_uid} is gone from the hub and {held.kind} on lease {held.lease_uid} still runs; {_GONE}"
            yield Violation("A1", "ledger", text, about(held.claim_uid))


def prices_stay(index: Index) -> Iterator[Violation]:
    """S11: tenant and price of a reservation never change, and are those that the claim shows."""
    for claim in index.world.claims:
        allocation = claim.status.allocation
        if allocation is None:
            continue
        terms = PriceTerms(allocation.price_per_gpu_hour, allocation.currency)
        if terms.hash != allocation.price_hash:
            text = "its priceHash isn't that of its price; somebody changed the one or the other"
            yield Violation("S11", f"claim {claim.metadata.key}", text)
    for uid, entries in index.entries.items():
        yield from _one_price(index, uid, entries)


_PRICED_APART: Final = frozenset({EntryKind.CANCELLED, EntryKind.DOWNTIME})
"""The one costs a part of the price; the other says why it is there instead."""


def _one_price(index: Index, uid: ClaimUID, entries: list[Entry]) -> Iterator[Violation]:
    claim, seen = index.claims.get(uid), dict[int, tuple[str, str]]()
    subject = f"ledger of claim {_name(index, uid)}"
    allocation = claim.status.allocation if claim is not None else None
    if allocation is not None:
        seen[allocation.sequence] = (allocation.tenant_uid, allocation.price_hash)
    for entry in entries:
        fact = entry.fact
        if fact.kind in _PRICED_APART or fact.kind in MARKS:
            continue
        found = (fact.tenant_uid, fact.price_hash)
        if seen.setdefault(fact.sequence, found) != found:
            text = f"line {entry.seq} has another tenant or price than reservation {fact.sequence} began with; {_STOP}"
            yield Violation("S11", subject, text, about(uid))


def lines_say_why(index: Index) -> Iterator[Violation]:
    """A4: a line names the version of the object that shows it, and its price and tags can be read."""
    ledger = index.world.ledger
    for entry in ledger.entries if ledger is not None else ():
        fact = entry.fact
        faults = [what for what, bad in _lacks(fact) if bad]
        missing = ledger.missing_terms if ledger is not None else frozenset()
        faults += [
            f"names the terms {hash_}, which aren't in the ledger"
            for hash_ in sorted({fact.price_hash, fact.tags_hash} & missing - {""})
        ]
        for fault in faults:
            yield Violation("A4", f"ledger line {entry.seq}", f"it {fault}; {_STOP}")


def _lacks(fact: Fact) -> Iterator[tuple[str, bool]]:
    """Yield what a line must say, and whether it doesn't; marks are of no GPUs, and capacity is of a lease alone."""
    if fact.kind in MARKS:
        lacks_text = _HASH.fullmatch(fact.price_hash) is None
        yield "names no text", fact.kind is not EntryKind.CAPACITY and lacks_text
        yield "is of no lease", fact.kind is EntryKind.CAPACITY and not fact.lease_uid
        return
    yield "names no version of the object that shows it", not fact.source_version
    yield "names no price", _HASH.fullmatch(fact.price_hash) is None
    yield "names no tags", _HASH.fullmatch(fact.tags_hash) is None
    yield "is of no tenant", not fact.tenant_uid
    yield "is of no GPUs", fact.gpus < 1


def _claims_lines(index: Index) -> Iterator[tuple[GpuClaim, set[Line]]]:
    """Yield each claim of the hub with its lines, if the ledger was read."""
    if index.world.ledger is None:
        return
    for uid, claim in index.claims.items():
        yield claim, {line_of(e.fact) for e in index.entries.get(uid, ())}


def _name(index: Index, uid: ClaimUID) -> str:
    claim = index.claims.get(uid)
    return claim.metadata.key if claim is not None else uid


def _words(line: Line) -> str:
    return (
        f"{line.kind} {line.type} of {line.gpus} GPUs of lease {line.lease_uid} at {format_instant(line.at_ms)} "
        f"(reservation {line.sequence})"
    )
