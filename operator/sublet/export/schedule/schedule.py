"""Which export is made now, and what becomes of one that failed. On the leader alone, beside the loop.

Once a day, at an hour of UTC, the open months; and each month once more when the ledger says that it is closed. That a day was done stands in the
ledger's database, that a closed month was in its manifest, so that a restart begins where the one before ended.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Final, Protocol

import structlog

from sublet.api.times import Millis
from sublet.clock import Clock
from sublet.export.schedule.due import last_due
from sublet.export.schedule.job import Done, Fault, Job
from sublet.ledger.entry import EntryKind
from sublet.ledger.port import LedgerUnavailable
from sublet.store.outbox import SqlOutbox
from sublet.store.sql import SqlLedger

LOOK_SECONDS: Final = 30.0
FIRST_PAUSE_SECONDS: Final = 60.0
LONGEST_PAUSE_SECONDS: Final = 3_600.0
_MOST_DOUBLINGS: Final = 16
_PAGE: Final = 5_000
Worker = Callable[[Job], Awaitable[Sequence[Done | Fault]]]


class Told(Protocol):
    """Who hears of exports: the metrics."""

    def exported(self, format_: str, rows: int, at_ms: Millis, *, is_closed: bool) -> None:
        """Record an export that was written whole: of which format, how many rows, of a closed period or an open one."""

    def export_failing(self, is_failing: bool) -> None:
        """Record whether an export that is due can't be made."""


class Schedule:
    """Exports by itself."""

    def __init__(
        self,
        ledger: SqlLedger,
        clock: Clock,
        worker: Worker | None,
        *,
        leads: Callable[[], bool],
        told: Told,
        hour: int = 0,
        place: str = "",
    ) -> None:
        """Start nothing yet; without a worker nothing is ever exported. `place` tells one target's days from another's."""
        self._ledger, self._clock, self._worker = ledger, clock, worker
        self._leads, self._told = leads, told
        self._hour, self._cursor = hour, f"export-{place}"
        self._box = SqlOutbox(ledger)
        self._job: Job | None = None
        self._seen: int | None = None
        """The line up to which was looked for periods that were closed; None: not at all."""
        self._closed: frozenset[str] = frozenset()
        """Closed months that are known to be there."""
        self._tries, self._due = 0, float("-inf")
        self._said = ""

    async def run(self) -> None:
        """Export for ever; nothing without a worker."""
        while self._worker is not None:
            try:
                await self.step()
            except Exception as error:  # noqa: BLE001  a mistake of ours ends neither this nor what runs beside it
                structlog.get_logger().exception("export failed")
                self._later([Fault("the export", f"{type(error).__name__}: {error}")])
            await asyncio.sleep(LOOK_SECONDS)

    async def step(self) -> None:
        """Export what is due, if this replica leads and a try that failed isn't too recent."""
        if self._worker is None or not self._leads():
            return
        try:
            await self._look()
            if self._job is None or self._clock.monotonic() < self._due:
                return
            results = await self._worker(self._job)
            await self._take(self._job, results)
        except LedgerUnavailable as error:
            self._later([Fault("the ledger", str(error))])

    async def _look(self) -> None:
        """Say what is to be exported: a new day takes the place of an older one that failed, or of one that is to come.

        An instant to come is from a clock that was ahead: what was made for it, or of it in part, is made again of today.
        """
        now_ms = self._clock.now_ms()
        day = last_due(now_ms, self._hour)
        if self._job is not None and self._job.is_daily and day <= self._job.as_of_ms <= now_ms:
            return
        done_ms = (await self._box.positions()).get(self._cursor, 0)
        was_ahead = done_ms > now_ms or (self._job is not None and self._job.as_of_ms > now_ms)
        is_daily = was_ahead or day > done_ms
        if self._job is not None and not is_daily:
            return
        seq, _, _ = await self._ledger.position(0)
        if is_daily or await self._has_closed(seq):
            self._job = Job(day, seq, is_daily, self._closed)
            self._tries, self._due = 0, float("-inf")
        else:
            self._seen = seq

    async def _has_closed(self, seq: int) -> bool:
        """Say whether a period was closed in lines that weren't looked at; at first that isn't known."""
        at = self._seen
        while at is not None and at < seq:
            lines = await self._ledger.read_entries(at, min(_PAGE, seq - at))
            if not lines or any(line.fact.kind is EntryKind.PERIOD for line in lines):
                return bool(lines)
            at = lines[-1].seq
        return at is None

    async def _take(self, job: Job, results: Sequence[Done | Fault]) -> None:
        done = [each for each in results if isinstance(each, Done)]
        faults = [each for each in results if isinstance(each, Fault)]
        self._count(done)
        self._closed |= {each.name for each in done if each.is_closed}
        if faults:
            # what lacks something in the ledger is made of a newer state of it, all else of the same
            is_content = any(each.is_content for each in faults)
            seq = (await self._ledger.position(0))[0] if is_content else job.seq
            skip = job.skip | {each.name for each in done}
            self._job = replace(job, seq=seq, skip=skip)
            self._later(faults)
            return
        if job.is_daily:
            await self._box.put(self._cursor, job.as_of_ms)
        self._job, self._seen = None, job.seq
        self._say("")

    def _count(self, done: Sequence[Done]) -> None:
        rows: Counter[tuple[str, bool]] = Counter()
        for each in done:
            for format_, count in each.rows.items():
                rows[format_, each.is_closed] += count
        for (format_, is_closed), count in sorted(rows.items()):
            self._told.exported(format_, count, self._clock.now_ms(), is_closed=is_closed)

    def _later(self, faults: Sequence[Fault]) -> None:
        pause = min(
            LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** min(self._tries, _MOST_DOUBLINGS)
        )
        self._tries += 1
        self._due = self._clock.monotonic() + random.uniform(0.5, 1.0) * pause
        self._say("; ".join(f"{each.what}: {each.text}" for each in faults))

    def _say(self, fault: str) -> None:
        """Log a fault when it begins or changes, and when it is over; each export that went well, too."""
        log = structlog.get_logger()
        if fault and fault != self._said:
            log.error("export failed: nothing is lost, it is tried again", error=fault)
        elif self._said and not fault:
            log.info("exports are made again")
        self._said = fault
        self._told.export_failing(bool(fault))
