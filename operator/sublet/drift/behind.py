"""Whether the hub was older than the ledger before this process wrote anything to it, as after a restored backup.

Versions tell it, and whatever is written takes them on: the first pass of an operator may be enough for a hub that lost
little to catch up before the first look at a cluster. So the hub's version is kept until the ledger was asked: one that is
away at first says later what it had then. Written when the process begins and when it comes to lead; read by the sweeper,
which judges nothing before that.
"""

import asyncio
from collections.abc import Iterable
from typing import Final

import structlog

from sublet.api.kinds import LEASES
from sublet.drift.clear import Ledger
from sublet.kube.errors import KubeError
from sublet.kube.session import ApiServer
from sublet.kube.versions import version_number
from sublet.ledger.entry import Fact
from sublet.ledger.port import LedgerUnavailable

NEWEST: Final = 200
"""Lines of the ledger from which the hub's newest known version is read."""
_PATIENCE_SECONDS: Final = 1.0
"""For the ledger: by then the hub is looked at, before this process writes to it."""


class Behind:
    """Compares, and keeps what came of it for as long as the process lives."""

    def __init__(self, hub: ApiServer, ledger: Ledger) -> None:
        self._hub = hub
        self._ledger = ledger
        self._hub_version: int | None = None
        """The hub's, as long as the ledger wasn't asked beside it."""
        self.lost_version = 0
        """What the ledger has of a claim up to this version may be of the hub that was lost; 0 if none was."""

    async def compare(self) -> None:
        """Compare both as they are now, the ledger later if it is away; a hub that is away is left to the looks at the clusters.

        The ledger first: a line that is written meanwhile would make the hub look older than it. What an earlier call has
        kept counts no more: since then another replica may have written lines.
        """
        log = structlog.get_logger()
        self._hub_version, newest = None, None
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                newest = await self._newest()
        except (LedgerUnavailable, TimeoutError) as error:
            log.warning("hub not compared with the ledger yet", error=str(error) or "no answer")
        try:
            listing = await self._hub.get(LEASES.path(), limit="1")
        except KubeError as error:
            log.warning("hub not compared with the ledger", error=str(error))
            return
        self._hub_version = version_number(listing["metadata"]["resourceVersion"])
        if newest is not None:
            self._judge(newest)

    async def settle(self) -> None:
        """Make up for what the ledger couldn't be asked; raises LedgerUnavailable if it still can't."""
        if self._hub_version is not None:
            self._judge(await self._newest())

    def _judge(self, newest: int) -> None:
        version, self._hub_version = self._hub_version, None
        if version is not None and version < newest:
            self.lost_version = max(newest, self.lost_version)
            structlog.get_logger().warning("the hub is older than the ledger")

    async def _newest(self) -> int:
        """Return the newest version that the ledger was found with: this process's own lines tell nothing of before."""
        return newest_version(await self._ledger.found_facts(NEWEST))


def newest_version(facts: Iterable[Fact]) -> int:
    """Return the highest resourceVersion of the hub that some lines name."""
    return max((version_number(f.source_version) for f in facts), default=0)
