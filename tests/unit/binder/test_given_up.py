"""What becomes of nodes that a claim was to have and didn't get: those that its pods may have used rest first."""

import asyncio
from typing import Any

import pytest

from sublet.api import claim_status, move_status
from sublet.api.common import is_true
from sublet.api.gpuclaim import GpuClaim
from sublet.api.kinds import RELEASE_FINALIZER
from sublet.api.relocation import Move, MoveCause, ReleaseCause
from sublet.binder import proof
from sublet.binder.ports import Overtaken, StillThere
from sublet.binder.release import give_back
from sublet.binder.relocate import grow
from sublet.binder.strays import clear_strays
from sublet.binder.work import Works
from sublet.hub.meter import facts_of
from sublet.ledger.entry import EntryKind
from sublet.verify.lines import lines_of
from tests.builders.api import NOW, with_status
from tests.builders.clusters import LiveNodes, idle_binder
from tests.builders.moves import leased, let_in, running
from tests.builders.moving import (
    LABEL,
    OLD,
    PLAIN,
    RESTING,
    UID,
    WIPING,
    Kept,
    Noted,
    fresh_of,
    locked,
    moving,
    opened,
    tools,
)
from tests.builders.windows import at
from tests.builders.wire import wire_node
from tests.unit.book.test_lost import lost


def test_a_move_is_said_to_be_open_before_a_quota_is_widened(monkeypatch: pytest.MonkeyPatch):
    async def seen(*_: Any) -> None: ...

    monkeypatch.setattr(proof, "see_quota", seen)
    each, log = moving(), list[str]()
    api = Noted(UID, locked(each, fresh_of(each)), log=log)
    hub = Kept(each, log)
    with_ = tools(hub, api)
    with_.cluster(PLAIN[0].metadata.uid).node = wire_node  # both are seen, and whole

    asyncio.run(grow(each, with_, lambda: None))

    assert log.index("HUB") < log.index("APPLY")
    assert api.gpus == ["16"]  # for both nodes
    assert hub.live is not None
    assert move_status.move_of(hub.live).opened_time == NOW


def test_nothing_is_opened_for_a_move_that_another_operator_gave_up(
    monkeypatch: pytest.MonkeyPatch,
):
    each, log = moving(), list[str]()
    api = Noted(UID, locked(each, fresh_of(each)), log=log)
    hub = Kept(with_status(each, move_status.abandoning(each, "lost", NOW)), log)

    with pytest.raises(Overtaken):
        asyncio.run(grow(each, tools(hub, api), lambda: None))
    assert log == []


def test_nodes_of_an_open_move_that_is_given_up_are_left_like_old_ones():
    each = opened(moving())

    after = with_status(each, move_status.given_up(each, "a node is NotReady", at(3)))

    (left,) = after.status.leaving
    assert (left.sequence, left.placements) == (2, (fresh_of(each),))
    assert after.status.move is None
    assert after.status.allocation == each.status.allocation
    assert is_true(after.status.conditions, "Bound")


def test_a_move_that_was_never_open_is_undone_at_once():
    each = moving()

    after = move_status.given_up(each, "a node is gone", at(3))

    assert after.leaving == ()
    assert after.move is not None
    assert after.move.abandoned


def test_a_ready_move_that_is_given_up_is_out_of_the_kubeconfig_at_once():
    each = opened(moving())
    each = with_status(each, move_status.ready_to_move(each, None, at(3)))

    after = move_status.given_up(each, "the cluster of west is lost", at(4))

    assert after.access is not None
    assert after.access.renewal_time == at(4)


def once_tended(each: GpuClaim, other: Any) -> GpuClaim:
    """Return a claim once whatever it asks for was tried; the cluster of the other lease doesn't answer."""
    meta = each.metadata.model_copy(update={"finalizers": (RELEASE_FINALIZER,)})
    status = each.status.model_copy(update={"access": None})
    each = each.model_copy(update={"metadata": meta, "status": status})
    hub = Kept(each)
    with_ = tools(hub, LiveNodes(UID))
    leases = {PLAIN[0].metadata.uid: PLAIN[0], other.metadata.uid: other}
    with_.lease, with_.leases = leases.get, leases.values

    async def run() -> None:
        binder, idle = idle_binder(with_)
        assert binder.tend(each)
        await idle.wait()

    asyncio.run(run())
    assert hub.live is not None
    return hub.live


def test_a_ready_move_to_a_lease_that_is_lost_is_given_up_though_nothing_else_is_due():
    gone, _ = lost(leased("east"))
    each = opened(moving())
    there = {"lease": "east", "lease_uid": gone.metadata.uid}
    move = move_status.move_of(each)
    fresh = tuple(x.model_copy(update=there) for x in move.placements)
    each = with_status(
        each,
        each.status.model_copy(
            update={"move": move.model_copy(update={"placements": fresh, "ready_time": at(3)})}
        ),
    )
    tended = once_tended(each, gone)

    assert tended.status.move is None
    assert [x.placements for x in tended.status.leaving] == [fresh]
    assert is_true(tended.status.conditions, "Ready")


def test_a_move_is_given_up_once_its_claim_stays_on_past_it_also_while_its_cluster_is_silent():
    east, found = leased("east")
    busy = let_in(running(PLAIN, end=40), "west")
    (place,) = claim_status.allocation_of(busy).placements
    (node, *_) = found.nodes.values()
    there = {"lease": "east", "lease_uid": east.metadata.uid, "node": node.name, "home": 2}
    move = Move(
        sequence=2,
        cause=MoveCause.LEASE_ENDS,
        decided_time=at(20),
        cutover_time=at(40),
        placements=(place.model_copy(update={**there, "node_uid": node.uid}),),
    )
    each = with_status(busy, move_status.moving(busy, move, at(20)))
    longer = claim_status.extended(each, at(400), ReleaseCause.LEASE_ENDED, at(40))

    assert move_status.move_of(once_tended(each, east)).abandoned is False
    stays = once_tended(with_status(each, longer), east)
    assert move_status.move_of(stays).abandoned


def test_what_was_given_up_is_billed_to_nobody():
    each = opened(moving())
    after = with_status(each, move_status.given_up(each, "a node is NotReady", at(3)))

    lines = [f for f in facts_of(after) if f.sequence == 2 and f.kind is not EntryKind.TERMS]

    assert [(f.kind.value, f.type.value, f.gpus) for f in lines] == [("releasing", "open", 8)]
    assert {x.kind for x in lines_of(after) if x.sequence == 2} == {
        EntryKind.RELEASING,
        EntryKind.TERMS,
    }


def test_the_next_move_waits_a_moment_after_one_was_given_up():
    each = opened(moving())
    finalized = each.metadata.model_copy(update={"finalizers": (RELEASE_FINALIZER,)})
    status = each.status.model_copy(update={"access": None})
    each = each.model_copy(update={"metadata": finalized, "status": status})
    hub = Kept(each)
    with_ = tools(hub, LiveNodes(UID))  # its nodes are gone

    async def run() -> bool:
        binder, idle = idle_binder(with_)
        assert binder.tend(each)
        await idle.wait()
        assert hub.live is not None
        assert len(hub.live.status.leaving) == 1
        return binder.is_asked_for(hub.live) and not binder.tend(hub.live)

    assert asyncio.run(run())


def giving_back(pair) -> GpuClaim:
    """Return a reserved claim that lost one of its nodes before it was bound."""
    busy = running(pair)
    allocation = claim_status.allocation_of(busy).model_copy(update={"bound_time": None})
    each = with_status(busy, claim_status.reserved(busy, allocation, NOW))
    return with_status(each, claim_status.giving_back(each, "a node is NotReady", NOW))


def given_back(hub: Kept, api: LiveNodes, pair, **world: Any) -> bool:
    """Try to give a claim's node back, each time with a new operator; return whether it is free then."""
    assert hub.live is not None
    try:
        asyncio.run(give_back(hub.live, tools(hub, api, pair, **world)))
    except StillThere:
        return False
    return api.annotation(OLD, "sublet.dev/allocation") == ""


def reserved(pair, label: str | None = None) -> tuple[Kept, LiveNodes]:
    each = giving_back(pair)
    (place,) = claim_status.allocation_of(each).placements
    return Kept(each), LiveNodes(UID, locked(each, place, label))


@pytest.mark.parametrize("intended", [True, None], ids=["intended", "ledger away"])
def test_a_node_whose_access_may_have_been_handed_out_rests_over_restarts(intended: bool | None):
    hub, api = reserved(RESTING)

    tries = [
        given_back(hub, api, RESTING, now_ms=NOW + ms, intended=intended)
        for ms in (0, 59_000, 60_000)
    ]
    assert tries == [False, False, True]


def test_a_node_whose_access_may_have_been_handed_out_is_wiped_first():
    hub, api = reserved(WIPING, "true")

    assert not given_back(hub, api, WIPING, intended=True)
    assert api.annotation(OLD, "sublet.dev/unwiped") == f"{UID}={LABEL}=true"


def test_a_claim_whose_node_rested_says_afterwards_why_it_lost_it():
    hub, api = reserved(RESTING)
    assert hub.live is not None
    hub.live = with_status(hub.live, claim_status.delayed(hub.live, "the nodes rest", NOW))
    with_ = tools(hub, api, RESTING)
    work = Works(with_, hub.write_status).asked_for(hub.live)
    assert work is not None

    done: GpuClaim | None = asyncio.run(work(hub.live, lambda: None))

    assert done is not None
    assert done.status.pending is not None
    assert done.status.pending.message == "a node is NotReady"


@pytest.mark.parametrize("pair", [RESTING, WIPING, PLAIN], ids=["rest", "wipe", "neither"])
def test_a_node_that_no_pod_can_have_used_is_given_back_at_once(pair):
    hub, api = reserved(pair, "true")

    assert given_back(hub, api, pair, intended=False)


def test_a_node_that_an_overtaken_operator_locked_rests_if_it_may_have_been_used():
    each = opened(moving(WIPING))
    gone = with_status(each, move_status.unmoved(each, NOW))
    place = fresh_of(each)
    api = LiveNodes(UID, locked(each, place, "true"))

    with pytest.raises(StillThere, match="rests"):
        asyncio.run(clear_strays(each, tools(Kept(gone), api, WIPING)))
    assert api.annotation(place.node, "sublet.dev/allocation") == f"{UID}=8"


def test_a_node_that_an_overtaken_operator_locked_is_freed_where_nothing_rests():
    each = opened(moving())
    gone = with_status(each, move_status.unmoved(each, NOW))
    place = fresh_of(each)
    api = LiveNodes(UID, locked(each, place))

    asyncio.run(clear_strays(each, tools(Kept(gone), api)))
    assert api.annotation(place.node, "sublet.dev/allocation") == ""
