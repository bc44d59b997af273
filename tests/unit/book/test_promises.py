"""Windows promised ahead: held then and not before, made nodes at their start, mended when they slip."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from sublet.api import claim_status
from sublet.api.gpuclaim import ReleaseCause
from sublet.api.ids import LeaseUID
from sublet.api.pending import PendingReason
from sublet.api.times import Millis, format_instant
from sublet.book.decisions import Extend, Reserve, Take, Warn
from sublet.book.holdings import holds
from sublet.book.inventory import LeaseInventory, Unfit
from sublet.book.plan import plan
from sublet.book.steps import FOREVER
from tests.builders.api import LONG_AGO, NOW, as_claim, as_lease, as_tenant, claim, lease, tenant
from tests.builders.fleet import (
    after,
    carried_out,
    held,
    inventory,
    nodes,
    refusal_of,
    released,
    reserve_of,
    view,
)

HOUR = 3_600_000
WEST, EAST = as_lease(lease("west", committed=16)), as_lease(lease("east", committed=16))


def at(hour: float) -> Millis:
    return Millis(NOW + int(hour * HOUR))


def ahead(name: str, start: float, lasts: float | None, gpus: int = 16, **spec):
    """Return a claim for a window to come."""
    schedule: dict[str, object] = {"startTime": format_instant(at(start))}
    if lasts is not None:
        schedule["durationSeconds"] = int(lasts * 3600)
    return as_claim(claim(name, gpus=gpus, schedule=schedule, **spec))


def lasting(name: str, hours: float, gpus: int = 16):
    return as_claim(claim(name, gpus=gpus, schedule={"durationSeconds": int(hours * 3600)}))


def west(count: int = 2, **fields):
    return [(WEST, inventory(WEST, nodes(WEST, count), **fields))]


def promised(each, fleet=None):
    """Return a claim with the promise that the book makes it."""
    return carried_out(each, reserve_of(plan(view([each], fleet or west())), each))


def test_a_start_to_come_is_promised_a_lease_and_no_nodes():
    train = ahead("train", 4, 2)

    made = plan(view([train], west()))

    promise = reserve_of(made, train)
    assert promise.placements == ()
    (booking,) = promise.bookings
    assert (booking.lease, booking.nodes, booking.gpus_per_node) == ("west", 2, 8)
    assert promise.until_ms == at(6)
    ready = next(c for c in promised(train).status.conditions if c.type == "Ready")
    assert (ready.status, ready.reason) == ("True", PendingReason.WAITING_FOR_START)


def test_a_shorter_claim_runs_in_the_gap_and_a_longer_one_waits():
    train = promised(ahead("train", 4, 2))
    short, long = lasting("short", 4), lasting("long", 5)

    assert reserve_of(plan(view([train, short], west())), short).placements
    assert (
        "none of them for the whole time"
        in refusal_of(plan(view([train, long], west())), long).message
    )


def test_a_claim_may_begin_where_a_window_ends_and_not_before():
    train = promised(ahead("train", 4, 2))
    touching, overlapping = ahead("touching", 6, 1), ahead("overlapping", 5.5, 1)

    assert reserve_of(plan(view([train, touching], west())), touching).bookings
    assert refusal_of(plan(view([train, overlapping], west())), overlapping)


def test_a_node_rests_between_two_windows_as_its_lease_asks():
    resting = as_lease(lease("west", committed=16, term={"quarantineSeconds": 1800}))
    fleet = [(resting, inventory(resting, nodes(resting, 2)))]
    train = promised(ahead("train", 4, 2), fleet)
    soon, later = ahead("soon", 6.25, 1), ahead("later", 6.5, 1)
    before, too_long = lasting("before", 3.5), lasting("too-long", 3.75)

    assert refusal_of(plan(view([train, soon], fleet)), soon)
    assert reserve_of(plan(view([train, later], fleet)), later)
    assert refusal_of(plan(view([train, too_long], fleet)), too_long)
    assert reserve_of(plan(view([train, before], fleet)), before)


def test_a_promise_becomes_nodes_at_its_start_on_the_terms_it_was_made_on():
    train = promised(ahead("train", 4, 2))
    waiting = lasting("waiting", 1)

    early = plan(view([train, waiting], west(), now_ms=at(4) - 1))
    begun = plan(view([train, waiting], west(), now_ms=at(4)))

    assert not [d for d in early.decisions if d.claim_uid == train.metadata.uid]
    assert plan(view([train], west(), now_ms=at(1))).next_due_ms == at(4)
    nodes_given = reserve_of(begun, train)
    assert [p.gpus for p in nodes_given.placements] == [8, 8]
    assert nodes_given.sequence == 2
    assert (nodes_given.until_ms, nodes_given.decided_ms) == (at(6), NOW)
    assert refusal_of(begun, waiting)


def test_an_operator_that_was_away_at_the_start_makes_up_for_it_within_the_window():
    train = promised(ahead("train", 4, 2))

    assert reserve_of(plan(view([train], west(), now_ms=at(5.5))), train).until_ms == at(6)
    (over,) = plan(view([train], west(), now_ms=at(6))).decisions
    assert isinstance(over, Take)


def test_what_was_promised_ahead_is_given_up_by_deletion_or_suspension_at_once():
    train = promised(ahead("train", 4, 2))
    suspended = train.model_copy(update={"spec": train.spec.model_copy(update={"suspended": True})})

    (decision,) = plan(view([suspended], west())).decisions

    assert isinstance(decision, Take)
    assert decision.release_ms == NOW


def test_a_part_that_is_promised_ahead_keeps_a_whole_node_free():
    part = promised(ahead("part", 4, 2, gpus=2))
    one, two = lasting("one", 9, gpus=8), lasting("two", 9, gpus=8)

    made = plan(view([part, one, two], west()))

    assert sum(isinstance(d, Reserve) for d in made.decisions) == 1


def test_a_part_may_not_stay_on_a_node_that_is_promised_whole():
    small = held(lasting("small", 3, gpus=4), WEST, nodes(WEST, 1), gpus=4, until_ms=at(3))
    train = promised(ahead("train", 4, 2), west())
    seen = [small, train]
    fits, stays = lasting("fits", 4, gpus=4), lasting("stays", 5, gpus=4)

    assert reserve_of(plan(view([*seen, fits], west())), fits).placements[0].node == "west-0000"
    assert refusal_of(plan(view([*seen, stays], west())), stays)


def test_a_longer_duration_is_granted_as_far_as_no_promise_is_touched():
    runs = held(lasting("runs", 9), WEST, nodes(WEST, 2), until_ms=at(2))
    train = promised(ahead("train", 4, 2))
    # the promise was made while `runs` was to end before it

    (extended,) = [d for d in plan(view([runs, train], west())).decisions if isinstance(d, Extend)]

    assert extended.until_ms == at(4)


def test_quota_counts_a_window_when_it_is_and_not_before():
    limited = as_tenant(tenant(quotas=[{"className": "h100", "gpus": 16}]))
    train = promised(ahead("train", 4, 2))
    four = [(WEST, inventory(WEST, nodes(WEST, 4)))]
    now, over = lasting("now", 4), lasting("over", 5)

    def asked(each):
        return plan(view([train, each], four, tenants=(limited,)))

    assert reserve_of(asked(now), now)
    assert refusal_of(asked(over), over).reason is PendingReason.EXCEEDS_QUOTA


def test_a_phase_to_come_is_promised_before_it_is_delivered():
    phases = [
        {"commitmentId": "a", "startTime": LONG_AGO, "gpus": 8},
        {"commitmentId": "b", "startTime": format_instant(at(10)), "gpus": 24},
    ]
    ramp = as_lease(lease("west", commitment={"phases": phases}))
    fleet = [(ramp, inventory(ramp, nodes(ramp, 1)))]
    early, train, more = ahead("early", 9, 2), ahead("train", 10, 2), ahead("more", 10, 2)

    assert refusal_of(plan(view([early], fleet)), early)
    first = promised(train, fleet)
    assert refusal_of(plan(view([first, more], fleet)), more)


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


def test_a_window_that_has_passed_is_a_mistake_that_is_named():
    gone = ahead("gone", -4, 2)

    refused = refusal_of(plan(view([gone], west())), gone)

    assert refused.reason is PendingReason.MISCONFIGURED
    assert "its window is over since 2026-11-22T08:00:00" in refused.message


@st.composite
def days(draw: st.DrawFn):
    """Return claims as they come, hour by hour, on a fleet that stays whole."""
    fleet = []
    for name in ("west", "east")[: draw(st.integers(1, 2))]:
        each = as_lease(
            lease(
                name,
                committed=draw(st.sampled_from([16, 24, 64])),
                nodeSharing=draw(st.sampled_from(["None", "SameTenant", "AnyTenant"])),
            )
        )
        fleet.append((each, inventory(each, nodes(each, draw(st.integers(1, 3))))))
    coming = []
    for index in range(draw(st.integers(2, 12))):
        start = draw(st.none() | st.integers(1, 10))
        lasts = draw(st.sampled_from([1, 2, 3, 5]))
        gpus = draw(st.sampled_from([1, 2, 4, 8, 8, 16, 24]))
        name = f"c{index:02d}"
        coming.append(
            (
                draw(st.integers(0, 9)),
                lasting(name, lasts, gpus) if start is None else ahead(name, start, lasts, gpus),
            )
        )
    return fleet, coming


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(days())
def test_no_promise_is_ever_broken_and_each_becomes_nodes_at_its_very_start(day):
    fleet, coming = day
    seen = view([], fleet)
    began: dict[str, Millis] = {}  # claim UID -> when it got nodes
    for hour in range(20):
        now = at(hour)
        ended = tuple(
            released(c, Take(c.metadata.uid, "Completed", now), now)
            if holds(c) and (c.status.allocation.until_time or FOREVER) <= now
            else c
            for c in seen.claims
        )
        new = tuple(c for when, c in coming if when == hour)
        seen = replace(seen, now_ms=now, claims=(*ended, *new))
        made = plan(seen)
        assert not [d for d in made.decisions if isinstance(d, Warn)]
        seen = after(seen, made)
        on_node: Counter[str] = Counter()
        for each in seen.claims:
            start = each.spec.schedule.start_time
            if not holds(each):
                continue
            if not each.status.allocation.is_ahead:
                began.setdefault(each.metadata.uid, now)
                for place in each.status.allocation.placements:
                    on_node[place.node_uid] += place.gpus
            assert each.status.allocation.is_ahead == (start is not None and start > now)
        assert all(gpus <= 8 for gpus in on_node.values())


def test_a_warning_that_is_over_is_taken_back():
    train = promised(ahead("train", 4, 2))
    warned = train.model_copy(update={"status": claim_status.late(train, "too few", NOW)})

    (decision,) = plan(view([warned], west())).decisions

    assert decision == Warn(train.metadata.uid, "")


# A promise that is short takes nothing from others, and what disturbs it for a moment doesn't move it.


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

    made = plan(view(claims, broken(west(), 1), now_ms=at(4)))

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


def ending(hour: float):
    each = as_lease(lease("west", committed=16, end=format_instant(at(hour))))
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
