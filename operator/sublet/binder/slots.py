"""A bound on the requests under way to one leased cluster, in which locks overtake set-up: promises first.

A lock decides who has a node and costs one request; setting up a claim's namespace costs ten and can wait.
"""

import asyncio
import contextlib
import heapq
import itertools
from collections import Counter
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
    steady stream of claims can't starve those that are locked. Counted by lease: locks that hang in one leased
    cluster hold up nobody in another.
    """

    def __init__(self, longest_seconds: float = 15.0) -> None:
        self._counts: Counter[str] = Counter()  # lease UID -> claims under way
        self._quiet: dict[str, asyncio.Event] = {}  # lease UID -> set when its count is 0
        self._longest_seconds = longest_seconds

    @asynccontextmanager
    async def under_way(self, *leases: str) -> AsyncIterator[None]:
        """Count one claim on these leases for the length of the block."""
        for lease in leases:
            self._counts[lease] += 1
            self._quiet.setdefault(lease, asyncio.Event()).clear()
        try:
            yield
        finally:
            for lease in leases:
                self._counts[lease] -= 1
                if self._counts[lease] == 0:
                    self._quiet[lease].set()

    async def stand_back(self, *leases: str) -> None:
        """Wait until no claim is being promised anything on these leases, or the bound is reached."""
        busy = [self._quiet[lease].wait() for lease in leases if self._counts[lease] > 0]
        if busy:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._longest_seconds):
                    await asyncio.gather(*busy)


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
