"""A ledger, a sink, and operators that send from one to the other."""

from collections.abc import Callable

from sublet.export.events.outbox import Outbox
from sublet.export.events.sink import HttpSink
from sublet.store.outbox import SqlOutbox
from sublet.store.sql import SqlLedger
from tests.builders.lines import TEXTS, fact
from tests.harness.fake_api import SteppedClock
from tests.harness.sink import RealSink


class World:
    """A ledger, a sink, and an operator that sends from one to the other."""

    def __init__(self, ledger: SqlLedger, sink: RealSink) -> None:
        self.ledger, self.sink = ledger, sink
        self.box = SqlOutbox(ledger)
        self.clock = SteppedClock()
        self.leads = True
        self.waiting: list[int] = []
        self._sinks: list[HttpSink] = []

    def operator(
        self, batch: int = 1, token_file: str | None = None, url: str | None = None
    ) -> Outbox:
        """Return an operator that was just started."""
        http = HttpSink(url or self.sink.url, token_file=token_file)
        self._sinks.append(http)
        return Outbox(
            self.box,
            http,
            self.clock,
            leads=lambda: self.leads,
            waiting=self.waiting.append,
            batch=batch,
        )

    async def lines(self, *claims: str) -> list[str]:
        """Append a line for each claim; return all lines' ids."""
        await self.ledger.append([fact(c) for c in claims], TEXTS)
        return [e.fact.id for e in await self.ledger.read_entries()]

    async def close(self) -> None:
        """Close what was opened."""
        for http in self._sinks:
            await http.close()


async def until(
    outbox: Outbox, world: World, done: Callable[[], bool], *, step_seconds: float = 2.0
) -> None:
    """Let the operator go on, as its clock passes, until something is so."""
    for _ in range(10_000):
        if done():
            return
        await outbox.step()
        await world.clock.sleep(step_seconds)
    raise AssertionError("it never came to be so")
