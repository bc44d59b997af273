"""Nodes that carry a lease's mark go back by a live list, whether the watch shows them or not."""

import asyncio
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from sublet.api.gpulease import GpuLease
from sublet.api.ids import LeaseUID
from sublet.fleet.nodebook import BOOK, LEASE_LABEL
from sublet.hub.returns import Returns
from sublet.kube.errors import NotFound
from sublet.kube.lists import ListPage
from sublet.kube.wire import Node
from tests.builders.api import NOW, as_lease, lease, uid_of
from tests.builders.clusters import CLUSTER
from tests.builders.wire import our_node, page
from tests.harness.fake_api import SteppedClock

WEST = as_lease()
UID = LeaseUID(WEST.metadata.uid)
TRAIN = uid_of("train")


class Api:
    """A cluster's nodes, as they are; a patch takes our marks off if its tests hold."""

    def __init__(self, *nodes: Node) -> None:
        self.nodes = {n.metadata.name: n for n in nodes}
        self.lists: list[dict[str, str]] = []
        self.cluster_uid = CLUSTER

    async def list_page(self, path: str, params: dict[str, str], **_: Any) -> ListPage:
        assert path == "/api/v1/nodes"
        self.lists.append(params)
        key, value = params["labelSelector"].split("=")
        found = [n.metadata for n in self.nodes.values() if n.metadata.labels.get(key) == value]
        return page(*({"metadata": meta} for meta in found))

    async def get_as(self, path: str, type_: type) -> Any:
        if path.endswith("/kube-system"):
            return msgspec.convert({"metadata": {"uid": self.cluster_uid}}, type_)
        name = path.rsplit("/", 1)[1]
        if name not in self.nodes:
            raise NotFound(404, "NotFound", name)
        return self.nodes[name]

    async def patch_as(self, path: str, operations: list[dict[str, Any]], _: type) -> Node:
        node = self.nodes[path.rsplit("/", 1)[1]]
        tested = {op["path"]: op["value"] for op in operations if op["op"] == "test"}
        assert tested["/metadata/uid"] == node.metadata.uid
        assert tested["/metadata/annotations/sublet.dev~1allocation"] == node.metadata.annotations.get(BOOK)  # fmt: skip
        del node.metadata.labels[LEASE_LABEL]
        node.metadata.annotations.clear()
        node.spec.taints = []
        return node


class World:
    """One lease, its cluster of which the watch shows nothing, and what hands nodes back."""

    def __init__(self, of: GpuLease, *nodes: Node) -> None:
        self.lease = of
        self.api = Api(*nodes)
        self.clock = SteppedClock()
        self.clock.seconds = NOW / 1_000
        self.cluster: Any = SimpleNamespace(
            lease_uid=UID,
            api=self.api,
            lease=of,
            facts=SimpleNamespace(cluster_uid=CLUSTER),
            strays_touched=0,
            nodes=lambda: (),
            observe=lambda _: None,
        )
        self.is_proven = True
        self.adopting = False
        self.told = asyncio.Event()
        self.returns = Returns(
            lambda _: self.cluster if self.is_proven else None,
            self.clock,
            self.told.set,
            lambda _: self.adopting,
        )

    async def look(self) -> None:
        """Make one pass, and wait for what it starts."""
        self.told.clear()
        self.returns.tend([self.lease])
        if self.returns._tasks:
            await asyncio.wait_for(self.told.wait(), 30)

    def marked(self) -> list[str]:
        return [n.metadata.name for n in self.api.nodes.values() if LEASE_LABEL in n.metadata.labels]  # fmt: skip


def changed(each: GpuLease, generation: int = 2, **meta: Any) -> GpuLease:
    update = {"generation": generation, **meta}
    return each.model_copy(update={"metadata": each.metadata.model_copy(update=update)})


def deleted(each: GpuLease = WEST) -> GpuLease:
    return changed(each, deletion_timestamp=NOW)


def pool(name: str, label: str | None = "a", book: str = "") -> Node:
    """Return a node with our marks and the landlord's label."""
    node = our_node(WEST, book, name=name)
    if label is not None:
        node.metadata.labels["pool"] = label
    return node


def of_pool_a() -> GpuLease:
    return as_lease(lease("west", nodeSelector={"pool": "a"}))


async def test_nodes_of_a_deleted_lease_go_back_though_the_watch_doesnt_show_them():
    world = World(deleted(), our_node(WEST, name="n0"), our_node(WEST, name="n1"))
    assert world.returns.marked(world.lease) is None

    await world.look()

    assert world.marked() == []
    assert world.returns.marked(world.lease) == 0
    assert world.api.lists[0]["labelSelector"] == f"sublet.dev/lease={UID}"


async def test_nodes_of_a_lease_at_its_end_go_back():
    world = World(as_lease(lease(end="2026-11-01T00:00:00Z")), our_node(WEST))

    await world.look()

    assert world.marked() == []


async def test_a_node_that_a_claim_holds_keeps_its_marks_and_its_lease():
    world = World(deleted(), our_node(WEST, f"{TRAIN}=8"))

    await world.look()

    assert world.marked() == ["n0"]
    assert world.returns.marked(world.lease) == 1


async def test_a_node_that_a_claim_held_goes_back_soon_after_its_release():
    world = World(deleted(), our_node(WEST, f"{TRAIN}=8"))
    await world.look()
    world.api.nodes["n0"] = our_node(WEST)
    world.cluster.strays_touched += 1

    world.clock.seconds += 2
    await world.look()

    assert world.returns.marked(world.lease) == 0


async def test_a_cluster_that_is_another_now_says_nothing_of_marks():
    world = World(deleted())
    world.api.cluster_uid = uid_of("another cluster")

    await world.look()

    assert world.returns.marked(world.lease) is None


async def test_a_list_by_a_connection_that_isnt_proven_any_more_says_nothing():
    world = World(deleted())
    await world.look()
    assert world.returns.marked(world.lease) == 0

    world.is_proven = False

    assert world.returns.marked(world.lease) is None


async def test_a_list_from_before_the_deletion_says_nothing():
    world = World(WEST)
    await world.look()

    assert world.returns.marked(deleted()) is None


async def test_nodes_that_are_being_marked_are_waited_for():
    world = World(deleted())
    world.adopting = True
    await world.look()
    assert world.returns.marked(world.lease) is None

    world.adopting = False
    await world.look()

    assert world.returns.marked(world.lease) == 0


async def test_nodes_that_the_selector_doesnt_ask_for_any_more_go_back_while_the_lease_lives():
    held = pool("n2", "b", f"{TRAIN}=8")
    world = World(of_pool_a(), pool("n0"), pool("n1", "b"), held, pool("n3", None))

    await world.look()

    assert world.marked() == ["n0", "n2"]


async def test_a_node_that_lost_its_gpu_label_stays_the_leases_while_it_lives():
    node = our_node(WEST)
    del node.metadata.labels["nvidia.com/gpu.present"]
    world = World(WEST, node)

    await world.look()

    assert world.marked() == ["n0"]


async def test_a_node_outside_the_selector_goes_back_when_its_claim_has_left_it():
    world = World(of_pool_a(), pool("n0", "b", f"{TRAIN}=8"))
    await world.look()
    world.api.nodes["n0"] = pool("n0", "b")
    world.cluster.strays_touched += 1

    world.clock.seconds += 2
    await world.look()

    assert world.marked() == []


@pytest.mark.parametrize("each", [WEST, of_pool_a(), deleted()])
async def test_at_rest_nothing_is_listed_again(each: GpuLease):
    world = World(each)
    await world.look()
    before = len(world.api.lists)

    world.clock.seconds += 10_000
    await world.look()

    assert len(world.api.lists) == before
    assert world.returns.due_ms is None


async def test_a_changed_lease_is_looked_at_again():
    world = World(WEST, pool("n0", "b"))
    await world.look()

    world.lease = changed(of_pool_a())
    await world.look()

    assert world.marked() == []


async def test_a_node_whose_book_was_taken_off_goes_back():
    node = our_node(WEST)
    del node.metadata.annotations[BOOK]
    world = World(deleted(), node)

    await world.look()

    assert world.marked() == []


async def test_a_node_that_a_label_gives_to_a_claim_keeps_its_marks_without_a_book():
    node = our_node(WEST, f"{TRAIN}=8")
    node.metadata.annotations[BOOK] = ""
    world = World(deleted(), node)

    await world.look()

    assert world.marked() == ["n0"]


async def test_the_leases_end_is_waited_for():
    world = World(as_lease(lease(end="2100-01-01T00:00:00Z")))

    await world.look()
    world.returns.tend([world.lease])

    assert world.returns.due_ms == world.lease.spec.term.end_time
