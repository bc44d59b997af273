"""The margin report: three sides, what was owed back, and each day's GPUs."""

from fractions import Fraction

import pytest

from sublet.api.times import MS_PER_HOUR
from sublet.ledger.entry import EntryKind
from sublet.ledger.texts.rates import NoRate
from sublet.rating.model import LeaseState
from sublet.rating.report import report
from sublet.rating.reporting import reporting
from tests.builders.sold_month import END, START, sold_month
from tests.builders.wholesale import at, span

SEPTEMBER = span(START, END)


def named(lines):
    return {line.name: line for line in lines}


def shown(month, within=SEPTEMBER, as_of=END, currency=None):
    books = month.books()
    return report(books, within, at(as_of), reporting(books, currency), currency)


def test_the_price_at_which_a_lease_pays_for_itself_is_its_cost_over_what_was_sold():
    west = named(shown(sold_month()).leases)["west"]

    # 16 GPUs bought for 2 USD, 12 sold
    assert west.break_even_price == ("USD", Fraction(8, 3))
    assert west.sold_gpu_milliseconds == 12 * 720 * MS_PER_HOUR


def test_what_a_landlord_owes_stands_beside_what_tenants_were_credited():
    found = shown(sold_month())

    west, acme = named(found.leases)["west"], named(found.tenants)["acme"]
    assert (west.owed, west.credited) == ({"USD": 32}, {"USD": Fraction("63.84")})
    assert (acme.owed, acme.credited) == ({}, {"USD": Fraction("63.84")})
    assert named(found.tenants)["globex"].credited == {}


def test_an_incident_counts_in_the_span_in_which_it_ended():
    month = sold_month()
    eleven = "2026-09-10T11:00:00Z"
    before, after = shown(month, span(START, eleven)), shown(month, span(eleven, END))

    assert named(before.leases)["west"].owed == {}
    assert [x.incident.is_over for x in before.incidents] == [False]
    assert named(after.leases)["west"].owed == {"USD": 32}


def test_the_days_of_a_lease_add_up_to_its_commitment():
    east = shown(sold_month()).steps["east"]

    assert len(east) == 30
    assert {sum(step.quantity.values()) for step in east} == {8 * 24 * MS_PER_HOUR}
    assert [step.gpus(LeaseState.USED) for step in east] == [8] * 10 + [0] * 20


def test_a_long_span_is_shown_by_the_month():
    found = shown(sold_month(), span("2026-01-01T00:00:00Z", END))

    assert found.by_month
    assert len(found.steps["west"]) == 9


def test_nothing_is_said_of_what_is_to_come():
    found = shown(sold_month(), as_of="2026-09-03T12:00:00Z")

    assert [s.span.to_ms - s.span.from_ms for s in found.steps["west"]] == [
        24 * MS_PER_HOUR, 24 * MS_PER_HOUR, 12 * MS_PER_HOUR,
    ]  # fmt: skip
    assert found.as_of_ms == at("2026-09-03T12:00:00Z")


def test_in_one_currency_each_side_comes_to_the_same():
    found = shown(sold_month(with_rates=True), currency="EUR")

    sums = [sum(x.row.revenue["EUR"] for x in side) for side in (found.leases, found.classes, found.tenants)]  # fmt: skip
    assert sums == [Fraction("42070.56") / 2] * 3
    assert named(found.leases)["west"].owed == {"EUR": 16}


def test_any_currency_that_the_table_leads_to_may_be_asked_for():
    euros = named(shown(sold_month(with_rates=True), currency="EUR").leases)["east"]
    dollars = named(shown(sold_month(with_rates=True), currency="USD").leases)["east"]

    assert dollars.row.cost == {"USD": 2 * euros.row.cost["EUR"]}


def test_charges_are_cut_where_a_rate_changes_as_costs_are():
    month = sold_month()
    month.rates(
        "EUR",
        {"currency": "USD", "effectiveTime": "2026-01-01T00:00:00Z", "rate": "0.5"},
        {"currency": "USD", "effectiveTime": "2026-09-16T00:00:00Z", "rate": "1"},
    )
    globex = named(shown(month, currency="EUR").tenants)["globex"]

    # 4 GPUs at 3.99 USD, half of the month at each rate
    assert globex.row.revenue == {"EUR": 4 * 360 * Fraction("3.99") * Fraction(3, 2)}


@pytest.mark.parametrize(("with_rates", "currency"), [(False, "EUR"), (True, "GBP")])
def test_a_currency_that_no_rate_leads_to_is_an_error_that_names_it(with_rates, currency):
    with pytest.raises(NoRate, match=currency):
        shown(sold_month(with_rates=with_rates), currency=currency)


def test_credits_that_no_landlord_stands_behind_are_ours():
    month = sold_month()
    month.held(
        "move", "east", 8, "2026-09-02T00:00:00Z", "2026-09-02T01:00:00Z", kind=EntryKind.DOWNTIME
    )
    east = named(shown(month).leases)["east"]

    assert (east.owed, east.credited) == ({"EUR": 0}, {"USD": 8 * Fraction("3.99")})
