"""A node that is locked for a claim is handed over only if it shows, live, what the claim was given of it."""

import asyncio
from typing import Any

import pytest

from sublet.api.claim_status import allocation_of
from sublet.api.ids import ClaimUID, TenantUID
from sublet.binder.bind import lock_all
from sublet.binder.locks import UnfitNode, lock_node
from sublet.binder.ports import LostRace
from sublet.binder.release import free
from sublet.binder.sites import sites_of
from sublet.fleet.nodebook import BOOK, GPU, NODE
from sublet.kube.errors import Conflict
from sublet.kube.wire import Node
from tests.builders.api import as_claim, as_lease, claim
from tests.builders.clusters import Hub, LiveNodes, tools_of
from tests.builders.fleet import held, nodes
from tests.builders.wire import our_node

WEST = as_lease()
LEASE = WEST.metadata.uid
NODES = nodes(WEST, 1)
TRAIN = held(as_claim(), WEST, NODES)


async def test_a_node_that_lost_a_gpu_after_it_was_locked_isnt_handed_over_whatever_its_labels_say():
    (place,) = allocation_of(TRAIN).placements
    tenant = allocation_of(TRAIN).tenant_uid
    node = our_node(WEST, f"{TRAIN.metadata.uid}=8", tenant, name=place.node)
    node.metadata.uid = node.metadata.annotations[NODE] = place.node_uid
    node.metadata.labels[f"{GPU}.count"] = node.status.allocatable[GPU] = "7"
    api = LiveNodes(TRAIN.metadata.uid, {f"/api/v1/nodes/{place.node}": node})
    cluster = tools_of(Hub(TRAIN), {LEASE: WEST}, {LEASE: api}).cluster(LEASE)

    with pytest.raises(UnfitNode, match="GpusLost"):
        await lock_node(cluster, WEST, place, ClaimUID(TRAIN.metadata.uid), TenantUID(tenant))


class Busy(LiveNodes):
    """A cluster whose node changes under the first patches."""

    def __init__(self, node: Node, conflicts: int) -> None:
        super().__init__(TRAIN.metadata.uid, {f"/api/v1/nodes/{node.metadata.name}": node})
        self._conflicts = conflicts

    async def patch_as(self, path: str, patch: Any, type_: type) -> Node:
        if self._conflicts:
            self._conflicts -= 1
            raise Conflict(409, "Conflict", "changed meanwhile")
        return await super().patch_as(path, patch, type_)


async def test_a_node_that_changes_with_every_try_is_locked_or_hasnt_the_claim_in_its_book():
    (place,) = allocation_of(TRAIN).placements
    uid, tenant = ClaimUID(TRAIN.metadata.uid), TenantUID(allocation_of(TRAIN).tenant_uid)
    outcomes = set[str]()
    for conflicts in range(30):
        node = our_node(WEST, name=place.node)
        node.metadata.uid = node.metadata.annotations[NODE] = place.node_uid
        api = Busy(node, conflicts)
        cluster = tools_of(Hub(TRAIN), {LEASE: WEST}, {LEASE: api}).cluster(LEASE)
        try:
            await lock_node(cluster, WEST, place, uid, tenant)
            outcome = "locked"
        except LostRace:
            outcome = "lost"
        outcomes.add(f"{outcome}, in its book: {api.annotation(place.node, BOOK)!r}")

    assert outcomes == {f"locked, in its book: '{uid}=8'", "lost, in its book: ''"}


class Waiting(LiveNodes):
    """A cluster whose answers take a turn of the loop, so that requests overlap."""

    def __init__(self, node: Node) -> None:
        super().__init__("", {f"/api/v1/nodes/{node.metadata.name}": node})

    async def get_as(self, path: str, type_: type, **params: str) -> Any:
        await asyncio.sleep(0)
        return await super().get_as(path, type_, **params)

    async def patch_as(self, path: str, patch: Any, type_: type) -> Node:
        await asyncio.sleep(0)
        return await super().patch_as(path, patch, type_)


async def test_eight_claims_that_share_a_node_are_locked_and_unlocked_at_once_with_one_write_each():
    names = [f"part-{i}" for i in range(8)]
    parts = [held(as_claim(claim(name, gpus=1)), WEST, NODES, gpus=1) for name in names]
    (place,) = allocation_of(parts[0]).placements
    node = our_node(WEST, name=place.node)
    node.metadata.uid = node.metadata.annotations[NODE] = place.node_uid
    api = Waiting(node)
    tools = tools_of(Hub(None), {LEASE: WEST}, {LEASE: api})
    sites = [sites_of(each, tools, allocation_of(each).placements)[0] for each in parts]

    await asyncio.gather(
        *(lock_all(c, [(s, s.berths[0])]) for c, s in zip(parts, sites, strict=True))
    )
    assert api.annotation(place.node, BOOK) == ",".join(f"{c.metadata.uid}=1" for c in parts)
    await asyncio.gather(*(free(s, c, s.berths[0]) for c, s in zip(parts, sites, strict=True)))
    assert api.annotation(place.node, BOOK) == ""

    assert len(api.sent("PATCH")) == 16
