"""Claims' nodes that the list doesn't show are asked for by their names: one may be gone, or have lost a label.

Kept by the lease's connection, which reads what is gone. Only a live look at the right cluster says so. A cluster whose nodes
lose a label loses it on all of them, so a few are asked for at a time, and each once a minute at most.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from sublet.api.ids import NodeName, NodeUID
from sublet.clock import Clock
from sublet.kube.errors import KubeError, NotFound
from sublet.kube.session import ApiServer
from sublet.kube.wire import Node

AT_ONCE: Final = 8
_ASK_AGAIN_SECONDS: Final = 60.0


class GoneNodes:
    """Which nodes of one cluster aren't there any more."""

    def __init__(
        self,
        api: ApiServer,
        *,
        clock: Clock,
        confirm: Callable[[], Awaitable[None]],
        is_believed: Callable[[], bool],
        changed: Callable[[], None],
    ) -> None:
        """`confirm` is awaited after each answer and refuses another cluster with a KubeError."""
        self.uids: set[NodeUID] = set()
        """Of those that a live look didn't find."""
        self._api = api
        self._clock = clock
        self._confirm = confirm
        self._is_believed = is_believed
        self._changed = changed
        self._asked: dict[NodeUID, float] = {}  # node UID -> when, monotonic; the oldest first
        self._waiting: dict[NodeUID, NodeName] = {}  # those that are still to be asked for
        self._looks: set[asyncio.Task[None]] = set()

    def look_for(self, name: NodeName, uid: NodeUID) -> None:
        """Ask for a node by its name, soon."""
        now = self._clock.monotonic()
        while self._asked and now >= next(iter(self._asked.values())) + _ASK_AGAIN_SECONDS:
            del self._asked[next(iter(self._asked))]
        if uid in self.uids or uid in self._asked:
            return
        self._asked[uid] = now
        self._waiting[uid] = name
        if len(self._looks) < AT_ONCE:
            look = asyncio.create_task(self._look(), name=f"look for {name}")
            self._looks.add(look)
            look.add_done_callback(self._looks.discard)

    async def close(self) -> None:
        """Stop asking."""
        looks = tuple(self._looks)
        for look in looks:
            look.cancel()
        await asyncio.gather(*looks, return_exceptions=True)

    async def _look(self) -> None:
        """Ask for one node after the other until none waits."""
        while self._waiting:
            uid = next(iter(self._waiting))
            await self._ask_for(self._waiting.pop(uid), uid)

    async def _ask_for(self, name: NodeName, uid: NodeUID) -> None:
        try:
            try:
                found = (await self._api.get_as(f"/api/v1/nodes/{name}", Node)).metadata.uid
            except NotFound:
                found = ""
            # what a cluster says counts only if it is the one that the node was in
            await self._confirm()
        except KubeError:
            return
        if found != uid and self._is_believed():
            self.uids.add(uid)
            self._changed()
