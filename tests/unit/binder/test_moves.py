"""What a move's protocol must never do to nodes and namespaces that a claim has, whatever else is under way."""

import asyncio
from dataclasses import replace

import pytest

from sublet.api import move_status
from sublet.api.gpuclaim import GpuClaim
from sublet.api.ids import ClaimUID
from sublet.api.relocation import Move, MoveCause, PlacedNode
from sublet.binder import leave as leaving
from sublet.binder.binder import Binder
from sublet.binder.ports import ClusterSilent, StillThere
from sublet.binder.relocate import is_same_move, move_for
from sublet.book.decisions import CutOver, Relocate
from sublet.book.failures import REPLACE_AFTER_MS
from sublet.book.plan import plan
from sublet.kube.wire import Meta, Node, NodeSpec, Taint
from tests.builders.api import NOW, uid_of
from tests.builders.clusters import CLUSTER, Hub, LiveNodes, NotedApi, tools_of
from tests.builders.fleet import after, view
from tests.builders.moves import CLASSES, decided, leased, on_sick_node, running
from tests.builders.windows import at


def known(pair):
    """Return a lease whose cluster is pinned."""
    each, found = pair
    return each.model_copy(
        update={"status": each.status.model_copy(update={"cluster_uid": CLUSTER})}
    ), found


WEST = known(leased("west", count=10))
LEASES = {WEST[0].metadata.uid: WEST[0]}


def with_status(each: GpuClaim, status) -> GpuClaim:
    return each.model_copy(update={"status": status})


def replacing() -> tuple[GpuClaim, GpuClaim, Relocate]:
    """Return a claim of two nodes with another ready for one that failed, and the same once that took its place."""
    busy = running(WEST, count=2, replacement="OnFailure")
    seen = view([busy], [on_sick_node(WEST)], classes=CLASSES)
    seen = replace(after(seen, plan(seen)), now_ms=NOW + REPLACE_AFTER_MS)
    (decision,) = decided(seen)
    (told,) = seen.claims
    move = move_for(told, decision, tools_of(Hub(None), LEASES, {}))
    ready = with_status(told, move_status.moving(told, move, NOW))
    ready = with_status(ready, move_status.ready_to_move(ready, None, NOW))
    return ready, with_status(ready, move_status.cut_over(ready, at(1), at(1))), decision


def holding(claim: GpuClaim, *places: PlacedNode, label: str) -> dict[str, Node]:
    """Return nodes that a claim has, by path, with a label that says "true"."""
    uid = claim.metadata.uid
    labels = {f"claim.sublet.dev/{uid}": "true", label: "true"}
    return {
        f"/api/v1/nodes/{place.node}": Node(
            metadata=Meta(
                name=place.node,
                uid=place.node_uid,
                labels=labels,
                annotations={"sublet.dev/allocation": f"{uid}={place.gpus}"},
            ),
            spec=NodeSpec(taints=[Taint("sublet.dev/pool", place.lease_uid, "NoSchedule")]),
        )
        for place in places
    }


def test_a_cutover_that_was_applied_already_takes_nothing_from_the_claim():
    ready, over, _ = replacing()
    api = NotedApi(ready.metadata.uid)
    tools = tools_of(Hub(over, refuses=True), LEASES, {WEST[0].metadata.uid: api})

    async def cut_over() -> None:
        idle = asyncio.Event()
        binder = Binder(
            tools, on_claim=lambda _: None, on_gone=lambda _: None, on_idle=lambda _: idle.set()
        )
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


def test_a_namespace_whose_other_lease_is_silent_is_left_alone():
    west, east = known(leased("west", 40)), known(leased("east"))
    leases = {each.metadata.uid: each for each, _ in (west, east)}
    busy = running(west, end=40)
    assert busy.status.allocation is not None
    (place,) = busy.status.allocation.placements
    there = place.model_copy(
        update={
            "lease": "east",
            "lease_uid": east[0].metadata.uid,
            "node": "e-0",
            "node_uid": uid_of("e-0"),
            "home": 1,
        }
    )
    move = Move(
        sequence=2,
        cause=MoveCause.LEASE_ENDS,
        decided_time=at(20),
        cutover_time=at(40),
        placements=(there,),
    )
    each = with_status(busy, move_status.moving(busy, move, at(20)))
    each = with_status(each, move_status.ready_to_move(each, None, at(21)))
    over = with_status(each, move_status.cut_over(each, at(40), at(40)))
    api = NotedApi(over.metadata.uid)
    tools = tools_of(Hub(over), leases, {west[0].metadata.uid: api})

    with pytest.raises(ClusterSilent):
        asyncio.run(leaving.leave(over, over.status.leaving[0], tools))
    assert api.sent("DELETE", "APPLY") == []


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
        idle = asyncio.Event()
        binder = Binder(
            tools, on_claim=lambda _: None, on_gone=lambda _: None, on_idle=lambda _: idle.set()
        )
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
        idle = asyncio.Event()
        binder = Binder(
            tools, on_claim=lambda _: None, on_gone=lambda _: None, on_idle=lambda _: idle.set()
        )
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
