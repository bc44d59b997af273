"""Who is taken back for a claim of higher priority: the fewest, with notice, and never in vain."""

from dataclasses import replace

from hypothesis import HealthCheck, given, settings, strategies as st

from sublet.api.gpuclaim import ReleaseCause
from sublet.api.times import Millis
from sublet.book.decisions import Extend, Reserve, Take
from sublet.book.plan import plan
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
from tests.builders.fleet import after, carried_out, inventory, nodes, refusal_of, released, view

NOTICE_MS = 600_000
WEST = as_lease(lease("west", committed=64))
CLASSES = (
    as_class(),
    as_class(gpu_class("spot", guarantee="Preemptible", noticeSeconds=NOTICE_MS // 1_000)),
)
ACME = (as_tenant(tenant(priorityClasses=["low", "mid", "high"])),)
PRIORITIES = {"low": 0, "mid": 5, "high": 10}


def fleet(count: int = 4):
    return [(WEST, inventory(WEST, nodes(WEST, count)))]


def seen(*claims, count: int = 4, now_ms: Millis = NOW):
    return view(
        claims, fleet(count), classes=CLASSES, tenants=ACME, priorities=PRIORITIES, now_ms=now_ms
    )


def asking(
    name: str, gpus: int = 8, priority: str = "low", class_name: str = "spot", minute: int = 0
):
    body = claim(name, gpus=gpus, class_name=class_name, priorityClassName=priority)
    return as_claim(body, creationTimestamp=f"2026-11-22T09:{minute:02d}:00Z")


def running(*claims, count: int = 4):
    """Return claims as they are once the book has given them nodes."""
    by_uid = {c.metadata.uid: c for c in claims}
    made = plan(seen(*claims, count=count)).decisions
    return [carried_out(by_uid[d.claim_uid], d) for d in made if isinstance(d, Reserve)]


def taken(made):
    return {d.claim_uid: d for d in made.decisions if isinstance(d, Extend)}


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
