"""The ledger as metrics and usage see it: folded once, then carried on line by line in the background.

So a scrape reads the few lines that are new and adds up what lasts; the whole ledger is read again only if it was put back to an
older state. Written by the listener's task and by scrapes, one at a time.
"""

import asyncio
from collections.abc import Iterable, MutableMapping
from typing import Final

from sublet.api.ids import LeaseUID
from sublet.ledger.entry import Entry, EntryKind, read_on, reading_from
from sublet.ledger.interval import BrokenLedger, Interval, intervals
from sublet.rating.books import Books
from sublet.serve.families import Ratchet
from sublet.serve.horizon import Horizon
from sublet.serve.look import Look, Looking
from sublet.serve.states import EVERY_LINES, LeaseStates
from sublet.serve.sums import Ledgered
from sublet.store.sql import SqlLedger

RETENTION_SECONDS: Final = 3_600
_PAGE: Final = 5_000
_HASHES: Final = 500
_WITHOUT_TEXT: Final = frozenset(
    {EntryKind.CAPACITY, EntryKind.PERIOD, EntryKind.RELEASING, EntryKind.DISPUTED}
)
_ONCE: Final = frozenset({EntryKind.TERMS, EntryKind.ADJUSTMENT})
"""Their texts are read by their line and never again."""


class LedgerBooks:
    """Running totals over the ledger."""

    def __init__(self, ledger: SqlLedger, *, retention_seconds: int = RETENTION_SECONDS) -> None:
        self._ledger = ledger
        self._retention_ms = retention_seconds * 1_000
        self._ratchet = Ratchet()
        self._broken = ""
        """What the first line said that couldn't be taken: half taken, it would be said to break another rule the next time."""
        self._turn = asyncio.Lock()
        self._begin()

    def _begin(self) -> None:
        """Have read nothing yet."""
        self._texts: MutableMapping[str, str] = {}  # hash -> text
        self._books = Books(self._texts)
        self._ledgered = Ledgered(self._books, self._retention_ms)
        self._looking = Looking(self._ledgered, self._ratchet)
        self._states = LeaseStates(self._books)
        self._rated: Look | None = None
        self._last: Entry | None = None

    async def carry_on(self, horizon: Horizon) -> None:
        """Read what is new and rate leases' states anew; raises as `look`."""
        await self.look(horizon, rate=True)

    async def look(self, horizon: Horizon, *, rate: bool = False) -> Look:
        """Return the ledger as far as it is known; raises LedgerUnavailable, and BrokenLedger rather than be wrong.

        Leases' states are those of when they were rated last, which takes longer, unless they are to be rated now or never were.
        """
        async with self._turn:
            await self._catch_up()
            gone = self._ledgered.prune(horizon.now_ms)
            if gone:
                self._looking.forget(set(gone))
            found = self._looking.look(horizon)
            found.conflict = self._ledger.conflict is not None
            found.takes_nothing = self._ledger.takes_nothing
            await self._rate(found, horizon, anew=rate)
        found.leases, found.tenants = dict(self._books.leases), dict(self._books.tenants)
        return found

    async def intervals(self) -> list[Interval]:
        """Return all intervals, whenever they were; a thread's work, as a big ledger has more of it than a Lease waits for."""
        facts = await self._ledger.facts()
        return await asyncio.to_thread(lambda: list(intervals(facts)))

    async def _rate(self, found: Look, horizon: Horizon, *, anew: bool) -> None:
        """Take over or rate leases' states; the ledger's books stand still meanwhile."""
        known = self._rated
        if known is None or anew:
            held = self._ledgered.held_leases()
            until = {
                uid: horizon.of_lease(uid)
                for uid in map(LeaseUID, self._books.leases)
                if uid in horizon.seen or uid not in held
            }
            states = await asyncio.to_thread(self._states.at, until)
            found.states = self._looking.states(states)
            found.states_since = dict(self._states.since)
            found.deadlines = await asyncio.to_thread(self._states.deadlines, horizon.now_ms)
            self._rated = found
            return
        found.states, found.states_since = known.states, known.states_since
        found.deadlines = known.deadlines

    async def _catch_up(self) -> None:
        if self._broken:
            raise BrokenLedger(self._broken)
        while True:
            page = await self._ledger.read_entries(reading_from(self._last), _PAGE)
            new = read_on(page, self._last)
            if new is None:
                self._begin()
                continue
            await self._read_texts(new)
            for entry in new:
                self._take(entry)
            for entry in new:
                if entry.fact.kind in _ONCE:
                    self._texts.pop(entry.fact.price_hash, None)
            if len(page) < _PAGE:
                return

    def _take(self, entry: Entry) -> None:
        try:
            self._books.take(entry)
            self._ledgered.take(entry)
        except BrokenLedger as error:
            self._broken = str(error)
            raise
        self._last = entry
        if entry.seq % EVERY_LINES == 0 and (newest := self._ledgered.sums.last_at_ms) is not None:
            self._states.checkpoint(newest)
            self._ledgered.prune(newest)

    async def _read_texts(self, page: Iterable[Entry]) -> None:
        wanted = {e.fact.price_hash for e in page if e.fact.kind not in _WITHOUT_TEXT}
        missing = sorted(wanted - self._texts.keys() - {""})
        for first in range(0, len(missing), _HASHES):
            self._texts.update(await self._ledger.read_terms(missing[first : first + _HASHES]))
