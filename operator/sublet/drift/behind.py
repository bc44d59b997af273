"""Whether the hub was older than the ledger before this process wrote anything to it, as after a restored backup.

Versions tell it, and whatever is written takes them on: the first pass of an operator may be enough for a hub that lost
little to catch up before the first look at a cluster. Written when the process begins and when it comes to lead; read by
the sweeper.
"""

from typing import Final

import structlog

from sublet.api.kinds import LEASES
from sublet.drift.clear import Ledger
from sublet.kube.errors import KubeError
from sublet.kube.session import ApiServer
from sublet.kube.versions import version_number
from sublet.ledger.port import LedgerUnavailable

_NEWEST: Final = 200
"""Lines of the ledger from which the hub's newest known version is read."""


class Behind:
    """Compares, and keeps what came of it for as long as the process lives."""

    def __init__(self, hub: ApiServer, ledger: Ledger) -> None:
        self._hub = hub
        self._ledger = ledger
        self.lost_version = 0
        """What the ledger has of a claim up to this version may be of the hub that was lost; 0 if none was."""

    async def compare(self) -> None:
        """Compare both as they are now; what can't be asked is left to the looks at the clusters.

        The ledger first: a line that is written meanwhile would make the hub look older than it.
        """
        try:
            newest = await newest_version(self._ledger)
            listing = await self._hub.get(LEASES.path(), limit="1")
        except (KubeError, LedgerUnavailable) as error:
            structlog.get_logger().warning("hub not compared with the ledger", error=str(error))
            return
        if version_number(listing["metadata"]["resourceVersion"]) < newest:
            self.lost_version = max(newest, self.lost_version)
            structlog.get_logger().warning("the hub is older than the ledger")


async def newest_version(ledger: Ledger) -> int:
    """Return the highest resourceVersion of the hub that the ledger's last lines name."""
    last = await ledger.newest_facts(_NEWEST)
    return max((version_number(f.source_version) for f in last), default=0)
