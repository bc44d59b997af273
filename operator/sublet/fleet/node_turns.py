"""Whose turn it is to change a node's book. Held by each connection, asked by the binder.

The book is one text and its change a compare-and-set: of eight claims that share a node and try at once, one wins each
time, and all others have to read it again. So the claims of one process take turns. Who has the node is settled by the
compare-and-set alone, against other processes and drift's repairs too.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Final
from weakref import WeakValueDictionary

TURN_SECONDS: Final = 10.0
"""Eight changes take less unless the cluster hangs, where each may take half a minute; nothing rests on a turn."""


class NodeTurns:
    """The nodes of one leased cluster, each of which is changed by one at a time."""

    def __init__(self, longest_seconds: float = TURN_SECONDS) -> None:
        self._longest_seconds = longest_seconds
        self._held = WeakValueDictionary[str, asyncio.Lock]()  # node name -> held meanwhile

    @asynccontextmanager
    async def of(self, node: str) -> AsyncIterator[None]:
        """Change a node's book in the block: alone, or after a long wait beside whoever hangs."""
        lock = self._held.setdefault(node, asyncio.Lock())
        async with AsyncExitStack() as held:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._longest_seconds):
                    await held.enter_async_context(lock)
            yield
