"""A lease whose cluster is lost or silent, and what is noted of what claims left there."""

from types import SimpleNamespace
from typing import Any

from sublet.api.gpulease import GpuLease
from sublet.api.last_word import Leftover, LostStatus
from sublet.book.inventory import Reach
from tests.builders.api import NOW
from tests.builders.clusters import CLUSTER, Hub, NotedApi, tools_of
from tests.builders.moves import leased

WEST = leased("west")
LEASE_UID = WEST[0].metadata.uid


class Lists:
    """Notes what is listed on leases."""

    def __init__(self) -> None:
        self.left: list[Leftover] = []
        self.changed: list[Leftover | None] = []

    async def leave(self, _: Any, left: Leftover) -> None:
        """Note a new line."""
        self.left.append(left)

    async def change(self, _: Any, __: Leftover, into: Leftover | None) -> None:
        """Note what a line became."""
        self.changed.append(into)


def tools(hub: Hub, api: NotedApi | None = None, lease: GpuLease = WEST[0]) -> Any:
    """Return what steps need on the hub and, if there is one, in the cluster of west."""
    found = tools_of(hub, {LEASE_UID: lease}, {LEASE_UID: api} if api is not None else {})
    found.lists = Lists()
    if api is not None:
        found.cluster(LEASE_UID).facts = SimpleNamespace(cluster_uid=CLUSTER, reach=Reach.REACHABLE)
        found.cluster(LEASE_UID).lease_uid = LEASE_UID
    return found


def lost(meter_ms: int = NOW) -> GpuLease:
    """Return west, of which a person said that it is lost."""
    word = LostStatus(by="ann", time=NOW, meter_time=meter_ms)
    status = WEST[0].status.model_copy(update={"lost": word, "cluster_uid": CLUSTER})
    return WEST[0].model_copy(update={"status": status})
