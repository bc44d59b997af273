"""All claims of the hub, asked live, of which nothing is kept but what is asked about: a hub has thousands.

One list is under way at a time, however many orphans are taken back at once. Whoever asks while one is shares the next
with all others who do: what is answered was listed after it was asked. Owned by the sweeper.
"""

import asyncio
from collections.abc import Collection, Mapping
from typing import Any

from sublet.api.gpuclaim import GpuClaim
from sublet.api.ids import ClaimUID
from sublet.api.kinds import CLAIMS
from sublet.api.origin import backup_times, former_uid, is_awaited
from sublet.api.times import Millis
from sublet.binder.claims import Unread, read
from sublet.kube.errors import KubeError
from sublet.kube.hub_lists import visit
from sublet.kube.session import ApiServer


class Roll:
    """What one list says of some claims."""

    def __init__(self) -> None:
        self.version = ""
        """The list's resourceVersion."""
        self.claims: dict[ClaimUID, GpuClaim | None] = {}
        """Those that are there, None where one can't be read."""
        self.awaited: set[ClaimUID] = set()
        """Those that were restored and wait to be adopted, by the UIDs that they had."""
        self.backups: set[Millis] = set()
        """When the backups were taken that any claim is from."""
        self._asked: set[ClaimUID] = set()
        self._is_called = False
        self._failure: KubeError | None = None

    def ask(self, uids: Collection[ClaimUID]) -> None:
        """Have these looked for; before the list begins."""
        self._asked.update(uids)

    async def call(self, hub: ApiServer) -> None:
        """List all claims, page by page and once for all who share it; raises the hub's errors to each of them."""
        if self._failure is not None:
            raise self._failure
        if self._is_called:
            return
        self.claims, self.awaited, self.backups = {}, set(), set()
        try:
            self.version = await visit(hub, CLAIMS.path(), self._take)
        except KubeError as error:
            self._failure = error
            raise
        # anybody can write the mark of one that waits
        self.awaited -= self.claims.keys()
        self._is_called = True

    def _take(self, raw: Mapping[str, Any]) -> None:
        self.backups |= backup_times([raw])
        uid = ClaimUID(former_uid(raw))
        if uid not in self._asked:
            return
        if is_awaited(raw):
            self.awaited.add(uid)
            return
        try:
            self.claims[uid] = read(raw)
        except Unread:
            self.claims[uid] = None


class Census:
    """Calls the roll for whoever asks."""

    def __init__(self, hub: ApiServer) -> None:
        self._hub = hub
        self._calling = asyncio.Lock()
        self._next = Roll()

    async def ask(self, uids: Collection[ClaimUID]) -> Roll:
        """Return what the hub says of some claims from now on; its errors."""
        roll = self._next
        roll.ask(uids)
        async with self._calling:
            if self._next is roll:
                self._next = Roll()
            await roll.call(self._hub)
        return roll
