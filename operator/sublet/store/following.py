"""Lines that a hub which was put back to an older state reports anew, fitted to what the ledger has already.

It reports an end of what ended long ago, or a beginning of what never ended by the ledger. Written as they are, such lines
would be no history of anything, and nobody could read the ledger again. What the ledger has stays as it is, a bill's first
end above all; what can't follow it isn't new. Disputed time and downtime that nobody will end any more end with the bill, and a
bill that no claim ends as `sublet.store.forgotten` says.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
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
                self._take(fact)
                yield fact
        elif fact.at_ms >= self._latest.get(_key(fact), fact.at_ms):
            if before is not None and fact.kind is not EntryKind.BOUND:
                end = _end(before, fact.at_ms)
                self._take(end)
                yield end
            self._take(fact)
            yield fact

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
                key = _key(replace(bill, kind=kind))
                begun = self._open.get(key)
                if begun is None:
                    continue
                # downtimes touch: none is empty
                least = begun.at_ms + (kind is EntryKind.DOWNTIME)
                line = _end(begun, Millis(max(bill.at_ms, least)))
                # of another interval, or of another number of GPUs: they would share a line
                while line.at_ms in self._ends[key] or line.id in facts:
                    line = replace(line, at_ms=Millis(line.at_ms + 1))
                self._take(line)
                yield line

    def _take(self, fact: Fact) -> None:
        key = _key(fact)
        self._latest[key] = fact.at_ms
        self._forgotten.take(fact)
        if fact.type is EntryType.OPEN:
            self._open[key] = fact
        else:
            self._open.pop(key, None)
            self._ends[key].add(fact.at_ms)


def _is_possession(fact: Fact) -> bool:
    """Say whether a fact may follow others of what is held: all but the beginning of a claim's first bill."""
    is_first = fact.type is EntryType.OPEN and fact.sequence == 1
    return fact.kind in HELD and not (fact.kind is EntryKind.BOUND and is_first)


def _ends_bill(fact: Fact) -> bool:
    return fact.kind is EntryKind.BOUND and fact.type is EntryType.CLOSE


def _end(begun: Fact, at_ms: Millis) -> Fact:
    return replace(begun, type=EntryType.CLOSE, at_ms=at_ms)


def _key(fact: Fact) -> tuple[ClaimUID, int, LeaseUID, EntryKind]:
    return (fact.claim_uid, fact.sequence, fact.lease_uid, fact.kind)
