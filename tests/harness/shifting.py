"""An operator whose clock can be moved: `python -m tests.harness.shifting`, by the hours in the file `CLOCK_SHIFT`.

Only the time of day moves; what the operator waits for on its event loop it waits for in real time, so a test moves the
clock and then changes some object, and the next pass sees the later hour. The hub's clock goes along, where two clocks are
asked, and so does the monotonic one by which nodes rest. The operator knows nothing of this.
"""

import os
import sys
from pathlib import Path

from sublet.api.times import MS_PER_SECOND, Millis
from sublet.binder.rests import Rests
from sublet.clock import Clock, SystemClock
from sublet.hub.statements import keeper
from sublet.kube.skew import ahead_seconds
from sublet.process import main

_MS_PER_HOUR = 3_600_000


def wrap() -> None:
    """Add the hours that the file says to every instant."""
    file, now_ms = Path(os.environ["CLOCK_SHIFT"]), SystemClock.now_ms
    left_seconds = Rests.left_seconds

    def shift_ms() -> int:
        hours = float(file.read_text() or 0) if file.exists() else 0.0
        return int(hours * _MS_PER_HOUR)

    def shifted(self: SystemClock) -> Millis:
        return Millis(now_ms(self) + shift_ms())

    def gone_along(date: str, now_ms: Millis) -> int | None:
        return ahead_seconds(date, Millis(now_ms - shift_ms()))

    class Rested(SystemClock):
        def monotonic(self) -> float:
            return super().monotonic() + shift_ms() / MS_PER_SECOND

    def rest_left(
        self: Rests, claim_uid: str, vacated_ms: Millis, rest_seconds: int, clock: Clock
    ) -> float:
        return left_seconds(self, claim_uid, vacated_ms, rest_seconds, Rested())

    SystemClock.now_ms = shifted  # type: ignore[method-assign]  # that is the point
    Rests.left_seconds = rest_left  # type: ignore[method-assign]  # likewise
    keeper.ahead_seconds = gone_along  # type: ignore[attr-defined]  # likewise


if __name__ == "__main__":
    wrap()
    sys.exit(main())
