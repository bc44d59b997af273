"""Lines that a hub which was put back to an older state reports anew, fitted to what the ledger has already.

It reports an end of what ended long ago, or a beginning of what never ended by the ledger. Written as they are, such lines
would be no history of anything, and nobody could read the ledger again. What the ledger has stays as it is, a bill's first
end above all; what can't follow it isn't new. Disputed time and downtime that nobody will end any more end with the bill, and a
bill that no claim ends as `sublet.store.forgotten` says. Of a window that was given up too late no hour is charged twice.
Whatever is reported, no line is written with which the ledger couldn't be read.
"""

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from sqlalchemy import Connection, select

from sublet.api.ids import ClaimUID
from sublet.api.times import Millis
from sublet.ledger.entry import BESIDE, MARKS, EntryKind, EntryType, Fact
from sublet.ledger.interval import BrokenLedger, Fold, Key, key_of
from sublet.ledger.past import Past
from sublet.ledger.port import LedgerConflict
from sublet.store.forgotten import Forgotten
from sublet.store.rows import entry_of
from sublet.store.tables import entries

_LASTING: Final = tuple(kind for kind in EntryKind if kind not in MARKS)
_BATCH: Final = 500
Span = tuple[Millis, Millis]


class Following:
    """What is open, and what is over, of some claims as lines are appended."""

    def __init__(self, connection: Connection, new: Iterable[Fact]) -> None:
        """Read what the ledger has of the claims of `new` lines."""
        self._fold = Fold()
        self._open = self._fold.open
        self._latest: dict[Key, Millis] = {}
        """When the last line of each is"""
        self._forgotten = Forgotten()
        self._ends: defaultdict[Key, set[Millis]] = defaultdict(set)
        """When something of each ended: no second line says an end at the same instant"""
        self._begun: dict[Key, Fact] = {}
        """The beginning of each that is reported last"""
        self._charged: defaultdict[ClaimUID, list[tuple[int, Span]]] = defaultdict(list)
        """What of its windows a claim had given up by the ledger, each with its reservation's number"""
        self._given_up: defaultdict[Key, list[Span]] = defaultdict(list)
        """The same of each since"""
        uids = sorted({f.claim_uid for f in new if f.kind not in MARKS})
        for first in range(0, len(uids), _BATCH):
            some = entries.c.claim_uid.in_(uids[first : first + _BATCH])
            found = select(entries).where(some, entries.c.kind.in_(_LASTING))
            for row in connection.execute(found.order_by(entries.c.seq)):
                self._read(entry_of(row).fact)

    def _read(self, fact: Fact) -> None:
        """Note a line of the ledger, whatever it says: what is written there is for others to judge."""
        key = key_of(fact)
        begun = self._open.pop(key, None)
        if fact.type is EntryType.OPEN:
            self._open[key] = fact
        elif fact.kind is EntryKind.CANCELLED and begun is not None:
            self._charged[fact.claim_uid].append((fact.sequence, (begun.at_ms, fact.at_ms)))
        self._note(fact)

    def fit(self, fact: Fact) -> Iterator[Fact]:
        """Yield the lines that a new fact calls for after those before it: itself, mostly. LedgerConflict if it can't follow.

        A fact that calls for none never does, however often it is reported.
        """
        before = self._open.get(key_of(fact))
        if fact.kind in MARKS:
            yield self._add(fact)
        elif fact.kind is EntryKind.CANCELLED:
            yield from self._charge(fact)
        elif fact.type is EntryType.OPEN:
            yield from self._begin(fact, before)
        elif not self._is_over(fact, before):
            yield self._add(self._not_before(before, fact))

    def fit_known(self, fact: Fact) -> Iterator[Fact]:
        """Yield the lines that a fact calls for of which there is a line: none, mostly.

        What ends at the instant at which it began has no line for that if what it follows ended there, too. Of a reservation
        whose release is done none lasts, whichever release the ledger had begin since.
        """
        key = key_of(fact)
        before, begun = self._open.get(key), self._begun.get(key)
        if fact.kind is EntryKind.CANCELLED:
            yield from self._charge(fact)
        elif fact.type is EntryType.OPEN:
            self._begun[key] = fact
        elif before is not None and (
            fact.kind is EntryKind.RELEASING
            or (begun is not None and fact.at_ms == before.at_ms == begun.at_ms)
        ):
            yield self._add(self._end(before, fact.at_ms))

    def _begin(self, fact: Fact, before: Fact | None) -> Iterator[Fact]:
        key = key_of(fact)
        self._begun[key] = fact
        if fact.at_ms < self._latest.get(key, fact.at_ms):
            return
        if before is not None and fact.kind is not EntryKind.BOUND:
            yield self._add(self._end(before, fact.at_ms))
        yield self._add(fact)

    def _charge(self, fact: Fact) -> Iterator[Fact]:
        """Yield, when it is known to when, what of a time given up isn't charged yet: pairs of lines, never half a pair.

        The hub may have the promise on another lease than the ledger, which has a later one by a later reservation alone.
        """
        key = key_of(fact)
        if fact.type is EntryType.OPEN:
            self._begun[key] = fact
            return
        begun = self._begun.pop(key, None)
        if begun is None:
            return
        before = [span for number, span in self._charged[fact.claim_uid] if number >= fact.sequence]
        for span in _rest((begun.at_ms, fact.at_ms), [*before, *self._given_up[key]]):
            half = self._open.get(key)  # that an older version left without its end
            if half is None or half.at_ms != span[0]:
                yield self._add(replace(begun, at_ms=span[0]))
            yield self._add(replace(fact, at_ms=span[1]))
            self._given_up[key].append(span)

    def _not_before(self, begun: Fact | None, end: Fact) -> Fact:
        """Return the end of a release, by a clock that was behind that of its beginning: it isn't over before that."""
        is_behind = begun is not None and end.at_ms < begun.at_ms
        is_release = end.kind is EntryKind.RELEASING
        return self._end(begun, end.at_ms) if begun and is_behind and is_release else end

    def _is_over(self, end: Fact, before: Fact | None) -> bool:
        """Say whether an end is one of what is over already, or beside the bill of what the ledger doesn't have so."""
        if end.kind not in BESIDE:
            return before is None and key_of(end) in self._latest
        return before is None or end.at_ms < before.at_ms or end.gpus != before.gpus

    def ends(self, facts: Mapping[str, Fact], past: Past | None = None) -> Iterator[Fact]:
        """Yield what ends with the bills that end by these facts (id -> fact), as none of them ends it; and such bills."""
        for bill in list(self._forgotten.ends(facts.values(), past)):
            self._add(bill)
            facts = {**facts, bill.id: bill}
            yield bill
        for bill in [f for f in facts.values() if _ends_bill(f)] if self._open else ():
            for kind in BESIDE:
                begun = self._open.get(key_of(replace(bill, kind=kind)))
                if begun is not None:
                    yield self._add(self._end(begun, bill.at_ms, facts))

    def _end(self, begun: Fact, at_ms: Millis, told: Container[str] = ()) -> Fact:
        """Return the end of what lasts: then, or as soon after as no line says one, and none of another interval is told."""
        # downtimes touch: none is empty
        least = Millis(begun.at_ms + (begun.kind is EntryKind.DOWNTIME))
        line = replace(begun, type=EntryType.CLOSE, at_ms=max(at_ms, least))
        while line.at_ms in self._ends[key_of(begun)] or line.id in told:
            line = replace(line, at_ms=Millis(line.at_ms + 1))
        return line

    def _add(self, line: Fact) -> Fact:
        """Return a line that is to be written; LedgerConflict if nobody could read the ledger with it."""
        try:
            self._fold.take(line)
        except BrokenLedger as error:
            raise LedgerConflict(
                f"a line that can't follow what is there isn't written: {error}"
            ) from error
        self._note(line)
        return line

    def _note(self, line: Fact) -> None:
        key = key_of(line)
        self._latest[key] = line.at_ms
        self._forgotten.take(line)
        if line.type is EntryType.CLOSE:
            self._ends[key].add(line.at_ms)


def _rest(whole: Span, parts: Iterable[Span]) -> Iterator[Span]:
    """Yield what of a time isn't in any of these, in order."""
    begin, end = whole
    for from_ms, until_ms in sorted(parts):
        if begin < min(from_ms, end):
            yield begin, min(from_ms, end)
        begin = max(begin, until_ms)
    if begin < end:
        yield begin, end


def may_share(fact: Fact) -> bool:
    """Say whether a fact may call for lines although there is one of it, which may be of another happening."""
    is_end_of_release = fact.kind is EntryKind.RELEASING and fact.type is EntryType.CLOSE
    return fact.kind is EntryKind.CANCELLED or is_end_of_release


def _ends_bill(fact: Fact) -> bool:
    return fact.kind is EntryKind.BOUND and fact.type is EntryType.CLOSE
