"""Who is taken back for a claim of higher priority: the fewest, with notice, and never in vain."""

from collections.abc import Collection
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, event, example, given, settings, strategies as st

from sublet.api.relocation import ReleaseCause
from sublet.api.times import Millis
from sublet.book.decisions import Extend, Reserve, Take
from sublet.book.holdings import RELEASE_MS
from sublet.book.inventory import Unfit
from sublet.book.plan import plan
from tests.builders.api import (
    NOW,
    as_claim,
    as_class,
    as_lease,
    claim,
    gpu_class,
    lease,
)
from tests.builders.fleet import (
    after,
    carried_out,
    held,
    inventory,
    nodes,
    refusal_of,
    released,
    view,
)
from tests.builders.taken_back import (
    ACME,
    CLASSES,
    NOTICE_MS,
    PRIORITIES,
    asking,
    holding,
    on,
    taken,
)

WEST = as_lease(lease("west", committed=64))


def fleet(count: int = 4):
    return [(WEST, inventory(WEST, nodes(WEST, count)))]


def seen(*claims, count: int = 4, now_ms: Millis = NOW):
    return view(
        claims, fleet(count), classes=CLASSES, tenants=ACME, priorities=PRIORITIES, now_ms=now_ms
    )


def running(*claims, count: int = 4):
    """Return claims as they are once the book has given them nodes."""
    by_uid = {c.metadata.uid: c for c in claims}
    made = plan(seen(*claims, count=count)).decisions
    return [carried_out(by_uid[d.claim_uid], d) for d in made if isinstance(d, Reserve)]


def test_the_fewest_gpus_of_the_lowest_priority_are_taken_back_after_their_notice():
    busy = running(asking("big", 16), asking("small", 8), asking("mid", 8, "mid"))
    urgent = asking("urgent", 8, "high", "h100")

    made = plan(seen(*busy, urgent))

    (victim,) = taken(made).values()
    small = next(c for c in busy if c.metadata.name == "small")
    assert victim == Extend(small.metadata.uid, NOW + NOTICE_MS, ReleaseCause.PREEMPTED)
    assert refusal_of(made, urgent).estimated_ms == NOW + NOTICE_MS


def test_guaranteed_claims_and_equal_priorities_are_left_alone():
    sure = running(asking("a", 16, "low", "h100"), asking("b", 16, "high"))

    made = plan(seen(*sure, asking("urgent", 8, "high", "h100")))

    assert not taken(made)


def test_nobody_is_taken_back_for_a_claim_that_wouldnt_fit_then():
    busy = running(asking("spot", 16), asking("sure", 16, "low", "h100"))

    assert not taken(plan(seen(*busy, asking("urgent", 24, "high", "h100"))))


def test_nobody_is_taken_back_where_waiting_is_as_quick():
    body = claim("ends", gpus=16, schedule={"durationSeconds": 300})
    busy = running(as_claim(body), asking("spot", 16))

    made = plan(seen(*busy, asking("urgent", 16, "high", "h100")))

    assert not taken(made)


def test_once_is_enough_and_the_gpus_go_to_whom_they_were_taken_for():
    busy = running(asking("one", 16), asking("two", 16))
    urgent, late = asking("urgent", 16, "high", "h100"), asking("late", 16, "mid", "h100", 1)
    first = seen(*busy, urgent)
    told = after(first, plan(first))

    assert not taken(plan(told))
    over = replace(told, now_ms=Millis(NOW + NOTICE_MS), claims=(*told.claims, late))
    (release,) = [d for d in plan(over).decisions if isinstance(d, Take)]
    assert release.cause is ReleaseCause.PREEMPTED
    freed = tuple(
        released(c, release, over.now_ms) if c.metadata.uid == release.claim_uid else c
        for c in over.claims
    )
    made = plan(replace(over, claims=freed))
    given_to = [d.claim_uid for d in made.decisions if isinstance(d, Reserve)]
    assert given_to == [urgent.metadata.uid]
    victim = next(c for c in freed if c.metadata.uid == release.claim_uid)
    assert refusal_of(made, victim), "it waits again"


queues = st.lists(
    st.tuples(
        st.sampled_from([8, 8, 16, 24]),
        st.sampled_from(["low", "mid"]),
        st.sampled_from(["spot", "spot", "h100"]),
    ),
    min_size=1,
    max_size=5,
)


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(queues, st.sampled_from([8, 16, 24, 32]))
def test_no_victim_is_in_vain_or_needless(queue, gpus):
    busy = running(*(asking(f"b{i}", *each) for i, each in enumerate(queue)))
    urgent = asking("urgent", gpus, "high", "h100")
    made = plan(seen(*busy, urgent))
    victims = taken(made)

    def fits_without(gone):
        rest = [c for c in busy if c.metadata.uid not in gone]
        return any(
            isinstance(d, Reserve) and d.claim_uid == urgent.metadata.uid
            for d in plan(seen(*rest, urgent)).decisions
        )

    spot = {c.metadata.uid for c in busy if c.spec.class_name == "spot"}
    if victims:
        assert fits_without(set(victims))
        assert not any(fits_without(set(victims) - {one}) for one in victims)
    else:
        assert fits_without(set()) or not fits_without(spot)


def resting(seconds: int):
    each = as_lease(lease("west", committed=64, term={"quarantineSeconds": seconds}))
    return [(each, inventory(each, nodes(each, 2)))]


def test_a_second_pass_takes_nobody_more_while_nodes_rest():
    leases = resting(60)
    busy = holding(leases, asking("one"), asking("two", minute=1))
    first = on(leases, *busy, asking("urgent", 8, "high", "h100"))

    made = plan(first)
    assert len(taken(made)) == 1
    assert not taken(plan(after(first, made, now_ms=Millis(NOW + 1_000))))


def test_nobody_more_is_taken_back_while_the_first_is_released():
    leases = resting(1_800)
    busy = holding(leases, asking("one"), asking("two", minute=1))
    seen_ = on(leases, *busy, asking("urgent", 8, "high", "h100"))
    told = 0
    for later in (0, 1_000, NOTICE_MS, NOTICE_MS + 1_000, NOTICE_MS + 900_000):
        seen_ = replace(seen_, now_ms=Millis(NOW + later))
        made = plan(seen_)
        told += len(taken(made))
        seen_ = after(seen_, made)

    assert told == 1


def test_nobody_is_taken_back_if_a_node_that_rests_is_there_as_soon():
    leases = resting(3_600)
    each = leases[0][0]
    free_soon = held(
        as_claim(claim("ends", schedule={"durationSeconds": 540})),
        each, nodes(each, 1), until_ms=Millis(NOW + 540_000),
    )  # fmt: skip
    spot = held(asking("spot"), each, nodes(each, 2)[1:])

    assert not taken(plan(on(leases, free_soon, spot, asking("urgent", 8, "high", "h100"))))


def test_nobody_is_taken_back_from_a_node_on_which_another_claim_stays():
    each = as_lease(lease("west", committed=16))
    leases = [(each, inventory(each, nodes(each, 1)))]
    stays = held(as_claim(claim("stays", gpus=4)), each, nodes(each, 1), gpus=4)
    spot = held(asking("spot", 4), each, nodes(each, 1), gpus=4)

    made = plan(on(leases, stays, spot, asking("urgent", 8, "high", "h100")))

    assert not taken(made)


def test_nobody_is_taken_back_from_a_node_that_cant_be_sold():
    each = as_lease(lease("west", committed=16))
    ill, well = nodes(each, 2)
    leases = [(each, inventory(each, [replace(ill, unfit=Unfit.NOT_READY), well]))]
    spot = held(asking("spot"), each, [ill])
    stays = held(as_claim(claim("stays")), each, [well])

    assert not taken(plan(on(leases, spot, stays, asking("urgent", 8, "high", "h100"))))


def test_a_claim_that_is_being_worked_on_is_no_victim_and_another_is_taken():
    busy = running(asking("one", 16), asking("two", 16, minute=1))
    urgent = asking("urgent", 16, "high", "h100")
    first = taken(plan(seen(*busy, urgent)))

    other = taken(plan(replace(seen(*busy, urgent), busy=frozenset(first))))

    assert other
    assert not set(other) & set(first)


def test_a_notice_that_was_given_is_never_shortened():
    busy = running(asking("one", 16), asking("two", 16))
    first = seen(*busy, asking("urgent", 16, "high", "h100"))
    told = after(first, plan(first))
    hasty = (CLASSES[0], as_class(gpu_class("spot", guarantee="Preemptible", noticeSeconds=0)))
    noticed = [c for c in told.claims if c.status.allocation and c.status.allocation.until_time]

    cut = {
        uid
        for uid, end in taken(plan(replace(told, classes=hasty))).items()
        if end.until_cause is ReleaseCause.PREEMPTED
    }

    assert not cut & {c.metadata.uid for c in noticed}


def both(west_nodes: int, east_nodes: int):
    east = as_lease(lease("east", committed=64))
    return [*fleet(west_nodes), (east, inventory(east, nodes(east, east_nodes)))]


def test_a_claim_over_several_leases_takes_back_on_all_of_them():
    leases = both(1, 1)
    busy = holding(leases, asking("one"), asking("two", minute=1))
    urgent = asking("urgent", 16, "high", "h100")

    made = plan(on(leases, *busy, urgent))

    assert set(taken(made)) == {c.metadata.uid for c in busy}
    assert refusal_of(made, urgent).estimated_ms == NOW + NOTICE_MS


def test_a_victim_over_several_leases_is_taken_back_whole():
    leases = both(1, 1)
    busy = holding(leases, asking("wide", 16))

    made = plan(on(leases, *busy, asking("urgent", 16, "high", "h100")))

    assert set(taken(made)) == {busy[0].metadata.uid}


def test_nobody_is_taken_back_on_several_leases_for_a_claim_that_must_have_one_node():
    leases = both(1, 1)
    busy = holding(leases, asking("one", 8, "high"), asking("two", minute=1))
    body = claim("urgent", gpus=16, priorityClassName="high", topology={"scope": "Node"})

    assert not taken(plan(on(leases, *busy, as_claim(body))))


mixed_queues = st.lists(
    st.tuples(
        st.sampled_from([2, 4, 8, 8, 16, 24]),
        st.sampled_from(["low", "mid"]),
        st.sampled_from(["spot", "spot", "h100"]),
    ),
    min_size=1,
    max_size=6,
)


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@example([(2, "low", "spot"), (8, "low", "spot"), (8, "low", "h100")], (2, 2), 16, "mid")
@given(
    mixed_queues,
    st.tuples(st.integers(1, 2), st.integers(1, 2)),
    st.sampled_from([8, 16, 24, 32]),
    st.sampled_from(["mid", "high"]),
)
def test_if_any_set_of_victims_makes_it_fit_one_is_found_and_none_of_them_can_be_left_out(
    queue, counts, gpus, priority
):
    leases = both(*counts)
    asked = [asking(f"b{i}", *each, minute=i) for i, each in enumerate(queue)]
    busy = [c for c in holding(leases, *asked) if c.status.allocation is not None]
    urgent = asking("urgent", gpus, priority, "h100", minute=30)
    made = plan(on(leases, *busy, urgent))
    victims = set(taken(made))
    lower = {
        c.metadata.uid
        for c in busy
        if c.spec.class_name == "spot"
        and PRIORITIES[c.spec.priority_class_name or ""] < PRIORITIES[priority]
    }

    def fits_without(gone: Collection[str]) -> bool:
        rest = [c for c in busy if c.metadata.uid not in gone]
        return any(
            isinstance(d, Reserve) and d.claim_uid == urgent.metadata.uid
            for d in plan(on(leases, *rest, urgent)).decisions
        )

    event(f"victims: {len(victims)}")
    assert victims <= lower
    if victims:
        assert not fits_without(())
        assert fits_without(victims)
        assert not any(fits_without(victims - {one}) for one in victims)
    else:
        assert fits_without(()) or not fits_without(lower)


def test_a_claim_of_a_class_without_notice_is_taken_back_at_once():
    atonce = as_class(gpu_class("spot", guarantee="Preemptible", noticeSeconds=0))
    busy = running(asking("cheap", 32))
    urgent = asking("urgent", 8, "high", "h100")
    made = plan(replace(seen(*busy, urgent), classes=(as_class(), atonce)))
    (victim,) = taken(made).values()
    assert victim == Extend(busy[0].metadata.uid, NOW, ReleaseCause.PREEMPTED)


@pytest.mark.parametrize("rest", [0, 3_600])
def test_what_is_taken_back_at_once_is_sold_to_nobody_before_its_release_is_done(rest):
    each = as_lease(lease("west", committed=16, term={"quarantineSeconds": rest}))
    leases = [(each, inventory(each, nodes(each, 3)))]
    atonce = as_class(gpu_class("spot", guarantee="Preemptible", noticeSeconds=0))
    cheap = held(asking("cheap", 16), each, nodes(each, 2))
    urgent, waits = asking("urgent", 8, "high", "h100"), asking("waits", 8, "low", "h100")
    seen_ = replace(on(leases, cheap, urgent, waits), classes=(as_class(), atonce))

    made = plan(seen_)

    assert set(taken(made)) == {cheap.metadata.uid}
    gone = NOW + RELEASE_MS + rest * 1_000
    assert refusal_of(made, urgent).estimated_ms == gone
    assert refusal_of(made, waits).estimated_ms == gone
    then = plan(after(seen_, made))
    assert refusal_of(then, urgent).estimated_ms == gone
    assert refusal_of(then, waits).estimated_ms == gone
