"""What a move's protocol must never do to nodes and namespaces that a claim has, whatever else is under way."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from sublet.api import move_status
from sublet.api.claim_status import allocation_of
from sublet.api.gpuclaim import GpuClaim
from sublet.api.ids import ClaimUID
from sublet.api.kinds import RELEASE_FINALIZER
from sublet.api.relocation import Move, MoveCause, PlacedNode
from sublet.binder import leave as leaving
from sublet.binder.binder import Binder
from sublet.binder.ports import ClusterSilent, StillThere
from sublet.binder.relocate import grow, is_same_move, move_for, undo
from sublet.binder.work import Works
from sublet.book.decisions import CutOver
from sublet.fleet.nodebook import BOOK
from sublet.kube.wire import Meta, Node
from sublet.ledger.port import LedgerConflict, LedgerUnavailable
from tests.builders.api import NOW, uid_of, with_status
from tests.builders.clusters import CLUSTER, Hub, LiveNodes, NotedApi, idle_binder, tools_of
from tests.builders.fleet import view
from tests.builders.moves import CLASSES, decided, leased, left, running
from tests.builders.replacing import (
    EASTERN,
    LEASES,
    WEST,
    Eastward,
    Written,
    holding,
    known,
    replacing,
)
from tests.builders.windows import at


def test_a_cutover_that_was_applied_already_takes_nothing_from_the_claim():
    ready, over, _ = replacing()
    api = NotedApi(ready.metadata.uid)
    tools = tools_of(Hub(over, refuses=True), LEASES, {WEST[0].metadata.uid: api})

    async def cut_over() -> None:
        binder, idle = idle_binder(tools)
        binder.cut_over(ready, CutOver(ready.metadata.uid, at(1)))
        await idle.wait()

    asyncio.run(cut_over())
    assert api.sent("DELETE", "PATCH") == []


def test_a_new_node_of_the_same_name_keeps_its_pods(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(leaving, "_SETTLED_SECONDS", 0.0)
    _, over, _ = replacing()
    (left,) = over.status.leaving
    path = f"/api/v1/nodes/{left.placements[0].node}"
    again = Node(metadata=Meta(name=left.placements[0].node, uid=uid_of("another")))
    api = NotedApi(over.metadata.uid, {path: again}, pods=1)
    tools = tools_of(Hub(over), LEASES, {WEST[0].metadata.uid: api})

    done = asyncio.run(leaving.leave(over, left, tools))

    assert api.sent("DELETE", "PATCH") == []
    assert done.status.leaving == ()


def test_a_node_that_a_claim_leaves_waits_for_its_landlords_wipe(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(leaving, "_SETTLED_SECONDS", 0.0)
    label = "landlord.example/clean"
    term = WEST[0].spec.term.model_copy(update={"clean_label": label})
    asks = WEST[0].model_copy(update={"spec": WEST[0].spec.model_copy(update={"term": term})})
    _, over, _ = replacing()
    (left,) = over.status.leaving
    api = LiveNodes(over.metadata.uid, holding(over, *left.placements, label=label))
    tools = tools_of(Hub(over), {asks.metadata.uid: asks}, {asks.metadata.uid: api})

    with pytest.raises(StillThere, match="must be wiped"):
        asyncio.run(leaving.leave(over, left, tools))


def test_a_node_that_a_claim_leaves_rests_which_ends_by_itself(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(leaving, "_SETTLED_SECONDS", 0.0)
    term = WEST[0].spec.term.model_copy(update={"quarantine_seconds": 600})
    asks = WEST[0].model_copy(update={"spec": WEST[0].spec.model_copy(update={"term": term})})
    _, over, _ = replacing()
    (left,) = over.status.leaving
    api = LiveNodes(over.metadata.uid, holding(over, *left.placements, label="other"))
    tools = tools_of(Hub(over), {asks.metadata.uid: asks}, {asks.metadata.uid: api})

    with pytest.raises(StillThere, match="the nodes rest") as found:
        asyncio.run(leaving.leave(over, left, tools))

    assert found.value.rests


@pytest.mark.parametrize("east_uid", [CLUSTER, None], ids=["same cluster", "nobody knows"])
def test_a_namespace_whose_other_lease_is_silent_is_left_alone(east_uid: str | None):
    world = Eastward(east_uid, home=1)
    api = NotedApi(world.over.metadata.uid)
    tools = world.tools(world.over, api, world.here)

    with pytest.raises(ClusterSilent, match="east"):
        asyncio.run(leaving.leave(world.over, world.over.status.leaving[0], tools))
    assert api.sent("DELETE", "APPLY") == []


@pytest.mark.parametrize(
    ("east_uid", "home"), [(EASTERN, 1), (CLUSTER, 2)], ids=["other cluster", "other namespace"]
)
def test_what_is_left_doesnt_wait_for_a_lease_that_has_nothing_to_do_with_it(
    east_uid: str, home: int
):
    world = Eastward(east_uid, home)
    api = LiveNodes(world.over.metadata.uid, holding(world.over, world.here, label="x"))
    tools = world.tools(world.over, api, world.here)

    done = asyncio.run(leaving.leave(world.over, world.over.status.leaving[0], tools))

    assert done.status.leaving == ()
    assert api.annotation(world.here.node, BOOK) == ""


def test_a_move_that_was_given_up_is_undone_while_the_cluster_that_the_claim_stays_in_is_silent():
    world = Eastward(CLUSTER, home=2)
    west = world.leases[world.here.lease_uid]
    status = west.status.model_copy(update={"cluster_uid": EASTERN})
    world.leases[west.metadata.uid] = west.model_copy(update={"status": status})
    api = LiveNodes(world.over.metadata.uid, holding(world.given_up, world.there, label="x"))

    done = asyncio.run(undo(world.given_up, world.tools(world.given_up, api, world.there)))

    assert done.status.move is None
    assert api.annotation(world.there.node, BOOK) == ""


def test_no_node_is_taken_for_a_namespace_in_which_a_silent_lease_has_nodes():
    east, _ = known(leased("east"))
    busy = running(WEST, count=2)
    failed, other = allocation_of(busy).placements
    there = {"lease": "east", "lease_uid": east.metadata.uid}
    kept = other.model_copy(update=there)
    allocation = allocation_of(busy).model_copy(update={"placements": (failed, kept)})
    busy = with_status(busy, busy.status.model_copy(update={"allocation": allocation}))
    fresh = failed.model_copy(update={"node": "west-0007", "node_uid": uid_of("w7"), "home": 1})
    move = Move(
        sequence=2, cause=MoveCause.NODE_FAILED, decided_time=at(2), placements=(fresh, kept)
    )
    each = with_status(busy, move_status.moving(busy, move, at(2)))
    api = NotedApi(each.metadata.uid)
    tools = tools_of(
        Written(each), {**LEASES, east.metadata.uid: east}, {WEST[0].metadata.uid: api}
    )

    with pytest.raises(ClusterSilent, match="east"):
        asyncio.run(grow(each, tools, lambda: None))
    assert api.calls == []


def of_two_leases() -> tuple[GpuClaim, dict[str, Any], PlacedNode]:
    """Return a claim that leaves a free node in the west, without its lines, and then one in the east; their leases; that one."""
    west, east, third = known(leased("west")), known(leased("east")), known(leased("third"))
    behind = []
    for sequence, pair in enumerate((west, east), start=1):
        (place,) = allocation_of(running(pair)).placements
        behind.append(
            left(
                [place.model_copy(update={"home": sequence})],
                sequence=sequence,
                cause=MoveCause.LEASE_ENDS,
                bound_time=NOW,
                release_time=at(1),
                freed_time=at(2) if pair is west else None,
            )
        )
    busy = running(third)
    allocation = allocation_of(busy).model_copy(update={"sequence": 3})
    leases = {each.metadata.uid: each for each, _ in (west, east, third)}
    gone = with_status(busy, allocation=allocation, leaving=tuple(behind), access=None)
    return gone, leases, behind[1].placements[0]


@pytest.mark.parametrize("trouble", [LedgerUnavailable("away"), LedgerConflict("they disagree")])
def test_what_the_ledger_lacks_of_nodes_that_are_free_holds_up_no_others(
    trouble: Exception, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(leaving, "_SETTLED_SECONDS", 0.0)
    busy, leases, there = of_two_leases()
    meta = busy.metadata.model_copy(update={"finalizers": (RELEASE_FINALIZER,)})
    busy = busy.model_copy(update={"metadata": meta})
    api = LiveNodes(busy.metadata.uid, holding(busy, there, label="x"))
    tools = tools_of(Written(busy), leases, {there.lease_uid: api})
    noted: list[Any] = []
    tools.events.note = lambda *what: noted.append(what)

    async def settle(_: GpuClaim) -> None:
        raise trouble

    tools.meter.settle = settle
    work = Works(tools, tools.claims.write_status).asked_for(busy)
    assert work is not None
    with pytest.raises(type(trouble)):
        asyncio.run(work(busy, lambda: None))

    assert api.annotation(there.node, BOOK) == ""
    assert noted == []  # nothing is overdue: the nodes are free


def test_since_when_nodes_are_free_stays_as_another_operator_said(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(leaving, "_SETTLED_SECONDS", 0.0)
    _, over, _ = replacing()
    (left,) = over.status.leaving
    api = LiveNodes(over.metadata.uid, holding(over, *left.placements, label="x"))
    freed = move_status.changed(over, left.model_copy(update={"freed_time": at(2)}))
    tools = tools_of(Written(over), LEASES, {WEST[0].metadata.uid: api})
    settled: list[Any] = []

    async def say(_: GpuClaim) -> GpuClaim | None:
        if api.annotation(left.placements[0].node, BOOK) == "":
            tools.claims.live = with_status(over, freed)
        return tools.claims.live

    async def settle(live: GpuClaim) -> None:
        settled.extend(each.freed_time for each in live.status.leaving)

    tools.claims.get, tools.meter.settle = say, settle
    asyncio.run(leaving.leave(over, left, tools))
    assert settled == [at(2)]


def test_a_claim_of_a_silent_lease_can_be_given_nodes_of_another():
    west, east = known(leased("west", 40)), leased("east")
    busy = running(west, end=40)
    (decision,) = decided(view([busy], [west, east], classes=CLASSES, now_ms=at(20)))
    leases = {each.metadata.uid: each for each, _ in (west, east)}
    move = move_for(busy, decision, tools_of(Hub(None), leases, {}))
    assert [place.home for place in move.placements] == [2]


def test_a_move_that_must_wait_isnt_begun_again_at_once():
    ready, _, decision = replacing()
    bound = with_status(ready, move_status.unmoved(ready, NOW))
    tools = tools_of(Hub(bound, refuses=False), LEASES, {})  # the cluster can't be written to
    begun = 0

    async def begin() -> None:
        nonlocal begun
        binder, idle = idle_binder(tools)
        for _ in range(50):
            begun += binder.relocate(bound, decision)
            await idle.wait()

    asyncio.run(begin())
    assert begun == 1


def test_nothing_is_put_off_for_a_claim_that_went_without_us():
    ready, _, decision = replacing()
    bound = with_status(ready, move_status.unmoved(ready, NOW))
    tools = tools_of(Hub(bound), LEASES, {})  # the cluster can't be written to

    async def begin_and_forget() -> Binder:
        binder, idle = idle_binder(tools)
        binder.relocate(bound, decision)
        await idle.wait()
        assert binder.due_ms is not None
        binder.forget(ClaimUID(bound.metadata.uid))
        return binder

    assert asyncio.run(begin_and_forget()).due_ms is None


def test_a_later_move_isnt_taken_for_one_that_was_given_up():
    ready, _, decision = replacing()
    given_up = with_status(ready, move_status.abandoning(ready, "lost", NOW))
    back = with_status(given_up, move_status.unmoved(given_up, NOW))
    again = replace(decision, sequence=back.status.next_sequence)
    move = move_for(back, again, tools_of(Hub(None), LEASES, {}))
    assert not is_same_move(with_status(back, move_status.moving(back, move, NOW)), ready)
