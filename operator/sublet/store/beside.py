"""What stands beside the bill, disputed time and downtime, fitted to what the ledger has of it already.

A hub that was put back to an older state reports an end of what ended long ago, or a beginning of what never ended by the
ledger. Written as they are, such lines would be no history of anything, and nobody could read the ledger again. What the
ledger has stays as it is; what can't follow it isn't new; what nobody will end any more ends with the bill.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from sqlalchemy import Connection, select

from sublet.api.ids import ClaimUID, LeaseUID
from sublet.api.times import Millis
from sublet.ledger.entry import EntryKind, EntryType, Fact
from sublet.ledger.interval import Key
from sublet.store.rows import entry_of
from sublet.store.tables import entries

BESIDE: Final = (EntryKind.DISPUTED, EntryKind.DOWNTIME)
_BATCH: Final = 500


class Beside:
    """What is open beside the bills of some claims, as lines are appended."""

    def __init__(self, connection: Connection, new: Iterable[Fact]) -> None:
        """Read what the ledger has of the claims for which `new` lines may need it; nothing for all others."""
        self._open: dict[Key, Fact] = {}
        uids = sorted({f.claim_uid for f in new if f.kind in BESIDE or _ends_bill(f)})
        for first in range(0, len(uids), _BATCH):
            some = entries.c.claim_uid.in_(uids[first : first + _BATCH])
            query = select(entries).where(some, entries.c.kind.in_(BESIDE)).order_by(entries.c.seq)
            for row in connection.execute(query):
                self._take(entry_of(row).fact)

    def fit(self, fact: Fact) -> Iterator[Fact]:
        """Yield the lines that a new fact calls for after those before it: itself, mostly."""
        if fact.kind not in BESIDE:
            yield fact
            return
        before = self._open.get(_key(fact))
        if fact.type is EntryType.OPEN:
            if before is not None and fact.at_ms <= before.at_ms:
                return  # it goes on since a later instant
            if before is not None:
                yield _end(before, fact.at_ms)
        elif before is None or fact.at_ms < before.at_ms or fact.gpus != before.gpus:
            return  # the end of something else, which has its end
        self._take(fact)
        yield fact

    def ends(self, facts: Mapping[str, Fact]) -> Iterator[Fact]:
        """Yield what ends with the bills that end by these facts (id -> fact), as none of them ends it."""
        for bill in [f for f in facts.values() if _ends_bill(f)] if self._open else ():
            for kind in BESIDE:
                begun = self._open.pop(_key(replace(bill, kind=kind)), None)
                if begun is None:
                    continue
                # downtimes touch: none is empty
                least = begun.at_ms + (kind is EntryKind.DOWNTIME)
                line = _end(begun, Millis(max(bill.at_ms, least)))
                while line.id in facts:  # of another number of GPUs: they would share a line
                    line = replace(line, at_ms=Millis(line.at_ms + 1))
                yield line

    def _take(self, fact: Fact) -> None:
        if fact.type is EntryType.OPEN:
            self._open[_key(fact)] = fact
        else:
            self._open.pop(_key(fact), None)


def _ends_bill(fact: Fact) -> bool:
    return fact.kind is EntryKind.BOUND and fact.type is EntryType.CLOSE


def _end(begun: Fact, at_ms: Millis) -> Fact:
    return replace(begun, type=EntryType.CLOSE, at_ms=at_ms)


def _key(fact: Fact) -> tuple[ClaimUID, int, LeaseUID, EntryKind]:
    return (fact.claim_uid, fact.sequence, fact.lease_uid, fact.kind)
