"""Two leases of one cluster show the same node: it stays with the lease that its claim has it by, whoever looks first."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pytest

from sublet.api.claim_status import allocation_of
from sublet.api.gpulease import GpuLease
from sublet.api.ids import ClaimUID, ClusterUID
from sublet.drift import lookout
from sublet.drift.claims import Claims
from sublet.drift.look import Sight
from sublet.drift.lookout import Lookout, Place
from sublet.drift.news import News
from sublet.fleet.nodebook import BOOK, LEASE_LABEL, POOL_TAINT
from sublet.kube.wire import Node, Taint
from tests.builders.api import as_claim, as_lease, lease
from tests.builders.clusters import CLUSTER, Hub, LiveNodes, tools_of
from tests.builders.fleet import bound, held, nodes
from tests.builders.wire import our_node


def pinned(name: str) -> GpuLease:
    found = as_lease(lease(name))
    status = found.status.model_copy(update={"cluster_uid": CLUSTER})
    return found.model_copy(update={"status": status})


WEST, NEWER = pinned("west"), pinned("west-2026")
CLAIM = bound(held(as_claim(), WEST, nodes(WEST, 1)))
UID = ClaimUID(CLAIM.metadata.uid)
(HELD,) = allocation_of(CLAIM).placements
PATH = f"/api/v1/nodes/{HELD.node}"


def node_of(owner: GpuLease, book: str = f"{UID}={HELD.gpus}") -> Node:
    """Return the claim's node under a lease's marks."""
    node = our_node(owner, book, allocation_of(CLAIM).tenant_uid, name=HELD.node)
    node.metadata.uid = node.metadata.annotations["sublet.dev/node"] = HELD.node_uid
    return node


class World:
    """A cluster with the claim's node, which both leases show; the newer one is looked at first."""

    def __init__(self, node: Node) -> None:
        self.api = LiveNodes(UID, {PATH: node})
        leases = {x.metadata.uid: x for x in (NEWER, WEST)}
        self.tools = tools_of(Hub(CLAIM), leases, dict.fromkeys(leases, self.api))
        self.doubted: dict[str, bool] = {}
        self.places = [Place(x, self._cluster(x)) for x in leases.values()]
        self.news = News()
        self.looks = Lookout(self.tools, self.news)

    def _cluster(self, each: GpuLease) -> Any:
        cluster, name = self.tools.cluster(each.metadata.uid), each.metadata.name
        cluster.lease_uid, cluster.nodes = each.metadata.uid, lambda: (self.node,)
        cluster.inventory = lambda: self
        cluster.is_foreign, cluster.note_foreign = lambda _: False, lambda *_, **__: None
        cluster.note_doubt = lambda _, in_doubt: self.doubted.update({name: in_doubt})
        return cluster

    nodes: Mapping[str, Any] = MappingProxyType({})  # an inventory without states

    @property
    def node(self) -> Node:
        return self.api._nodes[PATH]

    async def look(self) -> None:
        claims = Claims([CLAIM], (), self.tools.lease)
        await self.looks.look(ClusterUID(CLUSTER), self.places, claims, lambda _: False)


@pytest.fixture(autouse=True)
def _nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    async def look(_: Any) -> Sight:
        return Sight({}, {})

    monkeypatch.setattr(lookout, "look", look)


@pytest.mark.parametrize("book", [None, f"{UID}={HELD.gpus}"], ids=["bare", "its book left"])
async def test_a_claims_node_that_lost_its_leases_marks_gets_them_back(book: str | None):
    node = node_of(WEST)
    node.spec.taints = [Taint(key="nvidia.com/gpu", value="", effect="NoSchedule")]
    del node.metadata.labels[LEASE_LABEL]
    if book is None:
        node.metadata.annotations.clear()
        del node.metadata.labels[f"claim.sublet.dev/{UID}"]
    world = World(node)

    await world.look()

    assert world.node.metadata.labels[LEASE_LABEL] == WEST.metadata.uid
    assert [t.value for t in world.node.spec.taints if t.key == POOL_TAINT] == [WEST.metadata.uid]
    assert world.node.metadata.annotations[BOOK] == f"{UID}={HELD.gpus}"


async def test_a_claims_node_under_the_other_leases_marks_is_doubted_whoever_looks_next():
    world = World(node_of(NEWER))

    for _ in range(3):
        await world.look()

    assert world.doubted == {"west": True, "west-2026": False}
