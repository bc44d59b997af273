"""Ends that no claim calls for, of what the ledger has open: it, or the hub, was put back to an older state.

A claim that moved, or was bound anew, after the backup of a ledger that was restored names what it had before no more. One that
the hub shows reserved, as it was before it was bound, is released without the end of a bill. Written where the claim's next
lines are appended, so that what the ledger has of one claim is one thing after the other.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import replace

from sublet.api.ids import ClaimUID
from sublet.api.times import Millis
from sublet.ledger.entry import HOLDING, EntryKind, EntryType, Fact
from sublet.ledger.interval import Key, key_of
from sublet.ledger.past import Past


class Forgotten:
    """What some claims have, and had, by the ledger."""

    def __init__(self) -> None:
        self._open: dict[ClaimUID, dict[Key, Fact]] = defaultdict(dict)
        self._billed: dict[ClaimUID, dict[int, tuple[Millis, Millis]]] = defaultdict(dict)
        """claim -> reservation -> from when until when it was billed"""

    def take(self, fact: Fact) -> None:
        """Take note of a line."""
        if fact.kind not in HOLDING:
            return
        if fact.type is EntryType.OPEN:
            self._open[fact.claim_uid][key_of(fact)] = fact
            return
        begun = self._open[fact.claim_uid].pop(key_of(fact), None)
        if begun is not None and fact.kind is EntryKind.BOUND:
            self._billed[fact.claim_uid][fact.sequence] = (begun.at_ms, fact.at_ms)

    def ends(self, facts: Collection[Fact], past: Past | None) -> Iterator[Fact]:
        """Yield the ends that all of a claim's lines lack, once those are taken."""
        for fact in facts:
            if fact.kind is EntryKind.RELEASING and fact.type is EntryType.OPEN:
                bill = self._open[fact.claim_uid].get(key_of(replace(fact, kind=EntryKind.BOUND)))
                if bill is not None:
                    yield _end(bill, fact.at_ms)
        if past is not None:
            yield from self._ends_before(past, {f.sequence for f in facts if f.kind in HOLDING})

    def _ends_before(self, past: Past, said: Collection[int]) -> Iterator[Fact]:
        over = defaultdict[tuple[int, EntryKind], list[Fact]](list)
        for begun in self._open[past.claim_uid].values():
            if begun.sequence < past.sequence and begun.sequence not in said:
                over[begun.sequence, begun.kind].append(begun)
        known_ms = sum(
            end - begin
            for begin, end in self._billed[past.claim_uid].values()
            if end <= past.since_ms
        )
        for (sequence, kind), some in over.items():
            at_ms = some[0].at_ms
            # what is held and not billed was free at a time that nobody knows any more
            if kind is EntryKind.BOUND:
                at_ms = past.end_of(some, known_ms, self._next_ms(past, sequence))
            yield from (_end(begun, at_ms) for begun in some)

    def _next_ms(self, past: Past, sequence: int) -> Millis:
        """Return when the claim's next reservation that was billed began: several moves may be later than the backup."""
        bills = (f for f in self._open[past.claim_uid].values() if f.kind is EntryKind.BOUND)
        begun = [(f.sequence, f.at_ms) for f in bills]
        begun += [(n, begin) for n, (begin, _) in self._billed[past.claim_uid].items()]
        return min((at_ms for n, at_ms in begun if n > sequence), default=past.came_ms)


def _end(begun: Fact, at_ms: Millis) -> Fact:
    return replace(begun, type=EntryType.CLOSE, at_ms=Millis(max(at_ms, begun.at_ms)))
