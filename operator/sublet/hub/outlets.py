"""What leaves the operator by itself: events to a sink, files to a directory or bucket. Each goes on while the other fails."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from sublet.clock import Clock
from sublet.export.events import outbox_of
from sublet.export.schedule import schedule_of
from sublet.export.schedule.schedule import Told
from sublet.settings import Settings
from sublet.store.sql import SqlLedger


class Hearer(Told, Protocol):
    """Who hears of both: the metrics."""

    def unexported(self, count: int) -> None:
        """Record how many lines of the ledger and notices weren't sent as events yet."""


class Outlets:
    """The outbox and the schedule of exports, as one task."""

    def __init__(
        self,
        settings: Settings,
        ledger: SqlLedger,
        clock: Clock,
        leads: Callable[[], bool],
        told: Hearer,
    ) -> None:
        self.outbox = outbox_of(settings, ledger, clock, leads=leads, waiting=told.unexported)
        self.schedule = schedule_of(settings, ledger, clock, leads=leads, told=told)

    async def run(self) -> None:
        """Send and export for ever."""
        await asyncio.gather(self.outbox.run(), self.schedule.run())
