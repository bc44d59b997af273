"""Lines that a hub which was put back to an older state reports anew, fitted to what the ledger has already.

It reports an end of what ended long ago, or a beginning of what never ended by the ledger. Written as they are, such lines
would be no history of anything, and nobody could read the ledger again. What the ledger has stays as it is, a bill's first
end above all; what can't follow it isn't new. Disputed time and downtime that nobody will end any more end with the bill, and a
bill that no claim ends as `sublet.store.forgotten` says.
"""

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from sqlalchemy import Connection, select

from sublet.api.ids import ClaimUID, LeaseUID
from sublet.api.times import Millis
from sublet.ledger.entry import BESIDE, EntryKind, EntryType, Fact
from sublet.ledger.interval import Key
from sublet.ledger.past import Past
from sublet.store.forgotten import HELD, Forgotten
from sublet.store.rows import entry_of
from sublet.store.tables import entries

_BATCH: Final = 500


class Following:
    """What is open, and what is over, of some claims as lines are appended."""

    def __init__(self, connection: Connection, new: Iterable[Fact]) -> None:
        """Read what the ledger has of the claims for which `new` lines may need it; nothing for all others."""
        self._open: dict[Key, Fact] = {}
        self._latest: dict[Key, Millis] = {}
        """When the last line of each is"""
        self._forgotten = Forgotten()
        self._ends: defaultdict[Key, set[Millis]] = defaultdict(set)
        """When something of each ended: no second line says an end at the same instant"""
        self._begun: dict[Key, Millis] = {}
        """Since when each is by what is reported"""
        uids = sorted({f.claim_uid for f in new if f.kind in BESIDE or _is_possession(f)})
        for first in range(0, len(uids), _BATCH):
            some = entries.c.claim_uid.in_(uids[first : first + _BATCH])
            found = select(entries).where(some, entries.c.kind.in_((*BESIDE, *HELD)))
            for row in connection.execute(found.order_by(entries.c.seq)):
                self._take(entry_of(row).fact)

    def fit(self, fact: Fact) -> Iterator[Fact]:
        """Yield the lines that a new fact calls for after those before it: itself, mostly.

        A fact that calls for none never does, however often it is reported.
        """
        before = self._open.get(_key(fact))
        if fact.kind not in (*BESIDE, *HELD):
            yield fact
        elif fact.type is EntryType.CLOSE:
            if not self._is_over(fact, before):
                yield self._take(self._not_before(before, fact))
        else:
            yield from self._begin(fact, before)

    def fit_known(self, fact: Fact) -> Iterator[Fact]:
        """Yield the lines that a fact calls for of which there is a line: none, mostly.

        What ends at the instant at which it began has no line for that if what it follows ended there, too.
        """
        key = _key(fact)
        before = self._open.get(key)
        if fact.type is EntryType.OPEN:
            self._begun[key] = fact.at_ms
        elif before is not None and fact.at_ms == before.at_ms == self._begun.get(key):
            yield self._take(self._end(before, fact.at_ms))

    def _begin(self, fact: Fact, before: Fact | None) -> Iterator[Fact]:
        key = _key(fact)
        self._begun[key] = fact.at_ms
        if fact.at_ms < self._latest.get(key, fact.at_ms):
            return
        if before is not None and fact.kind is not EntryKind.BOUND:
            yield self._take(self._end(before, fact.at_ms))
        yield self._take(fact)

    def _not_before(self, begun: Fact | None, end: Fact) -> Fact:
        """Return the end of a release, by a clock that was behind that of its beginning: it isn't over before that."""
        is_behind = begun is not None and end.at_ms < begun.at_ms
        is_release = end.kind is EntryKind.RELEASING
        return self._end(begun, end.at_ms) if begun and is_behind and is_release else end

    def _is_over(self, end: Fact, before: Fact | None) -> bool:
        """Say whether an end is one of what is over already, or beside the bill of what the ledger doesn't have so."""
        if end.kind not in BESIDE:
            return before is None and _key(end) in self._latest
        return before is None or end.at_ms < before.at_ms or end.gpus != before.gpus

    def ends(self, facts: Mapping[str, Fact], past: Past | None = None) -> Iterator[Fact]:
        """Yield what ends with the bills that end by these facts (id -> fact), as none of them ends it; and such bills."""
        for bill in list(self._forgotten.ends(facts.values(), past)):
            self._take(bill)
            facts = {**facts, bill.id: bill}
            yield bill
        for bill in [f for f in facts.values() if _ends_bill(f)] if self._open else ():
            for kind in BESIDE:
                begun = self._open.get(_key(replace(bill, kind=kind)))
                if begun is not None:
                    yield self._take(self._end(begun, bill.at_ms, facts))

    def _end(self, begun: Fact, at_ms: Millis, told: Container[str] = ()) -> Fact:
        """Return the end of what lasts: then, or as soon after as no line says one, and none of another interval is told."""
        # downtimes touch: none is empty
        least = Millis(begun.at_ms + (begun.kind is EntryKind.DOWNTIME))
        line = replace(begun, type=EntryType.CLOSE, at_ms=max(at_ms, least))
        while line.at_ms in self._ends[_key(begun)] or line.id in told:
            line = replace(line, at_ms=Millis(line.at_ms + 1))
        return line

    def _take(self, fact: Fact) -> Fact:
        key = _key(fact)
        self._latest[key] = fact.at_ms
        self._forgotten.take(fact)
        if fact.type is EntryType.OPEN:
            self._open[key] = fact
        else:
            self._open.pop(key, None)
            self._ends[key].add(fact.at_ms)
        return fact


def may_share(fact: Fact) -> bool:
    """Say whether the line that there is of a fact may be of another happening: the end of a release that another followed."""
    return fact.kind is EntryKind.RELEASING and fact.type is EntryType.CLOSE


def _is_possession(fact: Fact) -> bool:
    """Say whether a fact may follow others of what is held: all but the beginning of a claim's first bill."""
    is_first = fact.type is EntryType.OPEN and fact.sequence == 1
    return fact.kind in HELD and not (fact.kind is EntryKind.BOUND and is_first)


def _ends_bill(fact: Fact) -> bool:
    return fact.kind is EntryKind.BOUND and fact.type is EntryType.CLOSE


def _key(fact: Fact) -> tuple[ClaimUID, int, LeaseUID, EntryKind]:
    return (fact.claim_uid, fact.sequence, fact.lease_uid, fact.kind)
