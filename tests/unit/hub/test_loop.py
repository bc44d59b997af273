"""What the loop does when it may not write, and what it leaves alone when it may."""

import asyncio
from dataclasses import replace
from typing import Any

from structlog.testing import capture_logs

from sublet.api import move_status
from sublet.api.claim_status import allocation_of
from sublet.api.common import ObjectMeta
from sublet.api.downtime import MOST_DOWNTIMES, Downtime, DowntimeCause
from sublet.api.gpuclaim import GpuClaim
from sublet.api.ids import ClaimUID
from sublet.api.last_word import LostStatus
from sublet.api.relocation import Move, MoveCause
from sublet.api.times import Millis
from sublet.book.inventory import NodeState
from sublet.fleet.registry import Fleet
from sublet.hub.batcher import Batcher
from sublet.hub.loop import Loop
from sublet.hub.state import HubState
from tests.builders.api import (
    NOW,
    as_claim,
    as_class,
    as_lease,
    as_tenant,
    claim,
    gpu_class,
    lease,
    tenant,
)
from tests.builders.fleet import bound, held
from tests.builders.restored import on_the_wire
from tests.builders.unread import holds_by_newer
from tests.harness.fake_api import SteppedClock, eventually
from tests.harness.loop import NODES, WEST, Recording, parts, recording_loop


async def test_a_mark_that_comes_while_another_leads_is_looked_at_again():
    clock = SteppedClock()
    batcher = Batcher(clock, quiet_seconds=0.01, wait_seconds=0.1)
    state = HubState(batcher.mark)
    state.synced = True
    nobody: Any = None
    loop = Loop(
        state=state,
        fleet=Fleet(clock=clock, on_change=lambda _: None, allow_local=False, hub_servers=[]),
        binder=nobody,
        teller=Recording(),
        writer=Recording(),
        meter=nobody,
        bookkeeper=nobody,
        accounts=nobody,
        adoption=nobody,
        returns=nobody,
        drift=nobody,
        aftermath=nobody,
        held=nobody,
        own=nobody,
        batcher=batcher,
        clock=clock,
        leads=lambda: False,
        took=nobody,
        record=nobody,
        default_tenant=None,
        token_life_seconds=600,
    )
    batcher.look_at(Millis(2**60))

    await loop.look()
    clock.seconds += 1
    await asyncio.wait_for(batcher.wait(), 30)


async def test_a_reservation_under_way_is_assumed_and_new_claims_are_decided_beside_it():
    loop, state, told = recording_loop()
    for name in ("a", "b", "c"):
        state.claims.put(as_claim(claim(name)))
        await loop.look()
    assert told.reserved == ["a", "b", "c"]
    assert told.full == [True, False, False]


async def test_a_lease_that_a_claim_holds_which_cant_be_read_takes_nothing_new_until_it_can():
    loop, state, told = recording_loop()
    dark = running_on(NODES[0], "dark")
    state.claims.take(holds_by_newer(dark))
    state.claims.put(as_claim(claim("a")))
    await loop.look()
    assert told.reserved == []

    state.claims.take(on_the_wire(dark.model_copy(update={"metadata": at_version(dark, "1000")})))
    await loop.look()
    assert told.reserved == ["a"]


def at_version(each: GpuClaim, version: str) -> ObjectMeta:
    return each.metadata.model_copy(update={"resource_version": version})


async def test_while_the_end_of_one_claim_is_being_moved_no_second_one_is_taken_back_for_the_same_room():
    loop, state, told = recording_loop()
    fleet, _ = parts(loop)
    fleet.nodes = NODES[:2]
    state.priorities = {"high": 10}
    state.tenants.put(as_tenant(tenant(priorityClasses=["high"]), resourceVersion="5"))
    spot = gpu_class("spot", guarantee="Preemptible", noticeSeconds=600)
    state.classes.put(as_class(spot))
    for name, node in zip("ab", NODES, strict=False):
        state.claims.put(running_on(node, name, class_name="spot"))
    state.claims.put(as_claim(claim("urgent", priorityClassName="high")))
    await loop.look()
    assert len(told.extended) == 1

    state.claims.put(as_claim(claim("other", suspended=True)))
    await loop.look()
    assert len(told.extended) == 1


def running_on(node: NodeState, name: str, **spec: Any) -> GpuClaim:
    """Return a claim bound to one node, whose tokens nobody has to renew."""
    stands = bound(held(as_claim(claim(name, **spec)), WEST, [node]))
    return stands.model_copy(update={"status": stands.status.model_copy(update={"access": None})})


async def test_a_replica_that_leads_again_plans_anew_what_another_decided_meanwhile():
    loop, state, told = recording_loop()
    state.claims.put(as_claim(claim("a", suspended=True)))
    await loop.look()
    leading: Any = loop
    leading._leads = lambda: False
    await loop.look()
    leading._leads = lambda: True
    await loop.look()

    assert told.full == [True, True]


async def test_a_pass_that_failed_after_it_had_decided_is_made_again():
    loop, state, told = recording_loop()
    _, clock = parts(loop)
    state.claims.put(as_claim(claim("a", suspended=True)))
    told.fails = RuntimeError("an answer that nobody thought of")
    with capture_logs():
        task = asyncio.create_task(loop.run())
        await eventually("the first pass", lambda: told.full)

        told.fails = None
        clock.seconds += 2
        await eventually("it is told", lambda: told.said == [("a", "Refuse")])
    task.cancel()


async def test_a_claim_that_cant_be_tended_holds_up_no_other_and_is_looked_at_again():
    loop, state, told = recording_loop()
    state.claims.put(as_claim(claim("odd", suspended=True)))
    state.claims.put(as_claim(claim("other", suspended=True)))
    told.stumbles_over = "odd"
    await loop.look()
    await loop.look()

    assert sorted(told.said) == [("odd", "Refuse"), ("other", "Refuse")]
    assert sorted(told.tended) == ["odd", "odd", "other"]


async def test_a_claim_that_went_without_us_is_forgotten_by_those_who_worked_on_it():
    loop, state, told = recording_loop()
    gone = as_claim(claim("a"))
    state.claims.put(gone)
    await loop.look()
    state.claims.drop(gone.metadata.uid)
    await loop.look()
    await loop.look()

    assert told.forgotten == [gone.metadata.uid]


async def test_while_another_replica_leads_claims_that_are_gone_are_forgotten():
    loop, state, told = recording_loop(leads=lambda: False)
    gone = as_claim(claim("a"))
    state.claims.put(gone)
    state.claims.drop(gone.metadata.uid)

    await loop.look()

    assert (told.forgotten, told.followed) == ([gone.metadata.uid], 1)


async def test_a_hub_that_was_read_late_leaves_clusters_their_time_to_answer():
    loop, state, told = recording_loop()
    state.claims.put(as_claim(claim("a", suspended=True)))
    _, clock = parts(loop)
    told.settled = False
    clock.seconds += 60

    await loop.look()
    assert told.said == []

    clock.seconds += 11
    await loop.look()
    assert told.said == [("a", "Refuse")]


async def test_while_the_first_list_of_a_cluster_comes_nothing_is_decided_but_not_for_long():
    loop, state, told = recording_loop()
    state.claims.put(as_claim(claim("a")))
    fleet, clock = parts(loop)
    fleet.reads = True

    await loop.look()
    assert told.reserved == []

    clock.seconds += 11  # a list without end holds up nobody for longer
    await loop.look()
    assert told.reserved == ["a"]


async def test_a_lease_that_cant_be_engaged_holds_up_no_other():
    loop, state, told = recording_loop()
    fleet, _ = parts(loop)
    state.leases.put(as_lease(lease("broken")))
    state.claims.put(as_claim(claim("a")))
    fleet.broken = "broken"

    with capture_logs() as logged:
        await loop.look()

    assert told.reserved == ["a"]
    assert "very-secret" not in str(logged)


async def test_a_cluster_that_is_read_later_holds_up_nobody():
    loop, state, told = recording_loop()
    fleet, clock = parts(loop)
    await loop.look()
    clock.seconds += 11
    state.claims.put(as_claim(claim("a")))
    fleet.reads = True

    await loop.look()

    assert told.reserved == ["a"]


async def test_a_claim_at_rest_is_left_alone_until_it_changes_or_work_on_it_ends():
    loop, state, told = recording_loop()
    suspended = as_claim(claim("a", suspended=True))
    state.claims.put(suspended)
    await loop.look()
    await loop.look()
    assert told.tended == ["a"]
    loop.idle(ClaimUID(suspended.metadata.uid))
    await loop.look()
    assert told.tended == ["a", "a"]


async def test_a_claim_on_its_way_to_a_lease_that_is_lost_is_looked_at_in_the_next_pass():
    loop, state, told = recording_loop()
    east = as_lease(lease("east"))
    state.leases.put(east)
    busy = running_on(NODES[0], "a")
    (place,) = allocation_of(busy).placements
    there = place.model_copy(update={"lease": "east", "lease_uid": east.metadata.uid})
    move = Move(
        sequence=2,
        cause=MoveCause.LEASE_ENDS,
        decided_time=NOW,
        cutover_time=Millis(NOW + 3_600_000),
        placements=(there,),
        ready_time=NOW,
    )
    state.claims.put(busy.model_copy(update={"status": move_status.moving(busy, move, NOW)}))
    await loop.look()
    await loop.look()
    assert told.tended == ["a"]

    meta = east.metadata.model_copy(update={"resource_version": "1000"})
    word = LostStatus(by="ann", time=NOW, meter_time=NOW)
    status = east.status.model_copy(update={"lost": word})
    state.leases.put(east.model_copy(update={"metadata": meta, "status": status}))
    await loop.look()
    assert told.tended == ["a", "a"]


async def test_what_is_not_said_before_all_have_answered_is_said_then():
    loop, state, told = recording_loop()
    state.claims.put(as_claim(claim("a", suspended=True)))
    told.settled = False
    await loop.look()
    assert told.said == []
    told.settled = True
    await loop.look()
    assert told.said == [("a", "Refuse")]


async def test_a_claim_that_work_is_under_way_for_is_told_when_it_ends():
    loop, state, told = recording_loop()
    waits = as_claim(claim("a", suspended=True))
    state.claims.put(waits)
    told.busy = frozenset({waits.metadata.uid})
    await loop.look()
    await loop.look()
    assert told.said == []
    assert told.full == [True, False]
    told.busy = frozenset()
    loop.idle(ClaimUID(waits.metadata.uid))
    await loop.look()
    assert told.said == [("a", "Refuse")]


def with_full_list() -> GpuClaim:
    """Return a bound claim with as many downtimes as its status has room for, all of them over."""
    stands = bound(held(as_claim(claim("a")), WEST, NODES[:1]))
    over = tuple(
        Downtime(
            sequence=1,
            lease_uid=WEST.metadata.uid,
            gpus=8,
            cause=DowntimeCause.NODE_GONE,
            from_time=NOW - 1_000 + at,
            until_time=NOW - 999 + at,
        )
        for at in range(MOST_DOWNTIMES)
    )
    status = stands.status.model_copy(update={"downtimes": over, "access": None})
    return stands.model_copy(update={"status": status})


async def test_a_downtime_that_finds_no_room_is_written_down_when_the_ledger_has_the_others():
    loop, state, told = recording_loop()
    fleet, _ = parts(loop)
    fleet.nodes = [replace(NODES[0], shows=0), *NODES[1:]]
    full = with_full_list()
    state.claims.put(full)
    told.is_written = False
    await loop.look()
    assert told.downtimes == [full.status.downtimes]

    told.is_written = True
    await loop.look()
    assert (told.full, told.downtimes[-1][-1].from_time) == ([True, True], NOW)
