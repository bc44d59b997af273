"""What became of each lease's GPUs, added up over all its time as wholesale rating sees it. Pure.

Rated anew from a checkpoint at each look, so that late lines count; what is older than a week is added up for good and its
intervals are dropped. Checkpoints are set by the ledger's lines alone: whoever reads the same lines gets the same sums.
"""

from collections.abc import Mapping
from typing import Final

from sublet.api.ids import LeaseUID
from sublet.api.times import Millis
from sublet.ledger.entry import EntryKind
from sublet.rating.books import Books
from sublet.rating.calendar import Span
from sublet.rating.model import LeaseState
from sublet.rating.sla import incidents
from sublet.rating.supply import Supply, supplies_of
from sublet.rating.wholesale import pieces

EVERY_LINES: Final = 10_000
KEEP_MS: Final = 7 * 86_400_000
_FOR_GOOD: Final = frozenset({EntryKind.DOWNTIME})
"""Few, and deadlines are made of them."""

Quantities = dict[LeaseState, int]
"""state -> GPU-milliseconds"""


class LeaseStates:
    """GPU time of leases by state."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._until: dict[LeaseUID, Millis] = {}  # lease -> up to when it is added up for good
        self._sums: dict[LeaseUID, Quantities] = {}
        self.since: dict[LeaseUID, Millis] = {}

    def at(self, until: Mapping[LeaseUID, Millis | None]) -> dict[LeaseUID, Quantities]:
        """Return the quantities up to each lease's instant; none of a lease of which nothing is known yet."""
        return {
            uid: self._upto(supply, end)
            for uid, supply in supplies_of(self._books).items()
            if (end := until.get(uid)) is not None
        }

    def deadlines(self, now_ms: Millis) -> dict[LeaseUID, Millis]:
        """Return until when the next claim against a landlord must be made; none where nothing is to be claimed."""
        found: dict[LeaseUID, Millis] = {}
        for uid, supply in supplies_of(self._books).items():
            if not any(supply.sla.values):
                continue
            past = Span(supply.begins_ms, now_ms)
            ends = (x.deadline_ms for x in incidents(supply, past, now_ms, self._books.head))
            if open_ := [at for at in ends if at is not None and at >= now_ms]:
                found[uid] = min(open_)
        return found

    def checkpoint(self, newest_ms: Millis) -> None:
        """Add up for good what is a week older than an instant, and drop the intervals."""
        end = Millis(newest_ms - KEEP_MS)
        for uid, supply in supplies_of(self._books).items():
            if end > self._until.get(uid, supply.begins_ms):
                self._sums[uid] = self._upto(supply, end)
                self._until[uid] = end
        self._books.closed = [
            x
            for x in self._books.closed
            if x.interval.kind in _FOR_GOOD or x.interval.end_ms is None or x.interval.end_ms > end
        ]

    def _upto(self, supply: Supply, end: Millis) -> Quantities:
        uid = supply.lease_uid
        begin = self._until.get(uid)
        if begin is None:
            begin = supply.begins_ms
            self.since[uid] = begin
        found = dict(self._sums.get(uid) or dict.fromkeys(LeaseState, 0))
        if begin < end:
            for piece in pieces(supply, [Span(begin, end)]):
                for state, quantity in piece.quantity.items():
                    found[state] += quantity
        return found
