"""Time, injected.

Owns the one place where the wall clock is read. Logic takes a `Clock` (or plain milliseconds), never
`time.time()`, so that tests, the simulator and replays can set it. All instants inside Sublet are
`Millis`: integer milliseconds since 1970-01-01T00:00:00Z, because a bill is exact to the millisecond and
floats are not.
"""

import math
import time
from typing import Protocol

from sublet.api.times import MS_PER_SECOND, Millis


class Clock(Protocol):
    """What tells the time."""

    def now_ms(self) -> Millis:
        """Return the wall clock's milliseconds since the epoch, UTC."""

    def monotonic(self) -> float:
        """Return seconds that never go back, for time limits and ages; the zero point means nothing."""


def in_ms(at_seconds: float | None, clock: Clock) -> Millis | None:
    """Return the wall clock's milliseconds at which it will be so many monotonic seconds; None of None.

    What must wait keeps monotonic seconds and asks for this anew: a wall clock that is set back would make it wait for so
    much longer.
    """
    if at_seconds is None:
        return None
    left = max(0.0, at_seconds - clock.monotonic())
    return Millis(clock.now_ms() + math.ceil(left * MS_PER_SECOND))


class SystemClock:
    """The machine's clocks."""

    def now_ms(self) -> Millis:
        """Return the wall clock's milliseconds since the epoch, UTC."""
        return Millis(time.time_ns() // 1_000_000)

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return time.monotonic()
