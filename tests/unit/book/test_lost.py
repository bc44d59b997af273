"""A cluster that counts as lost: its claims end at the last confirmed instant, and nothing is sold there again."""

from dataclasses import replace

import pytest

from sublet.api import move_status
from sublet.api.last_word import LostStatus
from sublet.api.relocation import Move, MoveCause, PlacedNode, ReleaseCause
from sublet.api.times import Millis, format_instant
from sublet.book.decisions import CutOver, Extend, Refuse, Reserve, Silence, Take, Warn
from sublet.book.inventory import Reach
from sublet.book.plan import plan
from sublet.book.warm import Book
from tests.builders.api import NOW, as_claim, as_tenant, claim, tenant
from tests.builders.fleet import bound, carried_out, held, inventory, reserve_of, view
from tests.builders.moves import decided, leased, running
from tests.builders.windows import at

SEEN = at(-2)


def lost(pair, meter_ms: Millis = SEEN):
    """Return a lease whose cluster counts as lost, and its nodes as they were seen last."""
    each, found = pair
    word = LostStatus(by="ann", time=NOW, meter_time=meter_ms)
    status = each.status.model_copy(update={"lost": word})
    return each.model_copy(update={"status": status}), replace(found, reach=Reach.UNKNOWN)


def on(pair, index: int = 0) -> PlacedNode:
    each, found = pair
    node = list(found.nodes.values())[index]
    return PlacedNode(
        lease=each.spec.tenant_alias,
        lease_uid=each.metadata.uid,
        product=node.product,
        gpus=node.gpus,
        node=node.name,
        node_uid=node.uid,
    )


def begun(pair, bound_ms: Millis, **spec):
    each, found = pair
    places = list(found.nodes.values())[:1]
    return bound(held(as_claim(claim(**spec)), each, places, decided_ms=bound_ms), bound_ms)


def the_decision(seen):
    (found,) = plan(seen).decisions
    return found


def test_its_claims_end_and_are_billed_to_when_it_was_last_seen_to_work():
    west = leased("west")
    train = begun(west, at(-5))

    found = the_decision(view([train], [lost(west)]))

    assert found == Take(train.metadata.uid, ReleaseCause.LEASE_LOST, SEEN)
    assert ReleaseCause.LEASE_LOST.is_final


def test_no_meter_stops_before_it_began():
    west = leased("west")
    train = begun(west, at(-1))

    assert the_decision(view([train], [lost(west)])).release_ms == at(-1)


def test_a_claim_that_was_deleted_before_has_that_cause():
    west = leased("west")
    train = begun(west, at(-5))
    meta = train.metadata.model_copy(update={"deletion_timestamp": at(-3)})
    gone = train.model_copy(update={"metadata": meta})

    assert the_decision(view([gone], [lost(west)])) == Take(
        train.metadata.uid, ReleaseCause.DELETED, at(-3)
    )


def test_a_claim_whose_lease_ended_before_has_that_cause_and_waits_for_no_notice():
    west = leased("west", end=at(-3))
    train = begun(west, at(-5))
    allocation = train.status.allocation.model_copy(
        update={"until_time": at(-3), "until_cause": ReleaseCause.LEASE_ENDED}
    )
    status = train.status.model_copy(update={"allocation": allocation})
    train = train.model_copy(update={"status": status})

    assert the_decision(view([train], [lost(west)])) == Take(
        train.metadata.uid, ReleaseCause.LEASE_ENDED, at(-3)
    )


def test_a_claim_with_some_nodes_there_ends_as_a_whole():
    west, east = leased("west"), leased("east")
    train = begun(west, at(-5), gpus=16)
    both = train.status.allocation.model_copy(update={"placements": (on(west), on(east))})
    status = train.status.model_copy(update={"allocation": both})
    train = train.model_copy(update={"status": status})

    found = the_decision(view([train], [lost(west), east]))
    assert (found.cause, found.release_ms) == (ReleaseCause.LEASE_LOST, SEEN)


def test_claims_elsewhere_are_left_alone():
    west, east = leased("west"), leased("east")

    assert plan(view([running(east)], [lost(west), east])).decisions == ()


def test_nothing_is_sold_there_again_even_if_it_answers():
    west, east = leased("west", count=8), leased("east", count=1)
    each, found = lost(west)
    back = (each, replace(found, reach=Reach.REACHABLE))
    claims = [as_claim(claim(name)) for name in ("a", "b")]

    made = plan(view(claims, [back, east]))

    assert {type(d) for d in made.decisions} == {Reserve, Refuse}
    assert reserve_of(made, claims[0]).lease_uids == {east[0].metadata.uid}


def moving(train, to: tuple[PlacedNode, ...], ready_ms: Millis | None):
    move = Move(
        sequence=2, cause=MoveCause.LEASE_ENDS, decided_time=at(-4), cutover_time=at(9),
        placements=to, ready_time=ready_ms,
    )  # fmt: skip
    status = move_status.moving(train, move, at(-4))
    return train.model_copy(update={"status": status})


def test_a_claim_with_other_nodes_ready_comes_to_those():
    west, east = leased("west"), leased("east")
    train = moving(begun(west, at(-5)), (on(east),), at(-1))

    found = the_decision(view([train], [lost(west), east]))
    assert found == CutOver(train.metadata.uid, at(-1), left_ms=SEEN)
    status = move_status.cut_over(train, found.at_ms, NOW, found.left_ms)
    assert status.leaving[0].release_time == SEEN
    assert status.allocation.bound_time == at(-1)


def test_a_suspended_tenant_pays_no_longer_for_lost_nodes_though_others_are_ready():
    west, east = leased("west"), leased("east")
    train = moving(begun(west, at(-5)), (on(east),), at(-1))
    acme = as_tenant(tenant("acme", suspended=True))

    found = the_decision(view([train], [lost(west), east], tenants=(acme,)))
    assert found == CutOver(train.metadata.uid, at(-1), left_ms=SEEN)


def test_a_claim_whose_other_nodes_are_not_ready_ends():
    west, east = leased("west"), leased("east")
    train = moving(begun(west, at(-5)), (on(east),), None)

    assert isinstance(the_decision(view([train], [lost(west), east])), Take)


def test_a_claim_on_its_way_there_stays_where_it_is():
    west, east = leased("west"), leased("east")
    train = moving(begun(east, at(-5)), (on(west),), at(-1))
    due = train.status.move.model_copy(update={"cutover_time": NOW})
    train = train.model_copy(update={"status": train.status.model_copy(update={"move": due})})

    assert decided(view([train], [lost(west), east])) == []


def on_its_way_to_a_lost_lease(until: float):
    """Return a claim whose lease ends then, and for which nodes were made ready on the other, which is lost now."""
    west, east = leased("west", until), leased("east")
    move = Move(
        sequence=2,
        cause=MoveCause.LEASE_ENDS,
        decided_time=NOW,
        cutover_time=at(until),
        placements=(on(east),),
        ready_time=NOW,
    )
    train = running(west, end=until)
    status = move_status.moving(train, move, NOW)
    return train.model_copy(update={"status": status}), west, east


def test_a_claim_on_its_way_there_ends_with_its_own_lease():
    train, west, east = on_its_way_to_a_lost_lease(until=1)

    assert decided(view([train], [west, lost(east)], now_ms=at(0.9))) == []
    made = decided(view([train], [west, lost(east)], now_ms=at(1.5)))
    assert made == [Take(train.metadata.uid, ReleaseCause.LEASE_ENDED, at(1), told_ms=at(1))]


def test_a_claim_on_its_way_there_stays_as_long_as_its_own_lease_is_prolonged():
    train, _, east = on_its_way_to_a_lost_lease(until=1)
    longer = leased("west", 9)

    made = decided(view([train], [longer, lost(east)], now_ms=at(1.5)))
    assert made == [Extend(train.metadata.uid, at(9), ReleaseCause.LEASE_ENDED)]


def test_a_lease_that_is_merely_not_there_ends_nothing_for_a_claim_on_its_way_there():
    train, west, _ = on_its_way_to_a_lost_lease(until=1)

    (said,) = decided(view([train], [west], now_ms=at(0.9)))
    assert isinstance(said, Silence)
    assert decided(view([train], [west], now_ms=at(1.5))) == [CutOver(train.metadata.uid, at(1))]


@pytest.mark.parametrize("has_room", [True, False])
def test_what_was_promised_there_is_looked_for_elsewhere_or_said(has_room: bool):
    west, east = leased("west"), leased("east")
    asked = as_claim(claim(schedule={"startTime": format_instant(at(5)), "durationSeconds": 3_600}))
    promised = carried_out(asked, reserve_of(plan(view([asked], [west])), asked))
    fleet = [lost(west), east] if has_room else [lost(west)]

    found = the_decision(view([promised], fleet))
    if has_room:
        assert isinstance(found, Reserve)
        assert found.lease_uids == {east[0].metadata.uid}
    else:
        assert isinstance(found, Warn)
        assert "west" in found.message


def test_what_is_only_being_bound_there_is_left_to_give_back():
    west = leased("west")
    each, found = west
    asked = held(as_claim(), each, list(found.nodes.values())[:1])

    assert plan(view([asked], [lost(west)])).decisions == ()


def test_a_node_of_a_new_lease_is_sold_though_the_lost_one_still_lists_it():
    west = leased("west")
    each, found = lost(west)
    anew = leased("anew")
    same = inventory(anew[0], found.nodes.values())
    asked = as_claim()

    made = plan(view([asked], [(each, replace(found, nodes={})), (anew[0], same)]))
    assert reserve_of(made, asked).lease_uids == {anew[0].metadata.uid}


@pytest.mark.parametrize("what", ["lost", "silent"])
def test_a_warm_book_plans_anew_when_a_cluster_is_lost_or_falls_silent(what: str):
    west = leased("west")
    train = begun(west, at(-5))
    book = Book()
    book.plan(view([train], [west]))
    each, _ = lost(west)
    if what == "silent":
        status = west[0].status.model_copy(update={"last_seen_time": SEEN})
        each = west[0].model_copy(update={"status": status})
    seen = view([train], [(each, west[1])])

    made = book.plan(seen)
    assert made == plan(seen)
    assert made.decisions
