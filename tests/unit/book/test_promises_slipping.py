"""Promises that come short: who keeps its room, who is moved, what is kept for the others, and what moves nobody."""

from dataclasses import replace

import pytest

from sublet.api import claim_status
from sublet.api.ids import LeaseUID
from sublet.api.relocation import ReleaseCause
from sublet.api.times import Millis, format_instant
from sublet.book.decisions import Extend, Reserve, Take, Warn
from sublet.book.inventory import LeaseInventory, Unfit
from sublet.book.plan import plan
from sublet.book.steps import FOREVER
from tests.builders.api import LONG_AGO, NOW, as_claim, as_lease, as_tenant, claim, lease, tenant
from tests.builders.fleet import (
    after,
    held,
    inventory,
    nodes,
    released,
    reserve_of,
    vacated,
    view,
    with_books,
)
from tests.builders.windows import EAST, WEST, ahead, at, lasting, promised, west


def test_a_phase_that_comes_late_moves_the_promise_to_another_lease_or_says_whom_it_hits():
    phases = [
        {"commitmentId": "a", "startTime": LONG_AGO, "gpus": 0},
        {"commitmentId": "b", "startTime": format_instant(at(10)), "gpus": 16},
    ]
    ramp = as_lease(lease("west", commitment={"phases": phases}))
    east = (EAST, inventory(EAST, nodes(EAST, 2)))
    train = ahead("train", 12, 2, placement={"leases": {"allow": ["west"]}})
    free = ahead("free", 12, 2)
    slow = [(ramp, inventory(ramp, [])), (EAST, inventory(EAST, nodes(EAST, 0)))]
    seen_elsewhere = as_lease(lease("seen", acceptingClaims=False))
    usual = [*slow, (seen_elsewhere, inventory(seen_elsewhere, nodes(seen_elsewhere, 1)))]
    stuck, moved = promised(train, usual), promised(free, usual)
    late = at(11)  # the phase has begun and nothing came

    warned = plan(view([stuck], usual, now_ms=late))
    (warning,) = warned.decisions
    assert isinstance(warning, Warn)
    assert "west will have too few" in warning.message
    told = after(view([stuck], usual, now_ms=late), warned)
    assert plan(told).decisions == warned.decisions
    again = after(told, plan(told))
    assert again.claims == told.claims
    other = reserve_of(plan(view([moved], [usual[0], east], now_ms=late)), moved)
    assert [b.lease for b in other.bookings] == ["east"]
    assert other.sequence == 2


def test_when_too_little_is_left_the_fewest_promises_are_broken():
    big, small = ahead("big", 4, 2, gpus=16), ahead("small", 4, 2, gpus=8)
    other = ahead("other", 4, 2, gpus=8)
    large = as_lease(lease("west", committed=32))
    four = [(large, inventory(large, nodes(large, 4)))]
    seen = view([big, small, other], four)
    seen = after(seen, plan(seen))
    ill = [replace(n, unfit=Unfit.UNHEALTHY) if i < 2 else n for i, n in enumerate(nodes(large, 4))]
    fewer = {LeaseUID(large.metadata.uid): inventory(large, ill)}

    hit = [d for d in plan(replace(seen, inventories=fewer)).decisions if isinstance(d, Warn)]

    assert [d.claim_uid for d in hit] == [big.metadata.uid]


def test_a_warning_that_is_over_is_taken_back():
    train = promised(ahead("train", 4, 2))
    warned = train.model_copy(update={"status": claim_status.late(train, "too few", NOW)})

    (decision,) = plan(view([warned], west())).decisions

    assert decision == Warn(train.metadata.uid, "")


def broken(fleet_, *ill: int):
    """Return the fleet with some nodes of its first lease out of order."""
    each, found = fleet_[0]
    seen = [
        replace(n, unfit=Unfit.NOT_READY) if i in ill else n
        for i, n in enumerate(found.nodes.values())
    ]
    return [(each, inventory(each, seen)), *fleet_[1:]]


def with_promises(*asked, on=None, **fields):
    seen = view(asked, on or west(), **fields)
    return list(after(seen, plan(seen)).claims)


def handed(made) -> set[str]:
    """Return the claims that got nodes."""
    return {d.claim_uid for d in made.decisions if isinstance(d, Reserve) and d.placements}


def east(count: int = 2):
    return (EAST, inventory(EAST, nodes(EAST, count)))


def test_of_two_promises_one_gets_the_node_that_is_left():
    claims = with_promises(ahead("a", 4, 2, gpus=8), ahead("b", 4, 2, gpus=8))

    made = plan(view(claims, broken(west(), 1), now_ms=Millis(at(4) + 120_000)))

    assert len(handed(made)) == 1
    assert [type(d) for d in made.decisions if d.claim_uid not in handed(made)] == [Warn]


def test_a_promise_that_begins_isnt_held_up_by_one_to_come_that_is_short():
    first, second = ahead("first", 4, 2, gpus=8), ahead("second", 5, 2, gpus=8)
    claims = with_promises(first, second)

    assert handed(plan(view(claims, broken(west(), 1), now_ms=at(4)))) == {first.metadata.uid}


def test_nobody_else_gets_what_is_left_for_a_promise_that_is_short():
    claims = with_promises(ahead("a", 4, 2, gpus=16))
    other = lasting("other", 9, gpus=8)

    assert not handed(plan(view([*claims, other], broken(west(), 1), now_ms=at(1))))


def test_a_promised_part_of_a_claim_becomes_what_was_promised_and_no_more():
    some = ahead("some", 4, 2, gpus=16, minGpus=8)
    claims = with_promises(some, on=west(1))

    for count in (1, 2):
        made = plan(view(claims, west(count), now_ms=at(4)))
        assert sum(p.gpus for p in reserve_of(made, some).placements) == 8


def test_a_promise_stays_while_an_earlier_claim_leaves_its_node():
    resting = as_lease(lease("west", committed=16, term={"quarantineSeconds": 1800}))
    fleet = [(resting, inventory(resting, nodes(resting, 2)))]
    run = held(lasting("run", 1, gpus=8), resting, nodes(resting, 1), until_ms=at(1))
    claims = with_promises(run, ahead("train", 48, 2), on=fleet)
    seen = view(claims, [*fleet, east()], now_ms=at(1))

    for when in (0, 1_000, 1_200_000):
        made = plan(seen)
        assert not [d for d in made.decisions if isinstance(d, Warn | Reserve)]
        seen = after(seen, made, now_ms=Millis(at(1) + when))


def test_a_cluster_that_hasnt_answered_yet_moves_no_promise():
    claims = with_promises(ahead("train", 4, 2))
    blind = (WEST, LeaseInventory(LeaseUID(WEST.metadata.uid)))

    for hour in (1, 4):
        made = plan(view(claims, [blind, east()], now_ms=at(hour)))
        assert not [d for d in made.decisions if isinstance(d, Reserve)]


def test_a_promise_holds_whatever_the_tenants_lists_say_by_then():
    train = ahead("train", 4, 2)
    claims = with_promises(train)
    barred = (as_tenant(tenant(leases={"deny": ["west"]})),)

    assert handed(plan(view(claims, west(), tenants=barred, now_ms=at(4)))) == {train.metadata.uid}


def ending(hour: float, name: str = "west"):
    each = as_lease(lease(name, committed=16, end=format_instant(at(hour))))
    return each, inventory(each, nodes(each, 2))


def test_a_lease_that_ends_before_a_window_moves_its_promise():
    train = ahead("train", 40, 2)
    claims = with_promises(train)

    moved = reserve_of(plan(view(claims, [ending(30), east()])), train)

    assert ([b.lease for b in moved.bookings], moved.until_ms) == (["east"], at(42))


def test_a_promise_that_no_lease_can_keep_to_its_end_is_told_and_never_dropped():
    claims = with_promises(ahead("train", 40, 2))

    (decision,) = plan(view(claims, [ending(30)])).decisions

    assert isinstance(decision, Warn)


def test_a_window_that_its_lease_cuts_short_is_handed_over_as_far_as_the_lease_goes():
    train = ahead("train", 40, 2)
    claims = with_promises(train)

    cut = reserve_of(plan(view(claims, [ending(41)], now_ms=at(40))), train)

    assert (cut.until_ms, cut.until_cause) == (at(41), ReleaseCause.LEASE_ENDED)
    assert len(cut.placements) == 2


@pytest.mark.parametrize(
    ("own", "other", "goes_to", "until"),
    [
        (40.5, 41.5, "east", 41.5),
        (41, 41, "west", 41),
        (41, 40.5, "west", 41),
        (30, 41, "east", 41),
    ],
)
def test_a_window_that_no_lease_lasts_for_goes_where_it_lasts_longest(own, other, goes_to, until):
    train = ahead("train", 40, 2)
    claims = with_promises(train)

    fleet = [ending(own), ending(other, "east")]
    cut = reserve_of(plan(view(claims, fleet, now_ms=at(40))), train)

    assert {p.lease for p in cut.placements} == {goes_to}
    assert (cut.until_ms, cut.until_cause) == (at(until), ReleaseCause.LEASE_ENDED)


def longer(each, hours: float):
    schedule = each.spec.schedule.model_copy(update={"duration_seconds": int(hours * 3600)})
    return each.model_copy(update={"spec": each.spec.model_copy(update={"schedule": schedule})})


def test_a_longer_duration_on_a_shared_node_stops_before_a_promise_too():
    others = tuple(as_tenant(tenant(n, namespaces=(n,))) for n in ("acme", "other"))
    a, b = (
        held(lasting(n, hours, gpus=4), WEST, nodes(WEST, 1), gpus=4, until_ms=at(hours))
        for n, hours in (("a", 10), ("b", 20))
    )
    body = claim(
        "p",
        "other",
        gpus=4,
        schedule={"startTime": format_instant(at(21)), "durationSeconds": 7200},
    )
    a, b, promise = with_promises(a, b, as_claim(body), on=west(1), tenants=others)
    assert promise.status.allocation is not None

    made = plan(view([longer(a, 30), b, promise], west(1), tenants=others))

    (extended,) = [d for d in made.decisions if isinstance(d, Extend)]
    assert extended.until_ms == at(21)
    assert not [d for d in made.decisions if isinstance(d, Warn)]


@pytest.mark.parametrize("start", [10, 10.5])
def test_a_longer_duration_that_comes_too_late_takes_no_promised_node(start):
    runs = held(lasting("runs", 10, gpus=8), WEST, nodes(WEST, 1), until_ms=at(10))
    fleet = broken(west(), 1)
    runs, promise = with_promises(runs, ahead("p", start, 5, gpus=8), on=fleet)
    assert promise.status.allocation is not None

    made = plan(view([longer(runs, 30), promise], fleet, now_ms=Millis(at(10) + 1_000)))

    assert all(
        (d.until_ms or FOREVER) <= at(start) for d in made.decisions if isinstance(d, Extend)
    )
    (gone,) = [d for d in made.decisions if d.claim_uid == runs.metadata.uid]
    assert isinstance(gone, Take if start == 10 else Extend)


def test_a_claim_that_ends_just_when_a_window_begins_makes_nobody_late():
    before = held(lasting("before", 4), WEST, nodes(WEST, 2), until_ms=at(4))
    train = promised(ahead("train", 4, 2))
    begun = view([before, train], west(), now_ms=at(4))

    made = plan(begun)
    assert [type(d) for d in made.decisions] == [Take]
    leaving = after(begun, made, now_ms=Millis(at(4) + 30_000))
    rest = plan(leaving)
    assert rest.decisions == ()
    assert rest.next_due_ms == at(4) + 120_000
    (warning,) = plan(replace(leaving, now_ms=Millis(at(4) + 120_000))).decisions
    assert isinstance(warning, Warn)


@pytest.mark.parametrize("hours", [2.11, 2.5, 3])
def test_a_node_that_rests_makes_no_promise_behind_its_rest_late(hours):
    rests = as_lease(lease("rests", committed=8, term={"quarantineSeconds": 3600}))
    fleet = [(rests, inventory(rests, nodes(rests, 1)))]
    runs = held(lasting("runs", 2, gpus=8), rests, nodes(rests, 1), until_ms=at(2))
    runs, promise = with_promises(runs, ahead("p", 3.1, 1, gpus=8), on=fleet)
    over = Take(runs.metadata.uid, ReleaseCause.COMPLETED, at(2))
    gone = vacated(released(runs, over, at(2), done=False), at(2.01))

    seen = with_books(view([gone, promise], fleet, now_ms=at(hours)))

    assert plan(seen).decisions == ()
