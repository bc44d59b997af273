"""A node that is locked for a claim while pods of nobody hold its GPUs isn't handed over."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from sublet.api import move_status
from sublet.api.claim_status import allocation_of
from sublet.api.gpuclaim import GpuClaim
from sublet.api.gpulease import GpuLease
from sublet.api.move_status import fresh_nodes, move_of
from sublet.binder.bind import bind
from sublet.binder.locks import UnfitNode
from sublet.binder.nodes import has_foreign_pods
from sublet.binder.relocate import grow, move_for
from sublet.book.failures import REPLACE_AFTER_MS
from sublet.book.plan import plan
from sublet.fleet.nodebook import NODE
from sublet.kube.wire import Node, Pod
from tests.builders.api import NOW, as_claim, as_lease, uid_of
from tests.builders.clusters import Hub, NotedApi, tools_of
from tests.builders.fleet import after, held, nodes, view
from tests.builders.moves import CLASSES, decided, leased, on_sick_node, running
from tests.builders.wire import gpu_pod, our_node

WEST = as_lease()
LEASE = WEST.metadata.uid
NODES = nodes(WEST, 1)
NAME = NODES[0].name
TRAIN = held(as_claim(), WEST, NODES)
OTHER = uid_of("other")


class Occupied(NotedApi):
    """A cluster on whose nodes GPU pods of these namespaces run; notes which lists of pods were asked for."""

    def __init__(self, node: Node, *namespaces: str) -> None:
        super().__init__(TRAIN.metadata.uid, {f"/api/v1/nodes/{node.metadata.name}": node})
        self.namespaces = namespaces
        self.pod_lists: list[str] = []

    def listed(self, path: str, params: Mapping[str, str]) -> list[Pod]:
        self.pod_lists.append(params["fieldSelector"])
        return [gpu_pod(each) for each in self.namespaces]


def moving() -> tuple[GpuLease, GpuClaim]:
    """Return a lease and a claim that is on its way to another node of it, one of its own being sick."""
    west, found = leased("west", count=10)
    busy = running((west, found), count=2, replacement="OnFailure")
    seen = view([busy], [on_sick_node((west, found))], classes=CLASSES)
    seen = replace(after(seen, plan(seen)), now_ms=NOW + REPLACE_AFTER_MS)
    (decision,) = decided(seen)
    (told,) = seen.claims
    move = move_for(told, decision, tools_of(Hub(None), {west.metadata.uid: west}, {}))
    status = move_status.moving(told, move, NOW)
    return west, told.model_copy(update={"status": status})


def locked(claim: GpuClaim, node_uid: str, name: str) -> Node:
    """Return the node as it answers to the claim's lock."""
    node = our_node(WEST, f"{claim.metadata.uid}=8", name=name)
    node.metadata.uid = node_uid
    node.metadata.annotations[NODE] = node_uid
    return node


def reach(api: NotedApi, lease: GpuLease = WEST, claim: GpuClaim = TRAIN) -> tuple[Any, list[str]]:
    """Return what the binder works with, and where it will be noted which nodes hold foreign pods."""
    noted: list[str] = []
    tools = tools_of(Hub(claim), {lease.metadata.uid: lease}, {lease.metadata.uid: api})
    cluster = tools.cluster(lease.metadata.uid)
    cluster.note_foreign = lambda name, *, foreign: noted.append(name) if foreign else None
    return tools, noted


async def test_a_node_with_pods_of_nobody_isnt_handed_over_and_the_book_is_told():
    api = Occupied(locked(TRAIN, NODES[0].uid, NAME), "kubeflow")
    tools, noted = reach(api)

    with pytest.raises(UnfitNode, match="ForeignPods"):
        await bind(TRAIN, tools, lambda: None)

    assert noted == [NAME]
    assert api.pod_lists[0] == f"spec.nodeName={NAME}"
    assert not [path for path in api.sent("POST") if path.endswith("/token")]


async def test_a_move_doesnt_lead_to_a_node_with_pods_of_nobody():
    west, claim = moving()
    place = fresh_nodes(allocation_of(claim), move_of(claim))[0]
    api = Occupied(locked(claim, place.node_uid, place.node), "kubeflow")
    tools, noted = reach(api, west, claim)

    with pytest.raises(UnfitNode, match="ForeignPods"):
        await grow(claim, tools, lambda: None)

    assert noted == [place.node]


async def test_a_look_at_a_free_node_costs_one_request():
    api = Occupied(locked(TRAIN, NODES[0].uid, NAME))
    tools, _ = reach(api)
    cluster = tools.cluster(LEASE)
    cluster.node = lambda _: locked(TRAIN, NODES[0].uid, NAME)

    assert not await has_foreign_pods(cluster, NAME)
    assert len(api.pod_lists) == 1


async def test_pods_of_a_claim_that_came_since_the_node_was_seen_are_at_home():
    shared = our_node(WEST, f"{OTHER}=4,{TRAIN.metadata.uid}=4", name=NAME)
    tools, _ = reach(Occupied(shared, f"sublet-{OTHER}-1"))
    cluster = tools.cluster(LEASE)
    cluster.node = lambda _: our_node(WEST, f"{TRAIN.metadata.uid}=4", name=NAME)

    assert not await has_foreign_pods(cluster, NAME)


async def test_pods_that_end_with_a_claim_which_is_still_on_the_node_are_at_home():
    shared = our_node(WEST, f"{OTHER}=4,{TRAIN.metadata.uid}=4", name=NAME)
    tools, _ = reach(Occupied(shared, f"sublet-{OTHER}-1"))

    assert not await has_foreign_pods(tools.cluster(LEASE), NAME)
