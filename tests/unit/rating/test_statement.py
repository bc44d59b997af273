"""Lines are rounded once, and whatever they are split into adds up to them."""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, strategies as st

from sublet.ledger.texts.rates import NoRate, Rates
from sublet.ledger.texts.tenant import TenantTerms
from sublet.rating.minor_units import apportioned, rounded
from sublet.rating.model import Category
from sublet.rating.statement import by_namespace, statement
from tests.builders.wholesale import charge

DAY = ("2026-09-01T00:00:00Z", "2026-09-02T00:00:00Z")


def of(amount: str, *, namespace: str = "acme", tags: str = "", **how):
    made = charge("a", "west", *DAY, amount, **how)
    return replace(made, namespace=namespace, tags_hash=tags)


def terms(currency: str | None = None) -> TenantTerms:
    return TenantTerms.model_validate(
        {
            "kind": "tenant",
            "name": "acme",
            "namespaces": ["blue", "red"],
            "billingAccountId": "A-1",
            "billing": {"currency": currency} if currency else {},
        }
    )


def test_a_line_is_rounded_once_half_to_even_whatever_its_charges_come_to():
    made = statement([of("0.001")] * 5 + [of("0.0199")], terms(), None)

    assert [line.amount for line in made.lines] == [Decimal("0.02")]
    assert made.totals == {"USD": Decimal("0.02")}


def test_two_currencies_are_never_added():
    made = statement([of("1"), of("1", currency="EUR")], terms(), None)

    assert made.totals == {"EUR": Decimal("1.00"), "USD": Decimal("1.00")}


def test_a_tenant_with_a_currency_is_billed_in_it_by_the_rate_at_each_charges_beginning():
    table = Rates.model_validate(
        {
            "kind": "rates",
            "reportingCurrency": "USD",
            "rates": [{"currency": "EUR", "effectiveTime": DAY[0], "rate": "1.25"}],
        }
    )
    made = statement([of("1"), of("1", currency="EUR")], terms("EUR"), table)

    assert made.totals == {"EUR": Decimal("1.80")}


@pytest.mark.parametrize("table", [None, Rates(reporting_currency="EUR")])
def test_without_a_rate_there_is_no_statement(table):
    with pytest.raises(NoRate, match="USD"):
        statement([of("1")], terms("EUR"), table)


def test_what_is_money_alone_stands_apart_from_what_is_priced():
    priced = replace(of("1", category=Category.MINIMUM), price=Fraction(1))

    made = statement([of("1", category=Category.MINIMUM), priced], terms(), None)

    assert [line.key.is_priced for line in made.lines] == [False, True]


def test_what_belongs_to_no_namespace_is_shared_out_by_what_each_owes():
    common = of("-0.10", namespace="", category=Category.ADJUSTMENT)
    made = statement([of("2", namespace="blue"), of("1", namespace="red"), common], terms(), None)

    split = by_namespace(made, ["blue", "red"])

    assert {name: each.totals["USD"] for name, each in split.items()} == {
        "blue": Decimal("1.93"), "red": Decimal("0.97"),
    }  # fmt: skip


def test_without_anything_owed_it_is_shared_out_alike_and_every_namespace_has_a_statement():
    made = statement([of("0.01", namespace="", category=Category.ADJUSTMENT)], terms(), None)

    split = by_namespace(made, ["red", "blue", "green"])

    assert [each.totals["USD"] for each in split.values()] == [
        Decimal("0.01"), Decimal("0.00"), Decimal("0.00"),
    ]  # fmt: skip


EXACT = st.fractions(min_value=-1_000, max_value=1_000, max_denominator=10**7)


@given(st.lists(EXACT, min_size=1, max_size=12), st.sampled_from(["USD", "JPY", "KWD"]))
def test_parts_add_up_to_the_rounded_whole_and_each_is_off_by_less_than_two_units(parts, currency):
    whole = rounded(sum(parts, Fraction(0)), currency)

    found = apportioned(whole, parts, currency)

    unit = Fraction(1, {"USD": 100, "JPY": 1, "KWD": 1_000}[currency])
    assert sum(found) == whole
    assert all(abs(Fraction(f) - p) <= unit for f, p in zip(found, parts, strict=True))


@given(
    st.lists(
        st.tuples(EXACT, st.sampled_from(["blue", "red", ""]), st.sampled_from(["", "x", "y"])),
        max_size=20,
    )
)
def test_namespaces_and_tags_add_up_to_the_invoice(given_):
    charges = [
        of(str(amount), namespace=ns, tags=tags, category=Category.ADJUSTMENT)
        for amount, ns, tags in given_
    ]
    made = statement(charges, terms(), None)

    split = by_namespace(made, ["blue", "red"])

    total = made.totals.get("USD", Decimal(0))
    assert sum(each.totals.get("USD", Decimal(0)) for each in split.values()) == total
    assert all(sum(p.amount for p in line.parts) == line.amount for line in made.lines)
