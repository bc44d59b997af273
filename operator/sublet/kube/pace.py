"""How much of the event loop one watch may take: a flood of events must leave the time of everybody else alone.

Bursts are ordinary (a driver upgrade touches every node at once), so time is saved up: a stream that is quiet may take
its savings at once, one that never ends is held to a share. Whatever isn't read yet waits in the server's own socket.
"""

import time
from collections.abc import Awaitable, Callable
from typing import Final

_SLICE_SECONDS: Final = 0.01
"""Work of so long is done before the others get their turn."""
_SHARE: Final = 0.25
_SAVED_SECONDS: Final = 2.0


class Pace:
    """The time that one stream takes and has left."""

    def __init__(
        self, sleep: Callable[[float], Awaitable[None]], now: Callable[[], float] = time.monotonic
    ) -> None:
        self._sleep = sleep
        self._now = now
        self._left_seconds = _SAVED_SECONDS
        self._slice_seconds = 0.0
        self._seen_at = now()

    def took(self, seconds: float) -> bool:
        """Take note of time that was taken; return whether it is the others' turn."""
        self._left_seconds -= seconds
        self._slice_seconds += seconds
        return self._slice_seconds >= _SLICE_SECONDS

    async def give_way(self) -> None:
        """Let the others run, for as long as it takes until some time is saved up again."""
        now = self._now()
        saved = self._left_seconds + (now - self._seen_at) * _SHARE
        self._left_seconds, self._seen_at = min(_SAVED_SECONDS, saved), now
        self._slice_seconds = 0.0
        await self._sleep(max(0.0, -self._left_seconds / _SHARE))
