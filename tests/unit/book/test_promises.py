"""Windows promised ahead: held then and not before, and made nodes at their start."""

from collections import Counter
from dataclasses import replace

from hypothesis import HealthCheck, given, settings, strategies as st

from sublet.api.pending import PendingReason
from sublet.api.times import Millis, format_instant
from sublet.book.decisions import Extend, Reserve, Take, Warn
from sublet.book.holdings import holds
from sublet.book.plan import plan
from sublet.book.steps import FOREVER
from tests.builders.api import LONG_AGO, NOW, as_lease, as_tenant, lease, tenant
from tests.builders.fleet import (
    after,
    held,
    inventory,
    nodes,
    refusal_of,
    released,
    reserve_of,
    view,
)
from tests.builders.windows import WEST, ahead, at, lasting, promised, west


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


def test_quota_of_an_open_ended_claim_counts_what_is_promised_until_its_lease_ends():
    limited = as_tenant(tenant(quotas=[{"className": "h100", "gpus": 16}]))
    train = promised(ahead("train", 4, 2))
    short = as_lease(lease("short", committed=16, end=format_instant(at(3))))
    open_ended = lasting("open", None, placement={"leases": {"allow": ["short"]}})
    seen = view(
        [train, open_ended],
        [*west(), (short, inventory(short, nodes(short, 2)))],
        tenants=(limited,),
    )

    assert reserve_of(plan(seen), open_ended).until_ms == at(3)


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


def test_a_window_may_fill_a_step_whose_nodes_rest_once_it_is_over():
    steps = [(LONG_AGO, 16), (format_instant(at(10)), 32), (format_instant(at(20)), 16)]
    phases = [
        {"commitmentId": str(i), "startTime": start, "gpus": gpus}
        for i, (start, gpus) in enumerate(steps)
    ]
    each = as_lease(lease("west", commitment={"phases": phases}, term={"quarantineSeconds": 3600}))
    there = nodes(each, 2)
    fleet = [(each, inventory(each, there))]
    busy = [held(lasting(f"busy{i}", 40, 8), each, [n]) for i, n in enumerate(there)]
    whole, longer = ahead("whole", 10, 10), ahead("longer", 10, 10.5)

    assert reserve_of(plan(view([*busy, whole], fleet)), whole).until_ms == at(20)
    assert refusal_of(plan(view([*busy, longer], fleet)), longer)


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
