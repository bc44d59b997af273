"""A bound on the requests under way to one leased cluster, in which locks overtake set-up: promises first.

A lock decides who has a node and costs one request; setting up a claim's namespace costs ten and can wait.
"""

import asyncio
import contextlib
import heapq
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import IntEnum


class Urgency(IntEnum):
    """What goes first; the smaller number."""

    LOCK = 0
    RELEASE = 1
    SETUP = 2


class Promises:
    """Counts claims that are being reserved and locked, so that set-up can stand back for them.

    Under a surge every claim learns what it has before the first namespaces are made; the wait is bounded, so a
    steady stream of claims can't starve those that are locked.
    """

    def __init__(self, longest_seconds: float = 15.0) -> None:
        self._count = 0
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._longest_seconds = longest_seconds

    @asynccontextmanager
    async def under_way(self) -> AsyncIterator[None]:
        """Count one claim for the length of the block."""
        self._count += 1
        self._quiet.clear()
        try:
            yield
        finally:
            self._count -= 1
            if self._count == 0:
                self._quiet.set()

    async def stand_back(self) -> None:
        """Wait until no claim is being promised anything, or the bound is reached."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._quiet.wait(), self._longest_seconds)


class Slots:
    """So many at once; who waits is served by urgency, then in order."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._order = itertools.count()
        self._waiting: list[tuple[Urgency, int, asyncio.Future[None]]] = []

    @asynccontextmanager
    async def take(self, urgency: Urgency) -> AsyncIterator[None]:
        """Hold one slot for the length of the block."""
        if self._free > 0 and not self._waiting:
            self._free -= 1
        else:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            heapq.heappush(self._waiting, (urgency, next(self._order), turn))
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._give_back()
                raise
        try:
            yield
        finally:
            self._give_back()

    def _give_back(self) -> None:
        while self._waiting:
            _, _, turn = heapq.heappop(self._waiting)
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
