"""How long nodes must rest still that were seen empty.

Since when is noted by the wall clock, on the hub where there is an object for it: a restart goes on with it. That clock is
asked once, when an operator first sees the note; from then on the rest is counted on the monotonic one. So no clock that
jumps ends a rest early, and an instant that lies ahead, as a wrong clock noted it, costs one more rest at the most: it
counts as now, since the nodes are empty by now. The note itself stays, or a clock that is behind for a moment would end
the rest of the next operator early. One for all of a process, asked by whatever takes a claim off its nodes.
"""

from typing import Final

from sublet.api.times import MS_PER_SECOND, Millis
from sublet.clock import Clock

_MOST: Final = 4_096
"""Notes that are remembered; one that is forgotten is seen for the first time again."""


class Rests:
    """Since when nodes rest, by our monotonic clock."""

    def __init__(self) -> None:
        self._since: dict[tuple[str, Millis], float] = {}  # claim UID, noted instant -> seconds

    def left_seconds(
        self, claim_uid: str, vacated_ms: Millis, rest_seconds: int, clock: Clock
    ) -> float:
        """Return how much of a rest is left of nodes that, as it is noted, a claim's last pod left then."""
        now, note = clock.monotonic(), (claim_uid, vacated_ms)
        if note not in self._since:
            self._since[note] = now - max(0, clock.now_ms() - vacated_ms) / MS_PER_SECOND
            if len(self._since) > _MOST:
                del self._since[next(iter(self._since))]
        return self._since[note] + rest_seconds - now
