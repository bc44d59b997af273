"""Later ends go as far as the tenant's quota does: by its own wish, by a lease's, by a pardon or a move."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from sublet.api.gpuclaim import GpuClaim
from sublet.api.relocation import ReleaseCause
from sublet.api.times import Millis
from sublet.book.decisions import Extend, Relocate, Reserve
from sublet.book.plan import plan
from sublet.book.steps import FOREVER
from sublet.book.view import View
from tests.builders.api import as_claim, as_class, as_tenant, claim, gpu_class, tenant
from tests.builders.fleet import after, bound, held, nodes, view
from tests.builders.histories import holders, passes, ticks_of
from tests.builders.moves import CLASSES, leased, running
from tests.builders.windows import HOUR, WEST, ahead, at, lasting, west

COMPLETED, LEASE_ENDED = ReleaseCause.COMPLETED, ReleaseCause.LEASE_ENDED
STILL = (as_class(gpu_class(moveLeadSeconds=0)),)
"""A class that moves nobody."""
LARGE = leased("large", count=8)


def limited(gpus: int, class_name: str = "h100"):
    return (as_tenant(tenant(quotas=[{"className": class_name, "gpus": gpus}])),)


def seen(*claims, gpus: int = 8, fleet=None, **fields) -> View:
    return view(claims, fleet or west(4), tenants=limited(gpus), **fields)


def runs(name: str, hours: float, asks: float | None, node: int = 0, gpus: int = 8) -> GpuClaim:
    """Return a claim that runs to one hour and asks for another end now."""
    body = lasting(name, asks, gpus) if asks is not None else as_claim(claim(name, gpus=gpus))
    place = nodes(WEST, node + 1)[node]
    return bound(held(body, WEST, [place], gpus=gpus, until_ms=at(hours)))


def with_promise(current: View, each: GpuClaim) -> View:
    """Return the view once a window to come was promised."""
    asked = replace(current, claims=(*current.claims, each))
    made = plan(asked)
    assert any(isinstance(d, Reserve) and d.claim_uid == each.metadata.uid for d in made.decisions)
    return after(asked, made)


def ends(current: View) -> list[tuple[str, int | None, ReleaseCause | None]]:
    names = {c.metadata.uid: c.metadata.name for c in current.claims}
    return [
        (names[d.claim_uid], d.until_ms, d.until_cause)
        for d in plan(current).decisions
        if isinstance(d, Extend)
    ]


def asking(current: View, name: str, hours: float) -> View:
    """Return the view once a claim asks for so many hours."""
    return replace(
        current,
        claims=tuple(_longer(c, hours) if c.metadata.name == name else c for c in current.claims),
    )


def _longer(each: GpuClaim, hours: float) -> GpuClaim:
    lasts = each.spec.schedule.model_copy(update={"duration_seconds": int(hours * 3600)})
    return each.model_copy(update={"spec": each.spec.model_copy(update={"schedule": lasts})})


def test_a_longer_duration_goes_as_far_as_the_quota_and_follows_it():
    current = with_promise(seen(runs("train", 1, 1)), ahead("window", 2, 1, 8))
    longer = asking(current, "train", 4)

    assert ends(longer) == [("train", at(2), COMPLETED)]
    then = after(longer, plan(longer))
    assert ends(then) == []
    free = replace(then, claims=then.claims[:1])
    assert ends(free) == [("train", at(4), COMPLETED)]


def test_a_longer_duration_takes_nothing_of_what_is_promised_from_its_end_on():
    current = with_promise(seen(runs("train", 1, 1)), ahead("window", 1, 1, 8))

    assert ends(asking(current, "train", 4)) == []


def test_of_two_that_ask_for_more_one_gets_what_the_quota_has_left():
    fours = (runs("a", 1, 1, 0, 4), runs("b", 1, 1, 1, 4))
    current = with_promise(seen(*fours), ahead("window", 1, 2, 4))

    both = asking(asking(current, "a", 3), "b", 3)

    assert ends(both) == [("a", at(3), COMPLETED)]


@pytest.mark.parametrize("gpus", [0, 4])
def test_a_smaller_quota_ends_nobody_and_lets_nobody_stay_longer(gpus):
    assert ends(seen(runs("train", 1, 1), gpus=gpus)) == []
    assert ends(seen(runs("train", 1, 3), gpus=gpus)) == []


def test_a_claim_past_its_end_isnt_in_its_own_way():
    late = seen(runs("train", 1, 3), now_ms=Millis(at(1) + 1_000))

    assert ends(late) == [("train", at(3), COMPLETED)]


def test_a_window_to_come_gets_no_hour_of_the_next_one():
    current = with_promise(with_promise(seen(), ahead("one", 1, 1, 8)), ahead("two", 2, 1, 8))

    assert ends(asking(current, "one", 2)) == []


def test_a_lease_that_is_prolonged_keeps_its_claims_as_long_as_the_quota_does():
    short, found = leased("short", 2)
    open_ended = running((short, found), end=2)
    fleet = [(short, found), leased("other")]
    current = with_promise(seen(open_ended, fleet=fleet, classes=STILL), ahead("window", 3, 1, 8))
    longer, _ = leased("short", 20)

    prolonged = replace(current, leases=(longer, current.leases[1]))

    assert ends(prolonged) == [("train", at(3), LEASE_ENDED)]


def test_a_claim_is_moved_no_further_than_its_quota_goes():
    short, found = leased("short", 2)
    fleet = [(short, found), leased("other")]
    current = seen(running((short, found), end=2), fleet=fleet, classes=STILL)
    current = with_promise(current, ahead("window", 3, 1, 8))

    (move,) = [
        d for d in plan(replace(current, classes=CLASSES)).decisions if isinstance(d, Relocate)
    ]

    assert (move.until_ms, move.until_cause) == (at(3), LEASE_ENDED)


def test_a_notice_is_taken_back_as_far_as_the_quota_goes():
    spot = as_class(gpu_class("spot", guarantee="Preemptible", noticeSeconds=3600))
    body = claim("victim", gpus=8, class_name="spot", schedule={"durationSeconds": 10 * 3600})
    told = held(as_claim(body), WEST, nodes(WEST, 1), until_ms=at(1), cause=ReleaseCause.PREEMPTED)
    current = view([told], west(4), classes=(as_class(), spot), tenants=limited(8, "spot"))
    window = ahead("window", 2, 1, 8, class_name="spot")
    busy = replace(current, busy=frozenset({told.metadata.uid}))
    current = replace(with_promise(busy, window), busy=frozenset())

    assert ends(current) == [("victim", at(2), ReleaseCause.PREEMPTED)]


def counted(current: View, when: int) -> int:
    """Return the GPUs that are held at an instant, or were promised for it; of who is leaving nothing."""
    return sum(
        held_.gpus
        for each in holders(current)
        if (held_ := each.status.allocation) is not None and each.status.release is None
        if (not held_.is_ahead or (each.spec.schedule.start_time or 0) <= when)
        and when < (held_.until_time or FOREVER)
    )


some = st.lists(
    st.tuples(st.sampled_from([4, 8]), st.integers(1, 3), st.none() | st.integers(1, 4)),
    min_size=2,
    max_size=5,
)
"""(GPUs, hours that it lasts, hour at which it begins) of each claim"""


@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.too_slow])
@given(some, ticks_of(0, 0.5, 1), st.sampled_from([8, 12]))
def test_nothing_that_is_given_or_prolonged_goes_beyond_a_quota_at_any_instant(asked, ticks, gpus):
    crowd = [
        ahead(f"c{i}", start, lasts, wants) if start else lasting(f"c{i}", lasts, wants)
        for i, (wants, lasts, start) in enumerate(asked)
    ]
    for before, made in passes((seen(*crowd, gpus=gpus, fleet=[LARGE]), ticks)):
        sold = tuple(d for d in made.decisions if isinstance(d, Reserve | Extend))
        then = after(before, replace(made, decisions=sold))
        for half in range(24):
            when = Millis(before.now_ms + half * HOUR // 2)
            assert counted(then, when) <= max(gpus, counted(before, when))
