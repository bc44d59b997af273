"""From when pods of the tenant may come to a move's nodes: with the lock, where it has a namespace in their cluster or leaves one."""

import asyncio
from typing import Any

import pytest

from sublet.api import move_status
from sublet.api.claim_status import allocation_of
from sublet.api.gpuclaim import GpuClaim
from sublet.api.gpulease import GpuLease
from sublet.api.kinds import RELEASE_FINALIZER
from sublet.api.relocation import Move, MoveCause, PlacedNode
from sublet.binder import leave as leaving
from sublet.binder.ports import Interrupted, LostRace, StillThere
from sublet.binder.relocate import grow, undo
from sublet.binder.work import Works
from sublet.fleet.nodebook import BOOK
from sublet.kube.wire import Node
from tests.builders.api import NOW, uid_of, with_status
from tests.builders.clusters import LiveNodes
from tests.builders.moves import leased, left, running
from tests.builders.moving import Kept, tools, west
from tests.builders.replacing import EASTERN
from tests.builders.windows import at
from tests.builders.wire import our_node

REST_SECONDS = 600
WEST = west(quarantineSeconds=REST_SECONDS)
UID = running(WEST).metadata.uid


def busy() -> GpuClaim:
    """Return a bound claim of one node."""
    each = running(WEST)
    kept = each.metadata.model_copy(update={"finalizers": (RELEASE_FINALIZER,)})
    return each.model_copy(update={"metadata": kept})


BUSY = busy()


def east() -> GpuLease:
    """Return a lease whose cluster is another."""
    each, _ = leased("east")
    status = each.status.model_copy(update={"cluster_uid": EASTERN})
    return each.model_copy(update={"status": status})


EAST = east()


def place_at(lease: GpuLease, name: str) -> PlacedNode:
    (place,) = allocation_of(BUSY).placements
    there = {"lease": lease.metadata.name, "lease_uid": lease.metadata.uid}
    home = 1 if lease is WEST[0] else 2
    return place.model_copy(update={**there, "node": name, "node_uid": uid_of(name), "home": home})


def moving(*fresh: PlacedNode, leaves: PlacedNode | None = None) -> GpuClaim:
    """Return a bound claim that is to have these nodes in the place of its own, and leaves another."""
    move = Move(sequence=3, cause=MoveCause.NODE_FAILED, decided_time=at(1), placements=fresh)
    each = with_status(BUSY, move_status.moving(BUSY, move, at(1)))
    if leaves is None:
        return each
    behind = left([leaves], sequence=2, cause=MoveCause.LEASE_ENDS, bound_time=NOW)
    return with_status(each, leaving=(behind,))


def node_of(place: PlacedNode, lease: GpuLease, book: str = "") -> dict[str, Node]:
    node = our_node(lease, book, uid_of("beta") if book else "", name=place.node)
    node.metadata.uid = node.metadata.annotations["sublet.dev/node"] = place.node_uid
    return {f"/api/v1/nodes/{place.node}": node}


def reach(hub: Kept, api: LiveNodes, *, now_ms: int = NOW, forgets_east: bool = False) -> Any:
    """Return what the binder works with in both clusters; `forgets_east`: the hub doesn't know that lease any more."""
    found = tools(hub, api, WEST, now_ms=now_ms)
    known = {WEST[0].metadata.uid: WEST[0], EAST.metadata.uid: EAST}
    if forgets_east:
        del known[EAST.metadata.uid]
    found.lease, found.leases = known.get, known.values
    western = found.cluster(WEST[0].metadata.uid)
    eastern = tools(hub, api, (EAST, None)).cluster(EAST.metadata.uid)
    eastern.facts.cluster_uid = EASTERN
    found.cluster = {WEST[0].metadata.uid: western, EAST.metadata.uid: eastern}.get
    return found


def is_open_once_locked(each: GpuClaim, **world: Any) -> bool:
    """Make a move's one node ready until it is locked; return whether the hub says by then that pods may be there."""
    (fresh,) = move_status.move_of(each).placements
    lease = WEST[0] if fresh.lease_uid == WEST[0].metadata.uid else EAST
    api, hub = LiveNodes(UID, node_of(fresh, lease)), Kept(each)

    def stop() -> None:
        raise Interrupted("asked to stop")

    with pytest.raises(Interrupted):
        asyncio.run(grow(each, reach(hub, api, **world), stop))
    assert api.annotation(fresh.node, BOOK) == f"{UID}=8"
    assert hub.live is not None
    return move_status.move_of(hub.live).is_open


def test_a_move_into_a_namespace_that_the_claim_has_is_open_before_its_nodes_are_locked():
    """A pod that waits within the quota, or that a failed node's controller makes anew, runs there with the lock."""
    assert is_open_once_locked(moving(place_at(WEST[0], "w9")))


def test_a_move_to_a_cluster_that_the_claim_leaves_is_open_before_its_nodes_are_locked():
    left = place_at(EAST, "e1")
    assert is_open_once_locked(moving(place_at(EAST, "e9"), leaves=left))


def test_a_move_is_open_before_its_nodes_are_locked_where_nobody_knows_which_cluster_the_claim_leaves():
    left = place_at(EAST, "e1")
    assert is_open_once_locked(moving(place_at(WEST[0], "w9"), leaves=left), forgets_east=True)


def test_a_move_to_where_no_pod_of_the_claim_is_isnt_open_when_its_nodes_are_locked():
    assert not is_open_once_locked(moving(place_at(EAST, "e9")))


class World:
    """The claim's cluster while a move within it is lost, as another claim has taken one of the nodes."""

    def __init__(self, *fresh: PlacedNode, taken: PlacedNode) -> None:
        nodes = {path: node for p in fresh for path, node in node_of(p, WEST[0]).items()}
        nodes |= node_of(taken, WEST[0], f"{uid_of('other')}=8")
        self.api, self.hub = LiveNodes(UID, nodes), Kept(moving(*fresh))
        self._lose()

    def _lose(self) -> None:
        """Try to make the nodes ready, and say on the hub that it can't be."""
        assert self.hub.live is not None
        each, with_ = self.hub.live, reach(self.hub, self.api)
        with pytest.raises(LostRace) as lost:
            asyncio.run(grow(each, with_, lambda: None))
        asyncio.run(Works(with_, self.hub.write_status).begin_give_back(each, lost.value))

    def tend(self, after_seconds: int = 0) -> bool:
        """Try once to give back what was given up; return whether that is done."""
        assert self.hub.live is not None
        with_ = reach(self.hub, self.api, now_ms=NOW + after_seconds * 1_000)
        work = Works(with_, self.hub.write_status).asked_for(self.hub.live)
        assert work is not None
        try:
            asyncio.run(work(self.hub.live, lambda: None))
        except StillThere:
            return False
        return True


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaving, "_SETTLED_SECONDS", 0.0)
    monkeypatch.setattr(leaving, "POD_WAIT_SECONDS", 0.0)


def test_a_node_that_was_locked_for_a_namespace_that_the_claim_has_rests_though_another_was_lost():
    one, other = place_at(WEST[0], "w8"), place_at(WEST[0], "w9")
    world = World(one, other, taken=other)

    assert not world.tend()
    assert world.api.annotation(one.node, BOOK) == f"{UID}=8"

    assert world.tend(REST_SECONDS)
    assert world.api.annotation(one.node, BOOK) == ""


def test_nodes_of_a_move_that_was_given_up_dont_rest_if_they_were_never_locked():
    other = place_at(WEST[0], "w9")
    world = World(other, taken=other)

    assert world.tend()
    assert world.hub.live is not None
    assert world.hub.live.status.leaving == ()


def test_a_node_that_an_older_version_locked_and_gave_up_rests_too():
    """It locked before it said that the move is open, and said that no pod can have come there."""
    one = place_at(WEST[0], "w9")
    each = moving(one)
    each = with_status(each, move_status.abandoning(each, "lost", NOW))
    api, hub = LiveNodes(UID, node_of(one, WEST[0], f"{UID}=8")), Kept(each)

    asyncio.run(undo(each, reach(hub, api)))

    assert hub.live is not None
    assert [x.placements for x in hub.live.status.leaving] == [(one,)]
    assert api.annotation(one.node, BOOK) == f"{UID}=8"
