"""Whose GPUs are taken back when a budget is spent, when exactly, and when they come back."""

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given, settings, strategies as st

from sublet.api.gpuclaim import GpuClaim
from sublet.api.pending import PendingReason
from sublet.api.relocation import ReleaseCause
from sublet.api.times import MS_PER_HOUR, Millis
from sublet.book.decisions import Extend, Notice, Reserve, Take
from sublet.book.plan import plan
from sublet.book.spending import Spending
from tests.builders.api import NOW, as_claim, as_lease, claim, lease
from tests.builders.fleet import (
    after,
    carried_out,
    inventory,
    nodes,
    refusal_of,
    released,
    reserve_of,
    view,
    with_notices,
)
from tests.builders.money import CLASSES, DECEMBER, account, payer
from tests.builders.sales import bound, sold
from tests.builders.windows import ahead, at

WEST = as_lease(lease("west", committed=64))
FLEET = [(WEST, inventory(WEST, nodes(WEST, 4)))]
DRAIN = payer("100", at_limit="Drain")
RICH = payer("10000", at_limit="Drain")
NOTICE_MS = 600_000


def seen(*claims, spent: float | None = 0, who=DRAIN, now_ms: Millis = NOW):
    known = account(spent) if spent is not None else {}
    return view(claims, FLEET, classes=CLASSES, tenants=(who,), accounts=known, now_ms=now_ms)


def running(class_name: str, hours: float | None = None, name: str = "runs") -> GpuClaim:
    """Return a claim of 8 GPUs that is bound since NOW."""
    schedule = {"durationSeconds": int(hours * 3600)} if hours is not None else {}
    asks = as_claim(claim(name, class_name=class_name, schedule=schedule))
    return bound(carried_out(asks, reserve_of(plan(seen(asks, who=RICH)), asks)), NOW)


def ends(made) -> list[Extend | Take]:
    return [d for d in made.decisions if isinstance(d, Extend | Take)]


def test_once_it_is_spent_preemptible_claims_end_with_their_notice():
    spot, sure = running("spot"), running("h100", name="sure")

    made = plan(seen(spot, sure, spent=100))

    assert ends(made) == [
        Extend(spot.metadata.uid, Millis(NOW + NOTICE_MS), ReleaseCause.BUDGET_EXHAUSTED)
    ]


def test_without_a_notice_they_are_taken_at_once():
    runs = running("now")

    assert ends(plan(seen(runs, spent=100))) == [
        Take(runs.metadata.uid, ReleaseCause.BUDGET_EXHAUSTED, NOW)
    ]


@pytest.mark.parametrize(
    "seen_",
    [
        seen(running("spot"), spent=99.999),
        seen(running("spot"), spent=None),
        seen(running("spot"), spent=1000, who=payer("100")),
        seen(running("h100"), spent=1000),
    ],
    ids=["something is left", "unknown", "Hold", "Guaranteed"],
)
def test_nobody_else_is_taken_back(seen_):
    assert ends(plan(seen_)) == []


def test_it_is_spent_at_the_very_millisecond():
    runs = running("spot")
    first = seen(runs, spent=50)

    due = plan(first).next_due_ms

    assert due == at(6.25)
    assert not ends(plan(replace(first, now_ms=Millis(due - 1))))
    (told,) = ends(plan(replace(first, now_ms=due)))
    assert told.until_ms == due + NOTICE_MS


def test_the_instant_is_the_same_from_a_later_account():
    runs = running("spot")
    later = account(50 + 8 * 2, as_of_ms=at(2))

    assert plan(replace(seen(runs), accounts=later, now_ms=at(2))).next_due_ms == at(6.25)


def test_what_ends_before_it_is_spent_costs_no_more():
    short, long_ = running("h100", 1, "short"), running("spot")
    made = plan(seen(short, long_, spent=50))
    freed = released(short, Take(short.metadata.uid, ReleaseCause.COMPLETED, at(1)), at(1))

    assert made.next_due_ms == at(1)
    assert plan(seen(freed, long_, spent=50, now_ms=at(1))).next_due_ms == at(5.25)


def test_a_notice_is_given_once_and_told():
    first = seen(running("spot"), spent=100)
    told = after(first, plan(first))

    (notice,) = plan(told).decisions
    assert isinstance(notice, Notice)
    assert (notice.reason, "budget" in notice.message) == ("BudgetExhausted", True)


def test_a_larger_budget_takes_a_notice_back():
    first = seen(running("spot", 20), spent=100)
    told = after(first, plan(first))

    (moved,) = ends(plan(replace(told, tenants=(RICH,))))

    assert (moved.until_ms, moved.until_cause) == (at(20), ReleaseCause.COMPLETED)


def test_a_claim_taken_back_waits_and_comes_back_in_the_next_period():
    first = seen(running("spot", 9), spent=100)
    told = after(first, plan(first))
    over = Millis(NOW + NOTICE_MS)
    (taken,) = ends(plan(with_notices(replace(told, now_ms=over))))
    assert taken.cause is ReleaseCause.BUDGET_EXHAUSTED
    (gone,) = [released(c, taken, over) for c in told.claims]
    waits = seen(gone, spent=101.4, now_ms=over)

    made = plan(waits)

    assert refusal_of(made, gone).reason is PendingReason.EXCEEDS_BUDGET
    assert made.next_due_ms == DECEMBER
    (again,) = plan(replace(waits, now_ms=DECEMBER)).decisions
    assert isinstance(again, Reserve)
    assert again.until_ms == DECEMBER + 9 * 3_600_000 - NOTICE_MS


def test_a_promise_that_begins_when_it_is_spent_is_given_up():
    window = ahead("window", 2, 5, gpus=8, class_name="spot")
    promised = carried_out(window, reserve_of(plan(seen(window)), window))

    assert not ends(plan(seen(promised, spent=100)))
    assert ends(plan(seen(promised, spent=100, now_ms=at(2)))) == [
        Take(promised.metadata.uid, ReleaseCause.BUDGET_EXHAUSTED, at(2))
    ]


terms = st.lists(
    st.tuples(st.integers(1, 64), st.none() | st.integers(1, 300), st.sampled_from(["1", "2.35"])),
    max_size=6,
)


@settings(deadline=None)
@given(terms, st.integers(1, 2_000), st.integers(0, 100))
def test_spend_reaches_the_amount_then_and_not_a_millisecond_sooner(runs, amount, spent):
    claims = [
        sold(f"c{i}", WEST, gpus, until_ms=at(hours) if hours else None, price=price)
        for i, (gpus, hours, price) in enumerate(runs)
    ]
    each = payer(str(amount))
    (known,) = account(spent).values()
    assert each.spec.budget is not None
    spending = Spending(each.spec.budget, known, claims)

    def spent_by(at_ms: int) -> Fraction:
        ran = [
            Fraction(price) * gpus * (min(at_ms, at(hours) if hours else at_ms) - NOW)
            for gpus, hours, price in runs
        ]
        return spent + sum(ran, Fraction(0)) / MS_PER_HOUR

    found = spending.exhausted_ms(NOW)
    if found is None:
        assert spent_by(DECEMBER) < amount
    else:
        assert NOW <= found <= DECEMBER
        assert spent_by(found) >= amount
        assert found == NOW or spent_by(found - 1) < amount
