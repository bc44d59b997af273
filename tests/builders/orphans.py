"""A sweeper over a hub and a ledger in memory, and one cluster in which a claim that the hub doesn't know is on a node."""

from collections.abc import Sequence
from typing import Any

import msgspec

from sublet.api.ids import ClaimUID, ClusterUID, LeaseUID, NodeName, NodeUID, TenantUID
from sublet.api.times import Millis
from sublet.drift.claims import Claims
from sublet.drift.lookout import Place
from sublet.drift.orphans import Entry, Orphan
from sublet.drift.sweeper import Sweeper
from sublet.kube.wire import Node
from sublet.ledger.entry import EntryKind, EntryType, Fact
from tests.builders.api import NOW, as_lease, uid_of
from tests.builders.clusters import CLUSTER, Hub, NotedApi, tools_of
from tests.builders.wire import our_node
from tests.harness.fake_api import eventually

WEST = as_lease()
LEASE = LeaseUID(WEST.metadata.uid)
GONE = ClaimUID(uid_of("gone"))
NODE = our_node(WEST, f"{GONE}=8", uid_of("acme"))
ORPHAN = Orphan(
    GONE,
    (Entry(LEASE, NodeName("n0"), NodeUID(NODE.metadata.uid), 8),),
    (f"sublet-{GONE}-1",),
)
OPEN = Fact(
    GONE, 1, TenantUID("t"), LEASE, EntryKind.BOUND, EntryType.OPEN, 8, Millis(NOW - 5), "p", "g", "100"
)  # fmt: skip

HUB_UID = uid_of("hub")


class Cluster(NotedApi):
    """A cluster that notes when the ledger was written between its requests."""

    async def patch_as(self, path: str, _: Any, __: type) -> Node:
        self.calls.append(("PATCH", path))
        return NODE


class World:
    """A hub, a ledger and one cluster; claims on the hub and lines of the ledger as a test says."""

    def __init__(self, *facts: Fact, version: str = "200", hub_uid: str = HUB_UID) -> None:
        self.api = Cluster(GONE, {"/api/v1/nodes/n0": NODE})
        self.facts, self.items, self.version = [*facts], list[dict[str, Any]](), version
        tools = tools_of(Hub(None), {LEASE: WEST}, {LEASE: self.api})
        cluster: Any = tools.cluster(LEASE)
        cluster.lease_uid, cluster.note_orphans = LEASE, self._said
        self.place = Place(WEST, cluster)
        self.said = ""
        tools.hub, tools.ledger = self, self
        self.sweeper = Sweeper(tools, self, lambda: ClusterUID(hub_uid))

    async def get(self, path: str, **_: str) -> dict[str, Any]:
        if path.endswith("/kube-system"):
            return {"metadata": {"uid": HUB_UID}}
        return {"metadata": {"resourceVersion": self.version}, "items": self.items}

    async def get_as(self, path: str, type_: type, **_: str) -> Any:
        return msgspec.convert(await self.get(path), type_)

    async def facts_of(self, claim_uids: Sequence[str]) -> list[Fact]:
        return [f for f in self.facts if f.claim_uid in claim_uids]

    async def newest_facts(self, count: int) -> list[Fact]:
        return self.facts[-count:]

    async def append(self, facts, terms, records=()) -> int:
        self.facts += facts
        self.api.calls.append(("LEDGER", ""))
        return 1

    def _said(self, orphans: Any) -> None:
        self.said = orphans.reason

    async def look(self, *orphans: Orphan) -> None:
        found = orphans or (ORPHAN,)
        await self.sweeper.tend(ClusterUID(CLUSTER), [self.place], found, Claims(()))

    async def end(self) -> None:
        tasks = [c.task for c in self.sweeper._cases.values() if c.task is not None]
        await eventually("done", lambda: all(t.done() for t in tasks))
