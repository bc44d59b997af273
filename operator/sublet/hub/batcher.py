"""Collects marks of change and says when to look: soon after the last one, never long after the first.

Also keeps the one due time at which the loop looks again if nothing happens.
"""

import asyncio

from sublet.api.times import MS_PER_SECOND, Millis
from sublet.clock import Clock
from sublet.kube.waiting import is_set_within


class Batcher:
    """One waiter, many markers."""

    def __init__(self, clock: Clock, *, quiet_seconds: float, wait_seconds: float) -> None:
        self._clock = clock
        self._quiet_seconds = quiet_seconds
        self._wait_seconds = wait_seconds
        self._marked = asyncio.Event()
        self._due_ms: Millis | None = None
        self._rests_until = 0.0

    def mark(self) -> None:
        """Say that something changed."""
        self._marked.set()

    def look_at(self, due_ms: Millis | None) -> None:
        """Set when to look again at the latest; None: only when something changes."""
        self._due_ms = due_ms

    def rest(self, seconds: float) -> None:
        """Don't look again for so long, whatever changes."""
        self._rests_until = self._clock.monotonic() + seconds

    async def wait(self) -> None:
        """Return when there is something to look at, marks that have gone quiet or the due time, and a rest is over."""
        await self._collect()
        if (left := self._rests_until - self._clock.monotonic()) > 0:
            await asyncio.sleep(left)

    async def _collect(self) -> None:
        if not await is_set_within(self._marked, self._seconds_to_due()):
            return
        begun = self._clock.monotonic()
        while self._clock.monotonic() - begun < self._wait_seconds:
            self._marked.clear()
            if not await is_set_within(self._marked, self._quiet_seconds):
                return
        self._marked.clear()

    def _seconds_to_due(self) -> float | None:
        if self._due_ms is None:
            return None
        return max(0.0, (self._due_ms - self._clock.now_ms()) / MS_PER_SECOND)
