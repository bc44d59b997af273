"""A claim leaves a node on which others stay: its part rests like any other's, and they notice nothing of it."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from sublet.api import move_status
from sublet.api.claim_status import allocation_of
from sublet.api.gpuclaim import GpuClaim
from sublet.api.relocation import Move, MoveCause
from sublet.binder import leave as leaving
from sublet.binder.ports import ClusterRefuses, StillThere
from sublet.book.inventory import NodeState
from sublet.fleet.nodebook import BOOK
from sublet.kube.errors import error_from_status
from sublet.kube.wire import Named, Node, Pod, Taint
from tests.builders.api import NOW, as_claim, as_lease, claim, lease, with_status
from tests.builders.clusters import CLUSTER, LiveNodes
from tests.builders.fleet import bound, held, nodes
from tests.builders.moves import let_in
from tests.builders.moving import Kept, tools
from tests.builders.wire import our_node

REST_SECONDS = 7_200


def west() -> Any:
    found = as_lease(
        lease("west", nodeSharing="AnyTenant", term={"quarantineSeconds": REST_SECONDS})
    )
    status = found.status.model_copy(update={"cluster_uid": CLUSTER})
    return found.model_copy(update={"status": status})


WEST = west()
SICK, FRESH = nodes(WEST, 2)
STAYS = bound(held(as_claim(claim("stays", "beta", gpus=4)), WEST, [SICK], gpus=4))


def replaced() -> GpuClaim:
    """Return a claim that has had a part of the sick node, and has one of another now."""
    each = let_in(bound(held(as_claim(claim("goes", gpus=4)), WEST, [SICK], gpus=4)), "west")
    (place,) = allocation_of(each).placements
    fresh = place.model_copy(update={"node": FRESH.name, "node_uid": FRESH.uid, "home": 1})
    move = Move(
        sequence=2,
        cause=MoveCause.NODE_FAILED,
        decided_time=NOW,
        placements=(fresh,),
        opened_time=NOW,
        ready_time=NOW,
    )
    each = with_status(each, move_status.moving(each, move, NOW))
    return with_status(each, move_status.cut_over(each, NOW, NOW))


GOES = replaced()
MINE, THEIRS = (f"claim.sublet.dev/{x.metadata.uid}" for x in (GOES, STAYS))
BOTH = f"{GOES.metadata.uid}=4,{STAYS.metadata.uid}=4"
PATH = f"/api/v1/nodes/{SICK.name}"


def node_of(state: NodeState, book: str) -> Node:
    node = our_node(WEST, book, name=state.name)
    node.metadata.uid = node.metadata.annotations["sublet.dev/node"] = state.uid
    return node


class World:
    """The cluster, in which the claim's pods have ended."""

    def __init__(self, kind: type[LiveNodes] = LiveNodes) -> None:
        shown = (node_of(SICK, BOTH), node_of(FRESH, f"{GOES.metadata.uid}=4"))
        self._nodes = {f"/api/v1/nodes/{x.metadata.name}": x for x in shown}
        self.api = kind(GOES.metadata.uid, self._nodes)
        self.hub = Kept(GOES)

    @property
    def node(self) -> Node:
        return self._nodes[PATH]

    @property
    def taints(self) -> list[str]:
        return [t.key for t in self.node.spec.taints]

    def leave(self, after_seconds: int = 0) -> None:
        """Go on with what the claim leaves, as long after its last pod."""
        assert self.hub.live is not None
        (left,) = self.hub.live.status.leaving
        with_ = tools(self.hub, self.api, (WEST, None), now_ms=NOW + after_seconds * 1_000)
        with_.cluster(WEST.metadata.uid).node = lambda name: self._nodes[f"/api/v1/nodes/{name}"]
        asyncio.run(leaving.leave(self.hub.live, left, with_))


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaving, "_SETTLED_SECONDS", 0.0)
    monkeypatch.setattr(leaving, "POD_WAIT_SECONDS", 0.0)


def resting() -> World:
    world = World()
    with pytest.raises(StillThere, match="rest"):
        world.leave()
    return world


def test_whoever_stays_may_start_pods_there_while_the_part_that_was_left_rests():
    world = resting()

    assert world.taints == ["sublet.dev/pool"]
    assert world.node.metadata.labels[THEIRS] == "true"


def test_no_pod_of_the_claim_that_left_comes_back_meanwhile_and_its_part_stays_held():
    world = resting()

    assert world.node.metadata.labels[MINE] != "true"
    assert world.node.metadata.annotations[BOOK] == BOTH


def test_what_keeps_its_pods_off_is_known_to_nobody_who_could_ask_for_it():
    one, other = (resting().node.metadata.labels[MINE] for _ in range(2))

    assert one != other
    assert len(one) >= 32


def test_a_part_that_has_rested_is_free():
    world = resting()

    world.leave(REST_SECONDS)

    assert world.node.metadata.annotations[BOOK] == f"{STAYS.metadata.uid}=4"
    assert MINE not in world.node.metadata.labels


def test_a_node_is_left_once_however_often_that_is_tried():
    world = resting()
    before = world.node

    with pytest.raises(StillThere):
        world.leave(60)

    assert world.node is before


def test_a_taint_by_which_an_older_version_kept_everybody_off_goes_at_once():
    world = World()
    world.node.spec.taints.append(Taint("sublet.dev/leaving", "", "NoSchedule"))
    world.node.metadata.annotations["sublet.dev/leaving"] = GOES.metadata.uid

    with pytest.raises(StillThere):
        world.leave()

    assert world.taints == ["sublet.dev/pool"]
    assert "sublet.dev/leaving" not in world.node.metadata.annotations


class Full(LiveNodes):
    """Where a pod of the claim runs on the node whose deletion its API server fails."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.selected = set[str]()
        """How pods were selected that were to be deleted."""

    def listed(self, path: str, params: Mapping[str, str]) -> Iterable[object]:
        return [Pod(Named("full"))] if path.endswith("/pods") else super().listed(path, params)

    async def request(self, method: str, path: str, **query: Any) -> None:
        self.selected.add(query["params"]["fieldSelector"])
        raise error_from_status(500, {})


def test_a_pod_there_that_cant_be_deleted_is_said_and_none_on_other_nodes_is_asked_to_end():
    world = World(Full)

    with pytest.raises(ClusterRefuses, match="fails to delete pod full"):
        world.leave()

    here = f"spec.nodeName={SICK.name}"
    assert isinstance(world.api, Full)
    assert world.api.selected == {here, f"{here},metadata.name=full"}
