"""When notice is given, and for how long: of several lengths, beside nodes that others leave, before maintenance."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, event, given, settings, strategies as st

from sublet.api.times import Millis, format_instant
from sublet.book.plan import plan
from tests.builders.api import NOW, as_claim, as_class, as_lease, claim, gpu_class, lease
from tests.builders.fleet import held, inventory, nodes, refusal_of
from tests.builders.taken_back import CLASSES, NOTICE_MS, asking, holding, on, taken
from tests.builders.windows import ahead, at

SLOW = as_class(gpu_class("slow", guarantee="Preemptible", noticeSeconds=7_200))


def lasting(name: str, hours: float, gpus: int = 8, **spec):
    schedule = {"durationSeconds": int(hours * 3_600)}
    return as_claim(claim(name, gpus=gpus, schedule=schedule, **spec))


def test_a_long_notice_hides_nobody_whose_notice_is_short():
    each = as_lease(lease("west", committed=64))
    own = nodes(each, 3)
    slow = held(asking("slow", class_name="slow"), each, [own[0]])
    quick = held(asking("quick"), each, [own[1]], decided_ms=at(-1))
    ends = held(lasting("ends", 1), each, [own[2]], until_ms=at(1))
    urgent = asking("urgent", 8, "high", "h100")
    seen_ = on([(each, inventory(each, own))], slow, quick, ends, urgent)

    made = plan(replace(seen_, classes=(*CLASSES, SLOW)))

    assert set(taken(made)) == {quick.metadata.uid}
    assert refusal_of(made, urgent).estimated_ms == NOW + NOTICE_MS


def test_a_victim_that_is_of_no_use_puts_nobody_off():
    """It shares its node with who stays; when its notice is over a promise has the other's."""
    each = as_lease(lease("west", committed=64))
    own = nodes(each, 2)
    slow = held(asking("slow", 4, class_name="slow"), each, own[:1], gpus=4)
    stays = held(as_claim(claim("stays", gpus=4)), each, own[:1], gpus=4)
    brief = lasting("quick", 1, class_name="spot", priorityClassName="low")
    quick = held(brief, each, own[1:], until_ms=at(1))
    leases = [(each, inventory(each, own))]
    promise = ahead("promise", 1, 4, gpus=8)
    *_, promised = holding(leases, slow, stays, quick, promise)
    assert promised.status.allocation is not None
    urgent = lasting("urgent", 0.5, priorityClassName="high")

    seen_ = on(leases, slow, stays, quick, promised, urgent)

    made = plan(replace(seen_, classes=(*CLASSES, SLOW)))

    assert set(taken(made)) == {quick.metadata.uid}


def beside_one_that_ends(hours: float, rest_seconds: int = 0):
    """Return a victim's node and one that is left later, and a claim that needs both."""
    each = as_lease(lease("west", committed=64, term={"quarantineSeconds": rest_seconds}))
    own = nodes(each, 2)
    spot = held(asking("spot"), each, own[:1])
    ends = held(lasting("ends", hours), each, own[1:], until_ms=at(hours))
    return on([(each, inventory(each, own))], spot, ends, asking("urgent", 16, "high", "h100"))


@pytest.mark.parametrize("rest_seconds", [0, 900])
def test_who_is_needed_beside_a_node_that_is_left_later_leaves_as_that_is_left(rest_seconds: int):
    seen_ = beside_one_that_ends(4, rest_seconds)
    told_ms = Millis(at(4) - NOTICE_MS)

    made = plan(seen_)
    assert not taken(made)
    assert made.next_due_ms == told_ms
    assert not taken(plan(replace(seen_, now_ms=Millis(told_ms - 1))))
    later = plan(replace(seen_, now_ms=told_ms))
    assert [d.until_ms for d in taken(later).values()] == [at(4)]
    urgent = seen_.claims[-1]
    assert refusal_of(later, urgent).estimated_ms == at(4) + rest_seconds * 1_000


def test_the_book_doesnt_look_again_for_a_notice_that_is_worth_nothing_then():
    each = as_lease(lease("west", committed=64))
    own = nodes(each, 2)
    spot = held(asking("spot"), each, own[:1])
    stays = held(as_claim(claim("stays")), each, own[1:])

    assert plan(on([(each, inventory(each, own))], spot, stays, asking("urgent", 16, "high", "h100"))).next_due_ms is None  # fmt: skip


def test_room_is_made_up_to_a_window_of_maintenance():
    window = {"startTime": format_instant(at(4)), "endTime": format_instant(at(5))}
    each = as_lease(lease("west", committed=8, maintenance=[window]))
    leases = [(each, inventory(each, nodes(each, 1)))]
    spot, urgent = held(asking("spot"), each, nodes(each, 1)), asking("urgent", 8, "high", "h100")

    made = plan(on(leases, spot, urgent))

    assert set(taken(made)) == {spot.metadata.uid}
    assert refusal_of(made, urgent).estimated_ms == NOW + NOTICE_MS


mixed_ends = st.lists(
    st.tuples(
        st.sampled_from(["spot", "slow", "h100"]),
        st.sampled_from(["low", "mid"]),
        st.sampled_from([None, 1, 2, 3, 5]),
    ),
    min_size=1,
    max_size=4,
)


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(mixed_ends, st.sampled_from([0, 900]), st.sampled_from([8, 16, 24]), st.floats(0, 1))
def test_until_the_book_looks_again_nobody_is_taken_back(busy, rest_seconds, gpus, share):
    each = as_lease(lease("west", committed=64, term={"quarantineSeconds": rest_seconds}))
    own = nodes(each, len(busy))
    holders = [
        held(
            asking(f"b{i}", 8, priority, name)
            if hours is None
            else lasting(f"b{i}", hours, class_name=name, priorityClassName=priority),
            each, [own[i]], until_ms=at(hours) if hours is not None else None,
        )
        for i, (name, priority, hours) in enumerate(busy)
    ]  # fmt: skip
    urgent = asking("urgent", gpus, "high", "h100")
    seen_ = on([(each, inventory(each, own))], *holders, urgent)
    seen_ = replace(seen_, classes=(*CLASSES, SLOW))
    made = plan(seen_)
    if taken(made):
        return
    due = made.next_due_ms or at(10)
    event(f"looks again: {made.next_due_ms is not None}")

    for when in (NOW + int(share * (due - 1 - NOW)), due - 1):
        assert not taken(plan(replace(seen_, now_ms=Millis(when))))
