"""Sends what the ledger's outbox has to a sink: in order, at least once, for ever.

Only the leader sends. A sink that is away is tried again with a growing, jittered pause; one that refuses is said and tried again slowly: nothing is
dropped, and nothing overtakes what is refused in its own stream. The cursor is written when a sink has taken what is before it.
"""

import asyncio
import random
from collections.abc import Callable
from typing import Final

import structlog

from sublet.clock import Clock
from sublet.export.events.cloudevent import Event, entry_event, notice_event
from sublet.export.events.sink import Answer, Outcome, Sink
from sublet.ledger.port import LedgerUnavailable
from sublet.store.outbox import ENTRIES, NOTICES, SqlOutbox

POLL_SECONDS: Final = 2.0
FAULT_SECONDS: Final = 30.0
"""After a fault that nothing here expects."""
_PAGE: Final = 500
"""Events that may be sent again after a crash: the cursor is written so often."""
_PAUSES: Final = {Outcome.AWAY: (1.0, 60.0), Outcome.REFUSED: (30.0, 600.0)}
"""outcome -> seconds of the first pause, and of the longest"""
_MOST_DOUBLINGS: Final = 16

Page = list[tuple[int, Event]]
"""(position, event)"""


class Outbox:
    """Moves two streams to one sink: lines of the ledger, then notices."""

    def __init__(
        self,
        box: SqlOutbox,
        sink: Sink | None,
        clock: Clock,
        *,
        leads: Callable[[], bool],
        waiting: Callable[[int], None],
        batch: int = 1,
    ) -> None:
        """Open nothing yet; `waiting` is told how many lines and notices weren't sent, `batch` above 1 sends so many in one request."""
        self._box, self._sink, self._clock = box, sink, clock
        self._leads, self._waiting, self._batch = leads, waiting, batch
        self._ledger_id = ""
        self._tries = {ENTRIES: 0, NOTICES: 0}
        self._due = {ENTRIES: float("-inf"), NOTICES: float("-inf")}
        """stream -> when it may be tried again, monotonic"""
        self._said = {ENTRIES: Outcome.TAKEN, NOTICES: Outcome.TAKEN}

    async def run(self) -> None:
        """Send for ever; nothing without a sink."""
        if self._sink is None:
            return
        try:
            while True:
                try:
                    wait = 0.0 if await self.step() else POLL_SECONDS
                except Exception:  # noqa: BLE001  a mistake of ours ends neither this nor what runs beside it
                    structlog.get_logger().exception("events not sent")
                    wait = FAULT_SECONDS
                await asyncio.sleep(wait)
        finally:
            await self._sink.close()

    async def step(self) -> bool:
        """Send a page of each stream that is due; return whether more waits and may go at once."""
        if self._sink is None or not self._leads():
            return False
        try:
            self._ledger_id = self._ledger_id or await self._box.ledger_id()
            count = await self._box.waiting()
            self._waiting(count)
            found = await self._stream(self._sink, ENTRIES, count)
            if found is not Outcome.AWAY:
                # a line may be refused for what it says, which is no reason to keep notices back
                await self._stream(self._sink, NOTICES, count)
            left = await self._box.waiting()
        except LedgerUnavailable:
            return False  # the bookkeeper says it; what was sent meanwhile is sent again
        self._waiting(left)
        return found is Outcome.TAKEN and left > 0

    async def _stream(self, sink: Sink, name: str, count: int) -> Outcome | None:
        """Send a page of one stream; return what became of it, None if nothing waits, or what keeps it back."""
        if self._clock.monotonic() < self._due[name]:
            return self._said[name]
        begin = (await self._box.positions())[name]
        page = await self._page(name, begin)
        if not page:
            return None
        answer, done = Answer(Outcome.TAKEN), begin
        try:
            for start in range(0, len(page), self._batch):
                if not self._leads():
                    break
                some = page[start : start + self._batch]
                answer = await sink.send([e for _, e in some], is_batch=self._batch > 1)
                if answer.outcome is not Outcome.TAKEN:
                    break
                done = some[-1][0]
        finally:
            if done > begin:
                await self._box.advance(name, done)
        self._take(name, answer, moved=done > begin)
        self._say(sink, name, answer, count)
        return answer.outcome

    async def _page(self, name: str, after: int) -> Page:
        if name == ENTRIES:
            lines = await self._box.entries(after, _PAGE)
            return [(e.seq, entry_event(self._ledger_id, e)) for e in lines]
        told = await self._box.notices(after, _PAGE)
        return [(number, notice_event(self._ledger_id, news)) for number, news in told]

    def _take(self, name: str, answer: Answer, *, moved: bool) -> None:
        """Set when a stream is tried again."""
        if moved or answer.outcome is Outcome.TAKEN:
            self._tries[name] = 0
        if answer.outcome is Outcome.TAKEN:
            return
        first, longest = _PAUSES[answer.outcome]
        doubled = first * 2 ** min(self._tries[name], _MOST_DOUBLINGS)
        pause = random.uniform(0.5, 1.0) * min(longest, doubled)
        self._tries[name] += 1
        self._due[name] = self._clock.monotonic() + max(pause, answer.wait_seconds)

    def _say(self, sink: Sink, name: str, answer: Answer, count: int) -> None:
        """Log once when a sink begins to fail, or fails otherwise, and once when it is over."""
        if answer.outcome is self._said[name]:
            return
        log = structlog.get_logger()
        if answer.outcome is Outcome.TAKEN:
            log.info("events are sent again", sink=sink.name, stream=name)
        else:
            words = {
                Outcome.AWAY: "will be tried again",
                Outcome.REFUSED: "change it or the settings",
            }
            log.error(
                "events not sent: nothing is lost",
                sink=sink.name,
                stream=name,
                error=f"{answer.outcome.value}: {answer.text}; {words[answer.outcome]}",
                unexported=count,
            )
        self._said[name] = answer.outcome
