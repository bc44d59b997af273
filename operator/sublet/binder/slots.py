"""A bound on the requests under way to one leased cluster, in which locks overtake set-up: promises first.

A lock decides who has a node and costs one request; setting up a claim's namespace costs ten and can wait.
"""

import asyncio
import contextlib
import heapq
import itertools
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from enum import IntEnum
from typing import Final
from weakref import WeakValueDictionary

TURN_SECONDS: Final = 2.0
"""Eight writes take less, unless the cluster hangs: then each would take as long as a request may."""


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
    """So many at once; who waits is served by urgency, then in order. A node's book is changed by one at a time."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._order = itertools.count()
        self._waiting: list[tuple[Urgency, int, asyncio.Future[None]]] = []
        # node name -> held while its book is changed
        self._turns = WeakValueDictionary[str, asyncio.Lock]()

    @asynccontextmanager
    async def turn(self, node: str) -> AsyncIterator[None]:
        """Change a node's book in the block, alone as a rule; take a slot inside.

        The book is one text and its change a compare-and-set: of eight claims that share a node and try at once, one wins
        each time, and all others have to read it again. Nothing rests on the turn, so whoever waits too long goes without.
        """
        lock = self._turns.setdefault(node, asyncio.Lock())
        async with AsyncExitStack() as held:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TURN_SECONDS):
                    await held.enter_async_context(lock)
            yield

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
