"""Clocks of a history: one virtual time, and each operator's own idea of the time of day."""

from typing import Final

from sublet.api.times import Millis, parse_instant
from tests.simulation.loop import SimLoop

EPOCH: Final = parse_instant("2026-11-22T10:00:00Z")


class SimClock:
    """Implements `sublet.clock.Clock`."""

    def __init__(self, loop: SimLoop) -> None:
        self._loop = loop
        self.skew_ms = 0
        """By how much the time of day is ahead; a jump changes it. The monotonic clock knows nothing of it."""

    def now_ms(self) -> Millis:
        """Return the time of day."""
        return Millis(EPOCH + int(self._loop.time() * 1000) + self.skew_ms)

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return 1_000.0 + self._loop.time()
