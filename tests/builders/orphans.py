"""A sweeper over a hub and a ledger in memory, and one cluster in which a claim that the hub doesn't know is on a node."""

from collections.abc import Sequence
from typing import Any

import msgspec

from sublet.api.ids import ClaimUID, ClusterUID, LeaseUID, NodeName, NodeUID, TenantUID
from sublet.api.kinds import LEASES
from sublet.api.origin import former_uid
from sublet.api.times import Millis
from sublet.drift.behind import Behind
from sublet.drift.claims import Claims
from sublet.drift.lookout import Place
from sublet.drift.orphans import Entry, Orphan
from sublet.drift.sweeper import Sweeper
from sublet.kube.lists import ListPage, page_of
from sublet.kube.wire import Node
from sublet.ledger.entry import EntryKind, EntryType, Fact
from sublet.ledger.running import open_lines
from tests.builders.api import NOW, as_lease, lease, uid_of
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
        self.leases: list[dict[str, Any]] = []
        self.own: list[Fact] = []
        """What this process wrote."""
        self.begun: list[Fact] | None = None
        """What is remembered of open lines, if it isn't what the ledger has."""
        tools = tools_of(Hub(None), {LEASE: WEST}, {LEASE: self.api})
        cluster: Any = tools.cluster(LEASE)
        cluster.lease_uid, cluster.note_orphans = LEASE, self._said
        self.place = Place(WEST, cluster)
        self.said = ""
        tools.hub, tools.ledger = self, self
        self.tools = tools
        self.behind = Behind(tools.hub, self)
        self.sweeper = Sweeper(
            tools,
            self,
            lambda: ClusterUID(hub_uid),
            begun=lambda: self.begun if self.begun is not None else open_lines(self.facts),
            known=lambda: [former_uid(x) for x in self.items],
            behind=self.behind,
        )

    async def get(self, path: str, **_: str) -> dict[str, Any]:
        if path.endswith("/kube-system"):
            return {"metadata": {"uid": HUB_UID}}
        items = self.leases if path == LEASES.path() else self.items
        return {"metadata": {"resourceVersion": self.version}, "items": items}

    async def list_page(self, path: str, *_: Any, limit: int, **__: Any) -> ListPage:
        return page_of(msgspec.json.encode(await self.get(path)), limit, path)

    async def get_as(self, path: str, type_: type, **_: str) -> Any:
        return msgspec.convert(await self.get(path), type_)

    async def facts_of(self, claim_uids: Sequence[str]) -> list[Fact]:
        return [f for f in self.facts if f.claim_uid in claim_uids]

    async def newest_facts(self, count: int) -> list[Fact]:
        return self.facts[-count:]

    async def found_facts(self, count: int) -> list[Fact]:
        return [f for f in await self.newest_facts(count) if f not in self.own]

    async def append(self, facts, terms, records=()) -> int:
        self.facts += facts
        self.own += facts
        self.api.calls.append(("LEDGER", ""))
        return 1

    def _said(self, orphans: Any) -> None:
        self.said = orphans.reason

    async def look(self, *orphans: Orphan) -> None:
        """Look at the cluster; without a word of what is seen, it is the orphan."""
        await self.tend(*(orphans or (ORPHAN,)))

    async def see_nothing(self, times: int = 1) -> None:
        """Look at the cluster that often, of which nothing is nobody's."""
        for _ in range(times):
            await self.tend()
            await self.end()

    async def tend(self, *orphans: Orphan) -> None:
        await self.sweeper.tend(ClusterUID(CLUSTER), [self.place], orphans, Claims(()))

    def release_orphan(self) -> None:
        """Let a person say that the claim's GPUs are to be taken back."""
        self.place = Place(as_lease(lease(releaseOrphans=[str(GONE)])), self.place.cluster)

    def written(self, since: int = 1) -> list[tuple[str, str]]:
        """Return kind and type of the ledger's lines after the first ones."""
        return [(f.kind.value, f.type.value) for f in self.facts[since:]]

    async def end(self) -> None:
        tasks = [c.task for c in self.sweeper._cases.values() if c.task is not None]
        await eventually("done", lambda: all(t.done() for t in tasks))
