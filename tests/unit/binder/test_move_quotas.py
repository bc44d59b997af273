"""For how many GPUs a namespace's quota is while its claim moves within a cluster: no node carries more than the claim has of it."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from sublet.api import move_status
from sublet.api.claim_status import allocation_of
from sublet.api.gpuclaim import GpuClaim
from sublet.api.gpuclass import HostShare
from sublet.api.move_status import held_nodes
from sublet.api.relocation import Move, MoveCause
from sublet.binder import leave as leaving
from sublet.binder.namespace import quota_hard
from sublet.binder.sites import sites_of
from sublet.fleet.nodebook import GPU
from sublet.kube.wire import Node
from tests.builders.api import NOW, uid_of, with_status
from tests.builders.clusters import Hub, LiveNodes, NotedApi, tools_of
from tests.builders.moves import leased, running
from tests.builders.replacing import LEASES, WEST, Written, holding, replacing
from tests.builders.windows import at
from tests.builders.wire import wire_node

LEASE, _ = leased("west", nodeSharing="AnyTenant")
UID = LEASE.metadata.uid
SHARE = HostShare.model_validate({"cpuPerGpu": 8, "memoryMiBPerGpu": 1024})


def moving(old_gpus: int, new_gpus: int) -> GpuClaim:
    """Return a claim with so many GPUs of a node, for which others of another node are open."""
    each = running(leased("west"))
    (place,) = allocation_of(each).placements
    old = place.model_copy(update={"node": "old", "node_uid": uid_of("old"), "gpus": old_gpus})
    new = old.model_copy(update={"node": "new", "node_uid": uid_of("new"), "gpus": new_gpus})
    update = {"placements": (old,), "host_share": SHARE, "host_share_noted": True}
    allocation = allocation_of(each).model_copy(update=update)
    each = with_status(each, each.status.model_copy(update={"allocation": allocation}))
    move = Move(
        sequence=2,
        cause=MoveCause.LEASE_ENDS,
        decided_time=NOW,
        placements=(new.model_copy(update={"home": 1}),),
        opened_time=NOW,
    )
    return with_status(each, move_status.moving(each, move, NOW))


def node_of(name: str, gpus: int) -> Node:
    node = wire_node(name)
    node.status.allocatable[GPU] = node.metadata.labels[f"{GPU}.count"] = str(gpus)
    return node


def quota(each: GpuClaim, sizes: dict[str, int], gone: tuple[str, ...] = ()) -> dict[str, str]:
    """Return the quota of the claim's namespace; `sizes`: how many GPUs each node that is seen has, by name."""
    tools: Any = tools_of(Hub(each), {UID: LEASE}, {UID: NotedApi(each.metadata.uid)})
    cluster = tools.cluster(UID)
    cluster.node = {name: node_of(name, gpus) for name, gpus in sizes.items()}.get
    cluster.inventory = lambda: SimpleNamespace(gone=frozenset(map(uid_of, gone)))
    (site,) = sites_of(each, tools, held_nodes(each))
    return quota_hard(site.home)


@pytest.mark.parametrize(
    ("old", "new"),
    [((4, 8), (4, 8)), ((4, 4), (4, 8)), ((4, 8), (4, 4)), ((8, 16), (8, 8))],
    ids=["part to part", "node to part", "part to node", "part to larger node"],
)
def test_a_claim_that_has_or_gets_a_part_of_a_node_moves_within_its_quota(
    old: tuple[int, int], new: tuple[int, int]
):
    """With a quota for both it could run both on one of the nodes, on GPUs of its neighbours, also after the cutover."""
    hard = quota(moving(old[0], new[0]), {"old": old[1], "new": new[1]})

    assert hard[f"requests.{GPU}"] == str(old[0])


def test_what_comes_with_the_gpus_isnt_given_twice_either():
    hard = quota(moving(4, 4), {"old": 8, "new": 8})

    assert (hard["pods"], hard["limits.cpu"], hard["limits.memory"]) == ("48", "32", "4096Mi")


def test_whole_nodes_have_a_quota_for_both_as_neither_can_carry_more():
    assert quota(moving(8, 8), {"old": 8, "new": 8})[f"requests.{GPU}"] == "16"


def test_a_node_that_isnt_seen_may_be_larger_than_what_the_claim_has_of_it():
    assert quota(moving(8, 8), {"new": 8})[f"requests.{GPU}"] == "8"


def test_a_node_that_is_gone_carries_nothing():
    assert quota(moving(8, 8), {"new": 8}, gone=("old",))[f"requests.{GPU}"] == "16"


class Quotas(LiveNodes):
    """A cluster that notes for how many GPUs each quota is."""

    def __init__(self, claim_uid: str, nodes: dict[str, Node]) -> None:
        super().__init__(claim_uid, nodes)
        self.gpus: list[str] = []

    async def apply(self, path: str, body: Any) -> None:
        if "/resourcequotas/" in path:
            self.gpus.append(body["spec"]["hard"]["requests.nvidia.com/gpu"])


@pytest.mark.parametrize(
    ("opened", "gpus"), [(False, "16"), (True, "24")], ids=["not open yet", "open"]
)
def test_leaving_a_node_lets_nothing_onto_those_of_a_move_that_isnt_open(
    opened: bool, gpus: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(leaving, "_SETTLED_SECONDS", 0.0)
    _, over, _ = replacing()
    kept, going = allocation_of(over).placements
    fresh = going.model_copy(update={"node": "west-0007", "node_uid": uid_of("w7"), "home": 1})
    move = Move(
        sequence=over.status.next_sequence,
        cause=MoveCause.NODE_FAILED,
        decided_time=at(2),
        placements=(kept, fresh),
    )
    each = with_status(over, move_status.moving(over, move, at(2)))
    each = with_status(each, move_status.opened(each, at(3))) if opened else each
    (left,) = each.status.leaving
    api = Quotas(each.metadata.uid, holding(each, *left.placements, label="x"))
    tools = tools_of(Written(each), LEASES, {WEST[0].metadata.uid: api})
    tools.cluster(WEST[0].metadata.uid).node = wire_node  # all are seen, and whole

    asyncio.run(leaving.leave(each, left, tools))

    assert api.gpus == [gpus]
