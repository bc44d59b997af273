"""From entries to intervals: who held how many GPUs of which lease, from when to when, in which kind. Pure.

An open interval is virtual: whoever asks for usage until T closes it at T without writing anything.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sublet.api.ids import ClaimUID, LeaseUID, TenantUID
from sublet.api.times import Millis
from sublet.ledger.entry import MARKS, EntryKind, EntryType, Fact


@dataclass(frozen=True, slots=True)
class Interval:
    """GPUs of one lease held by one claim in one kind; `end_ms` is None while it lasts."""

    claim_uid: ClaimUID
    sequence: int
    tenant_uid: TenantUID
    lease_uid: LeaseUID
    kind: EntryKind
    gpus: int
    start_ms: Millis
    end_ms: Millis | None
    price_hash: str
    tags_hash: str

    def gpu_milliseconds(self, from_ms: Millis, to_ms: Millis) -> int:
        """Return the GPU-milliseconds inside [from_ms, to_ms), exact."""
        end = to_ms if self.end_ms is None else min(self.end_ms, to_ms)
        return self.gpus * max(0, end - max(self.start_ms, from_ms))


class BrokenLedger(ValueError):
    """Entries that no history of holding and returning can give: a close without open, an overlap."""


Key = tuple[ClaimUID, int, LeaseUID, EntryKind]
"""(claim UID, allocation sequence, lease UID, kind): what may be open once at a time"""


def key_of(fact: Fact) -> Key:
    """Return what a line opens or closes."""
    return (fact.claim_uid, fact.sequence, fact.lease_uid, fact.kind)


class Fold:
    """Joins openings and closings of facts in ledger order, one after the other."""

    def __init__(self) -> None:
        self.open: dict[Key, Fact] = {}  # what holds -> its opening

    def take(self, fact: Fact) -> Interval | None:
        """Return the interval that a fact closes, None if it opens one or is a mark; BrokenLedger on what can't be."""
        if (fact.kind in MARKS) is not (fact.type is EntryType.SET):
            raise BrokenLedger(f"{fact.kind} {fact.type} can't be ({fact.id})")
        if fact.type is EntryType.SET:
            return None
        key = key_of(fact)
        start = self.open.get(key)
        if fact.type is EntryType.OPEN:
            if start is not None:
                raise BrokenLedger(f"claim {fact.claim_uid} opens {fact.kind} twice ({fact.id})")
            self.open[key] = fact
            return None
        if start is None:
            raise BrokenLedger(
                f"claim {fact.claim_uid} closes {fact.kind} that isn't open ({fact.id})"
            )
        if fact.at_ms < start.at_ms or fact.gpus != start.gpus:
            raise BrokenLedger(
                f"claim {fact.claim_uid} closes {fact.kind} unlike it was opened ({fact.id})"
            )
        del self.open[key]
        return interval(start, fact.at_ms)


def intervals(facts: Iterable[Fact]) -> Iterator[Interval]:
    """Yield the intervals of facts in ledger order, open ones last; BrokenLedger on what can't be."""
    fold = Fold()
    for fact in facts:
        closed = fold.take(fact)
        if closed is not None:
            yield closed
    for start in fold.open.values():
        yield interval(start, None)


def interval(start: Fact, end_ms: Millis | None) -> Interval:
    """Return the interval that an opening begins."""
    return Interval(
        claim_uid=start.claim_uid,
        sequence=start.sequence,
        tenant_uid=start.tenant_uid,
        lease_uid=start.lease_uid,
        kind=start.kind,
        gpus=start.gpus,
        start_ms=start.at_ms,
        end_ms=end_ms,
        price_hash=start.price_hash,
        tags_hash=start.tags_hash,
    )
