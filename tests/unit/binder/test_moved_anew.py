"""A move in the place of another: what that one was to bring is left, and the claim is never without either."""

import asyncio
from typing import Any

import pytest

from sublet.api import bound_status, move_status
from sublet.api.claim_status import allocation_of
from sublet.api.common import find_condition
from sublet.api.gpuclaim import GpuClaim
from sublet.api.ids import ClaimUID
from sublet.api.relocation import Move, MoveCause
from sublet.api.times import format_instant
from sublet.binder import proof
from sublet.binder.ports import LostRace
from sublet.binder.work import Works
from sublet.book.decisions import Relocate
from tests.builders.api import NOW, uid_of, with_status
from tests.builders.clusters import LiveNodes
from tests.builders.moves import leased, let_in, running
from tests.builders.moving import (
    PLAIN,
    UID,
    Kept,
    Noted,
    fresh_of,
    locked,
    moving,
    opened,
    tools,
)
from tests.builders.replacing import EASTERN, known
from tests.builders.windows import at


def another(claim: GpuClaim) -> Move:
    """Return a move that takes the place of the one that is under way."""
    before = move_status.move_of(claim)
    other = fresh_of(claim).model_copy(update={"node": "west-0007", "node_uid": uid_of("w7")})
    return before.model_copy(
        update={"sequence": 3, "placements": (other,), "opened_time": None, "ready_time": None}
    )


@pytest.mark.parametrize("is_open", [True, False], ids=["open", "not open yet"])
def test_a_move_in_the_place_of_another_leaves_what_that_was_to_bring_in_one_write(is_open: bool):
    each = opened(moving()) if is_open else moving()

    after = move_status.moving(each, another(each), at(4))

    assert after.move == another(each)
    assert [(x.sequence, x.placements, x.metered) for x in after.leaving] == [
        (2, (fresh_of(each),), ())
    ]
    assert after.allocation == each.status.allocation
    assert after.next_sequence == 4


def test_a_tenant_is_told_that_nodes_which_were_ready_cant_be_used_and_more_come():
    each = opened(moving())
    each = with_status(each, move_status.ready_to_move(each, None, at(3)))
    said = move_status.advice(move_status.move_of(each))
    each = with_status(each, bound_status.expiring(each, move_status.MOVING, said, at(3)))
    move = another(each).model_copy(update={"cutover_time": at(40)})

    after = move_status.moving(each, move, at(4))

    told = find_condition(after.conditions, "Expiring")
    assert told is not None
    assert told.message.startswith(
        f"its nodes go at {format_instant(at(40))}: the others that were"
    )
    assert after.access is not None
    assert after.access.renewal_time == at(4)


def stand_in(each: GpuClaim) -> Relocate:
    """Return the decision that a claim gets another node of its own cluster."""
    (*_, other) = PLAIN[1].nodes.values()
    (place,) = allocation_of(each).placements
    return Relocate(
        claim_uid=ClaimUID(UID),
        sequence=3,
        cause=MoveCause.NODE_FAILED,
        decided_ms=at(4),
        cutover_ms=None,
        until_ms=None,
        until_cause=None,
        placements=(place.model_copy(update={"node": other.name, "node_uid": other.uid}),),
    )


def test_a_move_that_is_begun_in_the_place_of_another_and_fails_leaves_both():
    each = moving()
    hub = Kept(each)
    with_ = tools(hub, LiveNodes(UID))  # its nodes are gone
    work = Works(with_, hub.write_status).relocate(stand_in(each))

    with pytest.raises(LostRace):
        asyncio.run(work(each, lambda: None))

    assert hub.live is not None
    assert move_status.move_of(hub.live).sequence == 3
    assert [x.sequence for x in hub.live.status.leaving] == [2]


def test_a_claim_gets_another_node_while_the_cluster_that_it_was_to_come_to_is_silent(
    monkeypatch: pytest.MonkeyPatch,
):
    async def seen(*_: Any) -> None: ...

    monkeypatch.setattr(proof, "see_quota", seen)
    east, _ = known(leased("east"), EASTERN)
    stays = let_in(running(PLAIN), "west")
    there = {"lease": "east", "lease_uid": east.metadata.uid, "node": "e-0", "home": 2}
    fresh = allocation_of(stays).placements[0].model_copy(update=there)
    move = Move(sequence=2, cause=MoveCause.LEASE_ENDS, decided_time=at(1), cutover_time=at(40), placements=(fresh,))  # fmt: skip
    each = with_status(stays, move_status.moving(stays, move, at(1)))
    decision, hub = stand_in(each), Kept(each)
    with_ = tools(hub, Noted(UID, locked(each, decision.placements[0]), log=[]))
    leases = {PLAIN[0].metadata.uid: PLAIN[0], east.metadata.uid: east}
    with_.lease, with_.leases = leases.get, leases.values

    asyncio.run(Works(with_, hub.write_status).relocate(decision)(each, lambda: None))

    assert hub.live is not None
    assert move_status.move_of(hub.live).ready_time == NOW
    assert [x.placements for x in hub.live.status.leaving] == [(fresh,)]
