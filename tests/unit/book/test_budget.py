"""Who is refused for money, and what the refusal says; how far an extension goes."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings, strategies as st

from sublet.api.common import LONGEST_SECONDS
from sublet.api.pending import OfferKind, PendingReason
from sublet.api.relocation import ReleaseCause
from sublet.api.times import MS_PER_HOUR, Millis, format_instant
from sublet.book.account import Charge, Metered
from sublet.book.decisions import Extend, Refuse, Reserve
from sublet.book.plan import plan
from tests.builders.api import NOW, as_claim, as_class, as_lease, claim, gpu_class, lease
from tests.builders.fleet import after, carried_out, inventory, nodes, refusal_of, reserve_of, view
from tests.builders.money import CLASSES, DECEMBER, account, payer
from tests.builders.windows import ahead, at

HOUR = MS_PER_HOUR
WEST = as_lease(lease("west", committed=64))


def lasting(name: str, hours: float | None, gpus: int = 8, class_name: str = "h100", **spec):
    schedule = {"durationSeconds": int(hours * 3600)} if hours is not None else {}
    return as_claim(claim(name, gpus=gpus, class_name=class_name, schedule=schedule, **spec))


def fleet(count: int):
    return [(WEST, inventory(WEST, nodes(WEST, count)))]


def seen(*claims, spent: float | None = 0, who=None, count: int = 4, **fields):
    tenant = who or payer()
    known = account(spent, of=tenant) if spent is not None else {}
    fields = {"accounts": known, "classes": CLASSES} | fields
    return view(claims, fleet(count), tenants=(tenant,), **fields)


def running(name: str, hours: float | None, **fields):
    """Return a claim with the nodes that the book gives it."""
    asks = lasting(name, hours)
    return carried_out(asks, reserve_of(plan(seen(asks, **fields)), asks))


def served(made) -> set[str]:
    return {d.claim_uid for d in made.decisions if isinstance(d, Reserve)}


def test_what_a_claim_costs_in_the_period_must_be_left():
    fits, exceeds = lasting("fits", 5), lasting("exceeds", 5.001)

    assert reserve_of(plan(seen(fits, spent=60)), fits)
    assert refusal_of(plan(seen(exceeds, spent=60)), exceeds).reason is PendingReason.EXCEEDS_BUDGET


def test_a_refusal_says_what_it_costs_what_is_left_and_how_long_that_is_enough_for():
    asks = lasting("asks", 10)

    refused = refusal_of(plan(seen(asks, spent=60)), asks)

    assert refused.message == (
        "costs 8 USD an hour for 8 GPUs; of the tenant's budget of 100 USD for the month from 2026-11-01T00:00:00Z "
        "40.00 are neither spent nor needed by its other claims, enough for 18000 seconds; ask for a shorter "
        "schedule.durationSeconds, wait until 2026-12-01T00:00:00Z, or ask for a larger budget"
    )
    (offer,) = refused.offers
    assert (offer.change, offer.duration_seconds) == (OfferKind.SHORTER, 18_000)


def test_what_is_offered_binds():
    asks = lasting("asks", None)
    (offer,) = refusal_of(plan(seen(asks, spent=60)), asks).offers

    shorter = lasting("asks", (offer.duration_seconds or 0) / 3600)

    assert reserve_of(plan(seen(shorter, spent=60)), shorter)


def test_no_shorter_claim_is_offered_that_would_find_no_place():
    runs = running("runs", 20, who=payer("200"))

    refused = refusal_of(
        plan(seen(runs, asks := lasting("asks", 10), who=payer("200"), count=1)), asks
    )

    assert (refused.reason, refused.offers) == (PendingReason.EXCEEDS_BUDGET, ())


def test_an_offer_goes_when_its_end_would_outlive_the_lease():
    ends = as_lease(lease("west", committed=64, end=format_instant(at(5.5))))
    asks = lasting("asks", 10)
    first = replace(seen(asks, spent=60), leases=(ends,))

    made = plan(first)

    assert refusal_of(made, asks).offers
    assert made.next_due_ms == at(0.5) + 1
    assert refusal_of(plan(replace(first, now_ms=made.next_due_ms)), asks).offers == ()


def test_an_offer_is_never_longer_than_a_claim_may_be():
    cheap = (as_class(gpu_class(price="0.000001")),)

    made = plan(seen(asks := lasting("asks", None), classes=cheap, who=payer(period="Total")))

    (offer,) = refusal_of(made, asks).offers
    assert offer.duration_seconds == LONGEST_SECONDS


def test_what_runs_and_what_is_promised_counts_to_its_end_or_to_the_periods():
    runs, window = lasting("runs", 5), ahead("window", 2, 5, gpus=8)
    first = seen(runs, window)
    made = plan(first)
    held = [carried_out(c, reserve_of(made, c)) for c in (runs, window)]

    fits, exceeds = lasting("fits", 2.5), lasting("exceeds", 2.6)

    assert reserve_of(plan(seen(*held, fits)), fits)
    assert refusal_of(plan(seen(*held, exceeds)), exceeds)


def test_claims_of_one_pass_share_what_is_left():
    made = plan(seen(lasting("a", 8), lasting("b", 8)))

    assert len(served(made)) == 1
    assert len([d for d in made.decisions if isinstance(d, Refuse)]) == 1


def test_an_open_ended_claim_costs_to_the_periods_end_and_fits_once_that_is_near():
    asks = lasting("asks", None)
    made = plan(seen(asks))
    due = made.next_due_ms

    assert refusal_of(made, asks)
    assert due == DECEMBER - int(12.5 * HOUR)
    early = replace(seen(asks), now_ms=Millis(due - 1))
    assert refusal_of(plan(early), asks) == refusal_of(made, asks)
    assert reserve_of(plan(replace(early, now_ms=due)), asks)


def test_another_period_has_its_own_money():
    hours = (DECEMBER - NOW) // HOUR
    window = ahead("window", hours, 12, gpus=8)

    assert reserve_of(plan(seen(window, spent=100)), window)
    later = replace(seen(lasting("asks", 12), spent=100), now_ms=DECEMBER)
    assert served(plan(later))


def test_what_was_spent_before_a_new_period_doesnt_count_in_it_but_what_runs_does():
    held = running("runs", 206 + 12, who=payer("10000"))

    asks = lasting("asks", 1)
    made = plan(replace(seen(held, asks, spent=90), now_ms=DECEMBER))

    assert refusal_of(made, asks).message.split("enough for ")[1].startswith("1800 seconds")


def test_what_was_given_up_is_spent_in_the_months_of_its_time():
    hours = (DECEMBER - NOW) // HOUR
    (uid, known), *_ = account(0).items()
    charges = (
        Charge(Millis(known.since_ms), Metered(Decimal("0.5"), "USD", 80 * HOUR)),
        Charge(DECEMBER, Metered(Decimal(1), "USD", 60 * HOUR)),
    )
    money = {"accounts": {uid: replace(known, charges=charges)}}
    fits, exceeds = lasting("a", 7.5), lasting("b", 7.6)
    later, too_much = ahead("c", hours, 5, gpus=8), ahead("d", hours, 5.1, gpus=8)

    assert [bool(served(plan(seen(c, **money)))) for c in (fits, exceeds, later, too_much)] == [
        True,
        False,
        True,
        False,
    ]


def test_a_budget_for_all_time_takes_no_claim_without_an_end():
    who = payer(period="Total")
    endless, ends = lasting("endless", None), lasting("ends", 12)

    assert refusal_of(plan(seen(endless, who=who)), endless)
    assert reserve_of(plan(seen(ends, who=who)), ends)


def test_spend_that_isnt_known_holds_new_claims_and_says_so():
    asks = lasting("asks", 1)

    refused = refusal_of(plan(seen(asks, spent=None)), asks)

    assert refused.reason is PendingReason.EXCEEDS_BUDGET
    assert "isn't known" in refused.message


def test_an_account_of_another_period_is_no_account():
    asks, yearly = lasting("asks", 1), payer(period="Quarter")

    made = plan(seen(asks, who=yearly, accounts=account(0, of=payer())))

    assert "isn't known" in refusal_of(made, asks).message


def test_another_currency_is_said_and_never_compared():
    asks = lasting("asks", 1, class_name="euro")

    refused = refusal_of(plan(seen(asks)), asks)

    assert refused.reason is PendingReason.MISCONFIGURED
    assert "priced in EUR, and the tenant's budget is in USD" in refused.message


def test_what_costs_nothing_is_served_without_money():
    assert served(plan(seen(lasting("asks", 1, class_name="free"), spent=100)))


def extended(hours: float, wants: float):
    """Return a running claim that now asks for another duration."""
    return lasting("runs", wants).model_copy(update={"status": running("runs", hours).status})


@pytest.mark.parametrize(
    ("spent", "hours", "cause"),
    [
        (68, 4, ReleaseCause.COMPLETED),
        (80, 2.5, ReleaseCause.BUDGET_EXHAUSTED),
        (100, 1, ReleaseCause.BUDGET_EXHAUSTED),
    ],
)
def test_an_extension_is_granted_as_far_as_the_money_goes(spent, hours, cause):
    asks = extended(1, wants=4)

    assert plan(seen(asks, spent=spent)).decisions == (Extend(asks.metadata.uid, at(hours), cause),)


def test_an_extension_on_unknown_spend_waits():
    assert plan(seen(extended(1, wants=4), spent=None)).decisions == ()


def test_the_rest_of_an_extension_comes_with_the_money():
    poor = seen(extended(1, wants=4), spent=100)
    told = after(poor, plan(poor))

    assert [d for d in plan(told).decisions if isinstance(d, Extend)] == []
    rich = replace(told, tenants=(payer("200"),))
    (moved,) = [d for d in plan(rich).decisions if isinstance(d, Extend)]
    assert (moved.until_ms, moved.until_cause) == (at(4), ReleaseCause.COMPLETED)


def test_who_asks_for_no_extension_any_more_ends_for_good():
    poor = seen(extended(1, wants=4), spent=100)
    (told,) = after(poor, plan(poor)).claims
    content = lasting("runs", 1).model_copy(update={"status": told.status})

    (moved,) = [d for d in plan(seen(content, spent=100)).decisions if isinstance(d, Extend)]
    assert (moved.until_ms, moved.until_cause) == (at(1), ReleaseCause.COMPLETED)


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([1, 2, 4, 8, 16]), st.none() | st.integers(1, 300), st.integers(0, 230)
        ),
        min_size=1,
        max_size=8,
    ),
    st.integers(0, 100),
)
def test_no_pass_promises_more_than_is_left(asked, spent: int):
    claims = [
        ahead(f"c{i}", start, hours, gpus=gpus) if start % 3 else lasting(f"c{i}", hours, gpus)
        for i, (gpus, hours, start) in enumerate(asked)
    ]
    first = seen(*claims, spent=spent, who=payer("900"))
    by_uid = {c.metadata.uid: c for c in claims}

    needed = 0.0
    for given_ in plan(first).decisions:
        if isinstance(given_, Reserve):
            begin = by_uid[given_.claim_uid].spec.schedule.start_time or NOW
            end = min(given_.until_ms or DECEMBER, DECEMBER)
            gpus = sum(p.gpus for p in given_.placements or given_.bookings)
            needed += gpus * max(0, end - begin) / HOUR
    assert spent + needed <= 900 + 1e-6
