"""What a tenant owes: quantities exact, each kind of charge in its place, sums that no cut changes."""

from fractions import Fraction

import pytest

from sublet.api.times import MS_PER_HOUR
from sublet.ledger.entry import EntryKind
from sublet.rating.charges import charges
from sublet.rating.grid import Grid
from sublet.rating.model import Category
from tests.builders.billing import Journal
from tests.builders.wholesale import at, span

MONTH = span("2026-09-01T00:00:00Z", "2026-10-01T00:00:00Z")
LATER = at("2027-01-01T00:00:00Z")


def owed(journal: Journal, over=MONTH, *, grid: Grid = Grid.NONE, as_of: int = LATER):
    """Return acme's charges."""
    return charges(journal.tenancy(), over, grid, as_of)


def amounts(found) -> dict[str, Fraction]:
    """Return what is owed by category."""
    sums: dict[str, Fraction] = {}
    for each in found:
        sums[each.category.value] = sums.get(each.category.value, Fraction(0)) + each.amount
    return sums


@pytest.fixture
def journal() -> Journal:
    made = Journal()
    made.tenant()
    return made


def test_gpu_time_is_charged_to_the_millisecond_at_the_price_of_the_reservation(journal):
    journal.reserved("a")
    journal.held("a", "2026-09-01T00:00:00Z", "2026-09-01T00:00:00.001Z", gpus=8, price="3.60")

    (charge,) = owed(journal)

    assert (charge.gpu_milliseconds, charge.amount) == (8, 8 * Fraction("3.60") / MS_PER_HOUR)
    assert (charge.claim_name, charge.namespace, charge.class_name) == ("a", "acme", "h100")


def test_what_lasts_is_charged_until_it_is_looked_at_and_never_beyond_the_span(journal):
    journal.held("a", "2026-09-30T22:00:00Z", None, gpus=1, price="1")

    assert owed(journal, as_of=at("2026-09-30T23:00:00Z"))[0].amount == 1
    assert owed(journal)[0].amount == 2
    assert owed(journal, as_of=at("2026-09-30T22:00:00Z")) == []


def test_a_floating_price_follows_its_class_and_a_fixed_one_does_not(journal):
    journal.offer("h100", ("2.00", "2026-09-01T00:00:00Z"), ("5.00", "2026-09-02T00:00:00Z"))
    for name, floats in (("fixed", False), ("floats", True)):
        journal.reserved(name, floats=floats)
        journal.held(name, "2026-09-01T23:00:00Z", "2026-09-02T01:00:00Z", gpus=1, price="2.00")

    found = [(c.claim_name, c.list_price, c.amount) for c in owed(journal)]

    assert found == [("fixed", 2, 4), ("floats", 2, 2), ("floats", 5, 5)]


def test_a_discount_of_the_class_stands_instead_of_the_common_one_and_zero_ends_it(journal):
    journal.tenant(
        discounts=[
            {"effectiveTime": "2026-09-01T00:00:00Z", "percent": 10},
            {"effectiveTime": "2026-09-03T00:00:00Z", "className": "h100", "percent": 50},
            {"effectiveTime": "2026-09-04T00:00:00Z", "percent": 20},
            {"effectiveTime": "2026-09-05T00:00:00Z", "className": "h100", "percent": 0},
        ]
    )
    journal.reserved("a")
    journal.held("a", "2026-08-31T00:00:00Z", "2026-09-06T00:00:00Z", gpus=1, price="1")

    found = owed(journal, span("2026-08-31T00:00:00Z", "2026-09-06T00:00:00Z"), grid=Grid.DAY)

    assert [c.amount for c in found] == [24 * Fraction(p, 100) for p in (100, 90, 90, 50, 50, 100)]
    assert {c.list_amount for c in found} == {24}


def test_a_window_that_was_given_up_is_charged_at_its_part_and_never_floats(journal):
    journal.offer("h100", ("9.00", "2026-09-01T00:00:00Z"))
    journal.reserved("a", floats=True)
    journal.held(
        "a", "2026-09-02T00:00:00Z", "2026-09-02T02:00:00Z", gpus=1, price="0.50",
        kind=EntryKind.CANCELLED,
    )  # fmt: skip

    (charge,) = owed(journal)

    assert (charge.category, charge.amount) == (Category.CANCELLED, 1)


def test_a_run_is_rounded_once_over_moves_at_the_price_and_gpus_that_it_ended_with(journal):
    for sequence in (1, 2):
        journal.reserved("a", sequence=sequence, rounding={"roundUpToSeconds": 3600})
    journal.held("a", "2026-09-01T00:00:00Z", "2026-09-01T00:40:00Z", gpus=4, price="1")
    journal.held(
        "a", "2026-09-01T00:40:00Z", "2026-09-01T01:30:00Z", gpus=8, price="2", sequence=2,
        lease_uid="east",
    )  # fmt: skip

    found = owed(journal)

    (rounding,) = [c for c in found if c.category is Category.ROUNDING]
    assert (rounding.gpu_milliseconds, rounding.amount) == (8 * MS_PER_HOUR // 2, 8)
    assert (rounding.lease_uid, rounding.to_ms) == ("east", at("2026-09-01T01:30:00Z"))


def test_a_run_that_lasts_is_not_rounded_yet(journal):
    journal.reserved("a", rounding={"roundUpToSeconds": 3600, "minimumAmount": "100"})
    journal.held("a", "2026-09-01T00:00:00Z", None, gpus=1)

    assert {c.category for c in owed(journal)} == {Category.USE}


def test_a_minimum_of_time_comes_before_rounding_and_one_of_money_after_it(journal):
    journal.reserved(
        "a",
        rounding={"roundUpToSeconds": 3600, "minimumSeconds": 5400, "minimumAmount": "3"},
    )
    journal.held("a", "2026-09-01T00:00:00Z", "2026-09-01T01:00:00Z", gpus=1, price="1")

    found = [(c.category.value, c.amount, c.price) for c in owed(journal)]

    half = Fraction(1, 2)
    assert sorted(found) == [
        ("Minimum", half, 1), ("Minimum", 1, None), ("Rounding", half, 1), ("Use", 1, 1)
    ]  # fmt: skip


def test_a_minimum_of_money_counts_the_whole_run_also_what_lies_in_an_earlier_month(journal):
    journal.reserved("a", rounding={"minimumAmount": "30"})
    journal.held("a", "2026-08-31T00:00:00Z", "2026-09-01T01:00:00Z", gpus=1, price="1")

    assert amounts(owed(journal)) == {"Use": 1, "Minimum": 5}


def test_a_minimum_of_money_counts_nothing_that_is_priced_in_another_currency(journal):
    minimum = {"minimumAmount": "10"}
    journal.reserved("a", rounding=minimum)
    journal.held("a", "2026-09-01T00:00:00Z", "2026-09-01T08:00:00Z", gpus=1, price="1", currency="JPY")  # fmt: skip
    journal.reserved("a", sequence=2, rounding=minimum)
    journal.held("a", "2026-09-01T08:00:00Z", "2026-09-01T09:00:00Z", gpus=1, price="1", currency="EUR", sequence=2)  # fmt: skip

    (missing,) = [c for c in owed(journal) if c.category is Category.MINIMUM]
    assert (missing.amount, missing.currency) == (9, "EUR")


def test_a_months_cap_of_credits_is_kept_for_each_currency(journal):
    half = {"creditPercent": 100, "maxPercent": 50}
    for sequence, (day, currency) in enumerate((("01", "JPY"), ("02", "EUR")), 1):
        journal.reserved("a", sla=half, sequence=sequence)
        how = {"gpus": 1, "price": "1", "currency": currency, "sequence": sequence}
        journal.held("a", f"2026-09-{day}T00:00:00Z", f"2026-09-{day}T10:00:00Z", **how)
    journal.held("a", "2026-09-01T00:00:00Z", "2026-09-01T10:00:00Z", gpus=1, kind=EntryKind.DOWNTIME)  # fmt: skip

    (credit,) = [c for c in owed(journal) if c.category is Category.CREDIT]
    assert (credit.amount, credit.currency) == (-5, "JPY")


def test_downtime_longer_than_the_grace_is_credited_from_its_beginning_and_shorter_is_not(journal):
    journal.reserved("a", sla={"graceSeconds": 600, "creditPercent": 200})
    journal.begins("a", "2026-09-01T00:00:00Z", 8, price="1")
    for begin, end in (("01:00", "01:10"), ("02:00", "02:30")):
        journal.held(
            "a", f"2026-09-01T{begin}:00Z", f"2026-09-01T{end}:00Z", gpus=2, price="1",
            kind=EntryKind.DOWNTIME,
        )  # fmt: skip
    journal.ends("a", "2026-09-02T00:00:00Z")

    (credit,) = [c for c in owed(journal) if c.category is Category.CREDIT]

    assert (credit.amount, credit.gpu_milliseconds, credit.price) == (-2, 0, None)
    assert credit.from_ms == at("2026-09-01T02:00:00Z")


def test_touching_downtimes_are_one_incident_and_credits_stop_at_the_months_cap(journal):
    for lease_uid in ("west", "east"):
        journal.reserved("a", sla={"graceSeconds": 3599, "maxPercent": 1})
        journal.begins("a", "2026-09-01T00:00:00Z", 1, lease_uid, price="1")
    down = {"kind": EntryKind.DOWNTIME, "gpus": 1, "price": "1"}
    journal.held("a", "2026-09-01T01:00:00Z", "2026-09-01T01:30:00Z", lease_uid="west", **down)
    journal.held("a", "2026-09-01T01:30:00Z", "2026-09-01T02:00:00Z", lease_uid="east", **down)
    for lease_uid in ("west", "east"):
        journal.ends("a", "2026-09-02T00:00:00Z", lease_uid)

    found = [c for c in owed(journal) if c.category is Category.CREDIT]

    assert [c.lease_uid for c in found] == ["west"]
    assert sum(c.amount for c in found) == Fraction(-48, 100)


def test_downtime_over_the_end_of_a_month_is_credited_whole_in_the_next_one_within_it(journal):
    journal.reserved("a", sla={})
    journal.begins("a", "2026-08-01T00:00:00Z", 1, price="1")
    journal.held(
        "a", "2026-08-31T22:00:00Z", "2026-09-01T01:00:00Z", gpus=1, price="1",
        kind=EntryKind.DOWNTIME,
    )  # fmt: skip

    (credit,) = [c for c in owed(journal) if c.category is Category.CREDIT]

    assert (credit.amount, credit.from_ms) == (-3, MONTH.from_ms)


def test_downtime_that_lasts_or_of_gpus_that_the_claim_did_not_have_is_not_credited(journal):
    journal.reserved("a", sla={})
    journal.held("a", "2026-09-01T00:00:00Z", "2026-09-01T05:00:00Z", gpus=8, price="1")
    down = {"kind": EntryKind.DOWNTIME, "price": "1"}
    journal.held("a", "2026-09-01T04:00:00Z", "2026-09-01T09:00:00Z", gpus=16, **down)
    journal.reserved("b", sla={})
    journal.begins("b", "2026-09-01T00:00:00Z", price="1")
    journal.begins("b", "2026-09-01T04:00:00Z", kind=EntryKind.DOWNTIME)

    found = [(c.claim_name, c.amount) for c in owed(journal) if c.category is Category.CREDIT]

    assert found == [("a", -8)]


def test_an_adjustment_stands_in_the_month_that_it_is_about(journal):
    journal.adjusted("2026-09-10T00:00:00Z", "2026-09", "-12.34")
    journal.adjusted("2026-10-02T00:00:00Z", "2026-09", "7", number=2)
    journal.adjusted("2026-10-02T00:00:00Z", "2026-10", "1", number=3)

    found = owed(journal)

    assert [c.amount for c in found] == [Fraction("-12.34"), 7]
    assert found[1].from_ms == MONTH.to_ms - 1


def test_other_tenants_are_charged_for_nothing_of_it(journal):
    journal.tenant("globex")
    journal.held("g", "2026-09-01T00:00:00Z", None, tenant="globex")

    assert owed(journal) == []
