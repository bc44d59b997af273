"""The ledger as metrics and usage see it: folded once, then kept up with what is new.

Closed intervals are summed when they are read and not kept; open ones are few. So a scrape reads only new lines.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from sublet.api.times import Millis
from sublet.ledger.entry import EntryKind, Fact
from sublet.ledger.interval import Fold, Interval, intervals
from sublet.ledger.terms import PriceTerms, parse_price
from sublet.store.sql import SqlLedger

Key = tuple[str, str, str, EntryKind, str]
"""(claim UID, tenant UID, lease UID, kind, price hash)"""


@dataclass(slots=True)
class Totals:
    """GPU-milliseconds by key, up to an instant."""

    gpu_milliseconds: dict[Key, int] = field(default_factory=lambda: defaultdict(int))
    entries: Counter[EntryKind] = field(default_factory=Counter)
    last_at_ms: Millis | None = None
    conflict: bool = False
    """Two records of one happening disagree: new binds have stopped."""


class LedgerBooks:
    """Running totals over the ledger."""

    def __init__(self, ledger: SqlLedger) -> None:
        self._ledger = ledger
        self._seq = 0
        self._closed: dict[Key, int] = defaultdict(int)
        self._fold = Fold()
        self._entries: Counter[EntryKind] = Counter()
        self._last_at: Millis | None = None
        self._prices: dict[str, PriceTerms] = {}

    async def totals(self, now_ms: Millis) -> Totals:
        """Return the totals until now; raises LedgerUnavailable, and BrokenLedger rather than be wrong."""
        await self._catch_up()
        found = Totals(
            last_at_ms=self._last_at,
            entries=Counter(self._entries),
            conflict=self._ledger.conflict is not None,
        )
        found.gpu_milliseconds.update(self._closed)
        for fact in self._fold.open.values():
            found.gpu_milliseconds[_key(fact)] += fact.gpus * max(0, now_ms - fact.at_ms)
        return found

    async def prices(self, hashes: Iterable[str]) -> dict[str, PriceTerms]:
        """Return the prices behind these hashes; each is read once, since what a hash names never changes."""
        missing = {h for h in hashes if h not in self._prices}
        if missing:
            texts = await self._ledger.read_terms(sorted(missing))
            self._prices |= {h: parse_price(text) for h, text in texts.items()}
        return self._prices

    async def intervals(self) -> list[Interval]:
        """Return all intervals, for usage over any window."""
        return list(intervals(await self._ledger.facts()))

    async def _catch_up(self) -> None:
        for entry in await self._ledger.read_entries(self._seq):
            fact = entry.fact
            closed = self._fold.take(fact)
            if closed is not None:
                self._closed[_key(closed)] += closed.gpus * (fact.at_ms - closed.start_ms)
            self._entries[fact.kind] += 1
            if fact.kind is not EntryKind.CANCELLED:  # its instants may be in the future
                self._last_at = Millis(max(self._last_at or 0, fact.at_ms))
            self._seq = entry.seq


def _key(held: Fact | Interval) -> Key:
    return (held.claim_uid, held.tenant_uid, held.lease_uid, held.kind, held.price_hash)
