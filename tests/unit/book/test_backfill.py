"""Blocked claims get an estimated start that later claims run in front of and never push back."""

from dataclasses import replace

from hypothesis import HealthCheck, assume, given, settings, strategies as st

from sublet.api.ids import TenantUID
from sublet.api.pending import PendingReason
from sublet.api.times import format_instant
from sublet.book.decisions import Refuse, Reserve, Take
from sublet.book.holdings import holds
from sublet.book.plan import plan
from tests.builders.api import LONG_AGO, as_claim, as_class, as_lease, claim, gpu_class, lease
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
from tests.builders.windows import at

WEST = as_lease(lease("west", committed=64))


def asking(name: str, gpus: int, hours: float | None, minute: int = 0, **spec):
    """Return a claim; a later minute is a later place in the queue."""
    schedule = {"durationSeconds": int(hours * 3600)} if hours is not None else {}
    body = claim(name, gpus=gpus, schedule=schedule, **spec)
    return as_claim(body, creationTimestamp=f"2026-11-22T09:{minute:02d}:00Z")


def running(index: int, hours: float):
    """Return a claim that holds the lease's node of that number for so long."""
    name = f"running{index}"
    node = nodes(WEST, 4)[index]
    return held(asking(name, 8, hours), WEST, [node], until_ms=at(hours))


def west(count: int = 4):
    return [(WEST, inventory(WEST, nodes(WEST, count)))]


def test_a_blocked_claim_is_told_when_it_could_begin_and_its_place():
    busy = [running(0, 2), running(1, 3)]
    first, second = asking("first", 16, 1), asking("second", 16, 1, minute=1)

    made = plan(view([*busy, first, second], west(2)))

    told = [refusal_of(made, each) for each in (first, second)]
    assert [(r.position, r.estimated_ms) for r in told] == [(1, at(3)), (2, at(4))]


def test_a_short_claim_runs_in_front_and_a_long_one_waits():
    busy = [running(0, 2)]
    large = asking("large", 16, 4)
    short, long = asking("short", 8, 2, minute=1), asking("long", 8, 3, minute=2)

    made = plan(view([*busy, large, short, long], west(2)))

    assert refusal_of(made, large).estimated_ms == at(2)
    assert reserve_of(made, short).until_ms == at(2)
    assert refusal_of(made, long).reason is PendingReason.WAITING_FOR_CAPACITY


def test_nobody_waits_for_a_start_that_isnt_in_sight():
    forever = held(asking("forever", 8, None), WEST, nodes(WEST, 1))
    large, small = asking("large", 16, 1), asking("small", 8, None, minute=1)

    made = plan(view([forever, large, small], west(2)))

    assert refusal_of(made, large).estimated_ms is None
    assert reserve_of(made, small)


def test_a_lease_that_begins_later_is_a_start_too():
    coming = as_lease(lease("coming", committed=64, term={"startTime": "2026-11-22T15:00:00Z"}))
    fleet = [*west(1), (coming, inventory(coming, nodes(coming, 4)))]
    large = asking("large", 32, 1)

    assert refusal_of(plan(view([large], fleet)), large).estimated_ms == at(5)


def test_a_start_over_several_leases_is_found():
    east = as_lease(lease("east", committed=64))
    fleet = [*west(1), (east, inventory(east, nodes(east, 1)))]
    busy = [running(0, 2), held(asking("there", 8, 3), east, nodes(east, 1), until_ms=at(3))]
    both = asking("both", 16, 1)

    assert refusal_of(plan(view([*busy, both], fleet)), both).estimated_ms == at(3)


def test_several_leases_that_are_ready_together_before_one_alone_are_the_start():
    east = as_lease(lease("east", committed=64))
    fleet = [*west(2), (east, inventory(east, nodes(east, 1)))]
    busy = [
        running(0, 1),
        running(1, 3),
        held(asking("there", 8, 2), east, nodes(east, 1), until_ms=at(2)),
    ]
    both = asking("both", 16, 1)

    assert refusal_of(plan(view([*busy, both], fleet)), both).estimated_ms == at(2)


def test_an_open_ended_claim_starts_where_its_class_lets_it_end_in_time():
    phases = [(LONG_AGO, 8), (format_instant(at(6)), 0)]
    each = as_lease(
        lease(
            "west",
            commitment={
                "phases": [
                    {"commitmentId": str(i), "startTime": start, "gpus": gpus}
                    for i, (start, gpus) in enumerate(phases)
                ]
            },
        )
    )
    busy, open_ended = running(0, 2), asking("open", 8, None)
    limited = (as_class(gpu_class(maxDurationSeconds=4 * 3600)),)
    seen = view([busy, open_ended], [(each, inventory(each, nodes(each, 1)))], classes=limited)

    assert refusal_of(plan(seen), open_ended).estimated_ms == at(2)


def test_nodes_may_rest_after_the_commitment_has_gone():
    each = as_lease(
        lease(
            "west",
            term={"quarantineSeconds": 1800},
            commitment={
                "phases": [
                    {"commitmentId": "a", "startTime": LONG_AGO, "gpus": 8},
                    {"commitmentId": "b", "startTime": format_instant(at(3)), "gpus": 0},
                ]
            },
        )
    )
    busy, blocked = running(0, 1), asking("blocked", 8, 1.5)
    seen = view([busy, blocked], [(each, inventory(each, nodes(each, 1)))])

    assert refusal_of(plan(seen), blocked).estimated_ms == at(1.5)


@st.composite
def queues(draw: st.DrawFn):
    """Return holders, waiting claims in order, and others that come after all of them."""
    ends = draw(st.lists(st.integers(1, 6), min_size=1, max_size=4))
    busy = [running(index, hours) for index, hours in enumerate(ends)]
    sizes, hours = st.sampled_from([1, 2, 4, 8, 8, 16, 24, 32]), st.sampled_from([1, 2, 3, 5, None])
    first = [asking(f"a{i}", draw(sizes), draw(hours), i) for i in range(draw(st.integers(1, 5)))]
    late = [
        asking(f"b{i}", draw(sizes), draw(hours), 30 + i) for i in range(draw(st.integers(1, 6)))
    ]
    return busy, first, late


@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(queues())
def test_whoever_comes_later_delays_no_estimate_and_takes_no_place(queue):
    busy, first, late = queue
    alone, crowded = plan(view([*busy, *first], west())), plan(view([*busy, *first, *late], west()))

    mine = {each.metadata.uid for each in first}
    assert [d for d in crowded.decisions if d.claim_uid in mine and isinstance(d, Reserve)] == [
        d for d in alone.decisions if isinstance(d, Reserve)
    ]
    estimates = {d.claim_uid: d.estimated_ms for d in alone.decisions if isinstance(d, Refuse)}
    again = {
        d.claim_uid: d.estimated_ms
        for d in plan(after(view([*busy, *first, *late], west()), crowded)).decisions
        if isinstance(d, Refuse) and d.claim_uid in mine
    }
    told = [(uid, when) for uid, when in estimates.items() if when is not None]
    assume(told)
    first_blocked, before = told[0]
    assert (again[first_blocked] or before + 1) <= before


@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.too_slow])
@given(queues())
def test_with_no_more_arrivals_in_front_every_claim_that_fits_the_fleet_is_served(queue):
    busy, first, late = queue
    waiting = [c for c in (*first, *late) if c.spec.schedule.duration_seconds is not None]
    seen = view([*busy, *waiting], west())
    served: set[TenantUID | str] = set()
    for hour in range(100):
        now = at(hour)
        claims = tuple(
            released(c, Take(c.metadata.uid, "Completed", now), now)
            if holds(c) and (c.status.allocation.until_time or now + 1) <= now
            else c
            for c in seen.claims
        )
        seen = replace(seen, now_ms=now, claims=claims)
        made = plan(seen)
        served |= {d.claim_uid for d in made.decisions if isinstance(d, Reserve)}
        seen = after(seen, made)

    assert served == {c.metadata.uid for c in waiting}
