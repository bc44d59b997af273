"""How much of the event loop one stranger's work may take: a flood must leave the time of everybody else alone.

Bursts are ordinary (a driver upgrade touches every node at once), so time is saved up: work that comes now and then may
take its savings at once, what never ends is held to a share. Whatever isn't read yet waits in the server's own socket.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Final, TypeVar

T = TypeVar("T")

_SLICE_SECONDS: Final = 0.01
"""Work of so long is done before the others get their turn."""
_SHARE: Final = 0.25
_SAVED_SECONDS: Final = 2.0


class Pace:
    """The time that one kind of work takes and has left."""

    def __init__(
        self,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        now: Callable[[], float] = time.monotonic,
        *,
        saved_seconds: float = _SAVED_SECONDS,
    ) -> None:
        self._sleep = sleep
        self._now = now
        self._most_saved_seconds = saved_seconds
        self._left_seconds = saved_seconds
        self._slice_seconds = 0.0
        self._seen_at = now()

    async def over(self, steps: Iterable[T]) -> AsyncIterator[T]:
        """Yield what each step of a lazy iterable gives, with turns of the others in between; only the steps are counted."""
        begun = self._now()
        for step in steps:
            if self.took(self._now() - begun):
                await self.give_way()
            yield step
            begun = self._now()

    async def through(self, work: Callable[[T], object], items: Iterable[T]) -> None:
        """Do some work on each item, with turns of the others in between."""
        async for _ in self.over(map(work, items)):
            pass

    def took(self, seconds: float) -> bool:
        """Take note of time that was taken; return whether it is the others' turn."""
        self._left_seconds -= seconds
        self._slice_seconds += seconds
        return self._slice_seconds >= _SLICE_SECONDS

    async def give_way(self) -> None:
        """Let the others run, for as long as it takes until some time is saved up again."""
        now = self._now()
        saved = self._left_seconds + (now - self._seen_at) * _SHARE
        self._left_seconds, self._seen_at = min(self._most_saved_seconds, saved), now
        self._slice_seconds = 0.0
        await self._sleep(max(0.0, -self._left_seconds / _SHARE))
