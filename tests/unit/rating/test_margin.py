"""Margins by lease, class and tenant: three sides of the same money."""

from collections import Counter
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, strategies as st

from sublet.api.rating import Rate
from sublet.api.times import MS_PER_HOUR, Millis
from sublet.book.bill import bill_at
from sublet.book.trade import Trade
from sublet.ledger.texts.rates import NoRate
from sublet.rating.margin import margins
from sublet.rating.model import Category, LeaseState
from sublet.rating.money import Exchange
from tests.builders.api import LONG_AGO, as_lease, lease
from tests.builders.wholesale import Scribe, at, charge, span

TEN, HALF, ELEVEN = "2026-11-22T10:00:00Z", "2026-11-22T10:30:00Z", "2026-11-22T11:00:00Z"
HOUR = span(TEN, ELEVEN)


def sold_hour():
    """Return an hour of 16 committed GPUs at 2 USD: acme has 8 for 3 USD, globex 4 for 5."""
    scribe = Scribe()
    prices = [{"effectiveTime": LONG_AGO, "perGpuHour": "2"}]
    west = scribe.lease("west", committed=16, prices=prices)
    scribe.capacity(west, LONG_AGO, 16)
    scribe.held("a", west, 8, TEN, ELEVEN)
    scribe.held("g", west, 4, TEN, ELEVEN, tenant="globex")
    scribe.reserved("a", "h100")
    scribe.reserved("g", "spot", tenant="globex")
    return scribe, [
        charge("a", west, TEN, ELEVEN, "24", gpus=8),
        charge("g", west, TEN, ELEVEN, "20", gpus=4, tenant="globex", class_name="spot"),
    ]


def usd(amount):
    return {"USD": Fraction(amount)}


def eur(amount):
    return {"EUR": Fraction(amount)}


def rows(found):
    return {row.uid: row for row in found}


def test_a_lease_earns_what_tenants_pay_less_all_that_its_landlord_is_owed():
    scribe, charges = sold_hour()
    (west,) = margins(scribe.books(), charges, HOUR, HOUR.to_ms).leases
    assert (west.revenue, west.cost, west.unsold) == (usd(44), usd(32), usd(8))
    assert west.margin == usd(12)
    assert (west.utilisation, west.coverage) == (Fraction(3, 4), Fraction(1))
    assert west.break_even == 2 / Fraction(44, 12)


def test_a_tenant_and_a_class_cost_what_their_gpu_time_did():
    scribe, charges = sold_hour()
    found = margins(scribe.books(), charges, HOUR, HOUR.to_ms)
    tenants, classes = rows(found.tenants), rows(found.classes)
    assert {uid: row.margin for uid, row in tenants.items()} == {
        "acme": usd(8),
        "globex": usd(12),
    }
    assert classes["spot"].margin == usd(12)
    assert classes["spot"].break_even == Fraction(2, 5)
    assert (tenants["acme"].utilisation, tenants["acme"].coverage) == (None, Fraction(1))


def test_gpus_beyond_the_commitment_are_shared_out_evenly():
    scribe = Scribe()
    price = {"effectiveTime": LONG_AGO, "perGpuHour": "2", "overagePerGpuHour": "5"}
    west = scribe.lease("west", committed=8, prices=[price])
    scribe.held("a", west, 8, TEN, ELEVEN)
    scribe.held("g", west, 8, HALF, ELEVEN, tenant="globex")
    tenants = rows(margins(scribe.books(), [], HOUR, HOUR.to_ms).tenants)
    assert tenants["acme"].cost == usd(8 + 14)
    assert tenants["globex"].cost == usd(14)
    assert (tenants["acme"].coverage, tenants["globex"].coverage) == (
        Fraction(3, 4),
        Fraction(1, 2),
    )


def test_an_adjustment_is_revenue_of_no_lease():
    scribe, charges = sold_hour()
    adjusted = charge(
        "", "", TEN, ELEVEN, "-4", category=Category.ADJUSTMENT, class_name="", tenant="acme"
    )
    found = margins(scribe.books(), [*charges, adjusted], HOUR, HOUR.to_ms)
    assert rows(found.leases)[""].margin == usd(-4)
    assert rows(found.tenants)["acme"].margin == usd(4)


def test_a_landlords_rounding_costs_the_lease_and_whose_use_it_was():
    scribe = Scribe()
    west = scribe.lease("west", mode="PayAsYouGo", billing={"roundUpToSeconds": 3_600})
    scribe.held("a", west, 8, TEN, HALF)
    found = margins(scribe.books(), [], HOUR, HOUR.to_ms)
    whole = usd(8 * Fraction("2.35"))
    assert [row.cost for row in (*found.leases, *found.tenants)] == [whole, whole]


def test_currencies_are_kept_apart_or_converted_at_the_rate_of_their_time():
    scribe, charges = sold_hour()
    scribe.rates(
        "EUR",
        {"currency": "USD", "effectiveTime": LONG_AGO, "rate": "0.5"},
        {"currency": "USD", "effectiveTime": HALF, "rate": "1"},
    )
    scribe.lease("east", committed=1, currency="EUR")
    books = scribe.books()
    kept = margins(books, charges, HOUR, HOUR.to_ms)
    assert [row.margin for row in kept.leases] == [eur(-Fraction("2.35")), usd(12)]
    converted = margins(books, charges, HOUR, HOUR.to_ms, Exchange.of(books))
    assert rows(converted.leases)["west"].cost == eur(16 * Fraction(1, 2) + 16)
    assert rows(converted.leases)["west"].revenue == eur(22)


def test_an_amount_without_a_rate_is_an_error_that_names_it():
    scribe, charges = sold_hour()
    scribe.rates("EUR")
    with pytest.raises(NoRate, match="no rate from USD to EUR at 2026-11-22T10:00:00Z"):
        margins(scribe.books(), charges, HOUR, HOUR.to_ms, Exchange.of(scribe.books()))


def test_a_lease_without_terms_has_no_margin_and_nor_has_who_used_it():
    scribe, charges = sold_hour()
    scribe.held("a2", "gone", 1, TEN, ELEVEN)
    found = margins(scribe.books(), charges, HOUR, HOUR.to_ms)
    assert rows(found.leases)["gone"].uncosted == MS_PER_HOUR
    assert rows(found.leases)["gone"].margin is None
    assert rows(found.tenants)["acme"].margin is None
    assert rows(found.tenants)["acme"].break_even is None
    assert rows(found.tenants)["globex"].margin == usd(12)


def test_what_nobody_has_seen_is_said():
    scribe = Scribe()
    scribe.lease("west", committed=2)
    (row,) = margins(scribe.books(), [], HOUR, HOUR.to_ms).leases
    assert row.unseen == row.quantity[LeaseState.UNUSED] == 2 * MS_PER_HOUR


prices = st.sampled_from(["0.5", "1.25", "2", "3.5"])


@given(
    st.integers(1, 40),
    st.integers(1, 40),
    st.sampled_from(["TakeOrPay", "PayAsYouGo"]),
    st.tuples(prices, st.none() | prices, st.none() | prices),
    prices,
)
def test_break_even_and_margin_are_those_of_the_book(committed, used, mode, bought, sell):
    own, holding, over = bought
    price = {"effectiveTime": LONG_AGO, "perGpuHour": own}
    price |= {"holdingPerGpuHour": holding} if holding is not None else {}
    price |= {"overagePerGpuHour": over} if over is not None else {}
    spec = {"committed": committed, "mode": mode, "prices": [price]}
    scribe = Scribe()
    west = scribe.lease("west", **spec)
    scribe.held("c", west, used, TEN, ELEVEN)
    amount = f"{used * Decimal(sell)}"
    charges = [charge("c", west, TEN, ELEVEN, amount, gpus=used)]

    (row,) = margins(scribe.books(), charges, HOUR, HOUR.to_ms).leases

    bill = bill_at(as_lease(lease("west", **spec)), committed, used, at(TEN))
    trade = Trade.of(Counter({Rate(Decimal(sell), "USD"): used}), {}, bill)
    assert row.margin == {"USD": Fraction(trade.margin)}
    assert row.break_even == trade.break_even


minutes = st.integers(0, 60)
held = st.lists(
    st.tuples(minutes, minutes, st.integers(1, 8), st.sampled_from(["acme", "globex"])), max_size=8
)


@given(held, minutes, st.sampled_from(["1.5", "4"]), st.integers(0, 20))
def test_tenants_and_classes_cost_what_leases_do_less_the_unsold(drawn, turns, over, committed):
    scribe = Scribe()
    west = scribe.lease(
        "west",
        committed=committed,
        prices=[
            {"effectiveTime": LONG_AGO, "perGpuHour": "2", "overagePerGpuHour": over},
            {"effectiveTime": HALF, "perGpuHour": "3"},
        ],
    )
    minute = MS_PER_HOUR // 60
    turn = Millis(HOUR.from_ms + turns * minute)
    scribe.rates(
        "EUR",
        {"currency": "USD", "effectiveTime": LONG_AGO, "rate": "0.9"},
        {"currency": "USD", "effectiveTime": turn, "rate": "0.8"},
    )
    for index, (begin, end, gpus, tenant) in enumerate(drawn):
        begins = HOUR.from_ms + min(begin, end) * minute
        ends = HOUR.from_ms + max(begin, end) * minute
        scribe.held(f"c{index}", west, gpus, begins, ends, tenant=tenant)
        scribe.reserved(f"c{index}", f"class-of-{tenant}", tenant=tenant)
    books = scribe.books()

    found = margins(books, [], HOUR, HOUR.to_ms, Exchange.of(books))

    (row,) = found.leases
    used = row.cost.get("EUR", 0) - row.unsold.get("EUR", 0)
    for side in (found.tenants, found.classes):
        assert sum(r.cost.get("EUR", 0) for r in side) == used
        for state in (LeaseState.USED, LeaseState.BEYOND):
            assert sum(r.quantity[state] for r in side) == row.quantity[state]
