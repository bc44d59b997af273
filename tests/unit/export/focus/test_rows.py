"""Charges as FOCUS rows: the worked hour, each category, conversion, and what a tenant may not read."""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pyarrow as pa
import pytest

from sublet.api.ids import ClaimUID
from sublet.export.focus.account import CreditsAs, Seller
from sublet.export.focus.rows import TenantRows
from sublet.ledger.texts.rates import NoRate, Rates
from sublet.rating.minor_units import rounded
from sublet.rating.model import Category
from tests.builders.charges import (
    END,
    LANDLORD_WORDS,
    START,
    account,
    books,
    charge,
    everything,
    hour,
    money,
)


def rows(*charges, of=None, table=None):
    """Return rows as dictionaries."""
    return TenantRows(table or books(), of or account()).table(charges).to_pylist()


def test_the_worked_hour_is_as_the_reference_has_it():
    [row] = rows(charge())
    expected = {
        "BillingAccountId": "A-1",
        "ServiceProviderName": "Sublet GmbH",
        "HostProviderName": "Sublet GmbH",
        "InvoiceIssuerName": "Sublet GmbH",
        "ChargeCategory": "Usage",
        "ChargeClass": None,
        "ChargeFrequency": "Usage-Based",
        "PricingCategory": "Standard",
        "PricingUnit": "GPU-Hours",
        "PricingQuantity": Decimal(8),
        "ConsumedQuantity": Decimal(8),
        "ListUnitPrice": Decimal(3),
        "ListCost": Decimal(24),
        "ContractedUnitPrice": Decimal("2.8"),
        "ContractedCost": Decimal("22.4"),
        "BilledCost": Decimal("22.4"),
        "EffectiveCost": Decimal("22.4"),
        "ResourceId": "claim-uid-train",
        "SubAccountId": "team-a",
        "Tags": '{"project":"vision","team":"blue"}',
        "x_GpuMilliseconds": 28_800_000,
        "x_Lease": "pool-w",
    }
    assert {name: row[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("category", "consumed"),
    [(Category.USE, 1), (Category.ROUNDING, 0), (Category.MINIMUM, 0), (Category.CANCELLED, 0)],
)
def test_what_was_not_used_is_priced_and_not_consumed(category, consumed):
    [row] = rows(charge(gpus=1, category=category))
    assert (row["ChargeCategory"], row["PricingQuantity"]) == ("Usage", 1)
    assert row["ConsumedQuantity"] == consumed


@pytest.mark.parametrize("category", [Category.CREDIT, Category.ADJUSTMENT, Category.MINIMUM])
def test_money_alone_has_no_quantity_and_no_price(category):
    [row] = rows(money(category, "-11.2"))
    nothing = ("PricingQuantity", "PricingUnit", "PricingCategory", "ConsumedQuantity", "ListUnitPrice", "SkuPriceId")  # fmt: skip
    assert [row[name] for name in nothing] == [None] * len(nothing)
    assert (row["ChargeCategory"], row["ChargeFrequency"]) == ("Adjustment", "One-Time")
    assert row["BilledCost"] == row["EffectiveCost"] == row["ListCost"] == Decimal("-11.2")


def test_a_credit_can_be_shown_as_one():
    seller = Seller("Sublet GmbH", credits_as=CreditsAs.CREDIT)
    [row] = rows(money(Category.CREDIT, "-1"), of=account(seller=seller))
    assert row["ChargeCategory"] == "Credit"


def test_a_correction_stands_in_this_period_for_its_own_time():
    earlier = {"from_ms": hour(-1), "to_ms": hour(0), "corrects": "2026-08"}
    [row] = rows(charge(**earlier))
    assert (row["ChargeClass"], row["x_CorrectedPeriod"]) == ("Correction", "2026-08")
    assert row["ChargePeriodStart"] < row["BillingPeriodStart"]


def test_adjustments_of_one_instant_each_keep_a_reason_and_a_length():
    ended = {"to_ms": hour(0), "claim_uid": ClaimUID("")}
    found = rows(*(money(Category.ADJUSTMENT, "1", first_seq=seq, **ended) for seq in (3, 4)))
    assert len(found) == 2
    assert all(row["ChargePeriodStart"] < row["ChargePeriodEnd"] for row in found)


def test_adjustments_side_by_side_each_keep_their_currency_and_namespace():
    own = {"to_ms": hour(0), "claim_uid": ClaimUID("")}
    dollars = money(Category.ADJUSTMENT, "1", first_seq=3, **own)
    euros = money(
        Category.ADJUSTMENT, "100", first_seq=4, currency="EUR", namespace="team-b", **own
    )
    made = TenantRows(books(), account())

    found = made.table([dollars, euros]).to_pylist()

    said = ("BillingCurrency", "PricingCurrency", "SubAccountId")
    assert [tuple(row[name] for name in said) for row in found] == [
        ("USD", "USD", "team-a"),
        ("EUR", "EUR", "team-b"),
    ]
    assert made.lines.payable == {"EUR": Decimal(100), "USD": Decimal(1)}


def test_an_amount_that_does_not_divide_is_kept_to_seventeen_places():
    [row] = rows(charge(gpu_milliseconds=1, price=Fraction(1, 3)))
    assert row["BilledCost"] == Decimal("9.259259259E-8").quantize(Decimal("1e-17"))


def test_rows_come_by_claim_and_time_whatever_their_order_was():
    charges = everything()
    assert rows(*charges) == rows(*reversed(charges))


def test_prices_in_another_currency_are_converted_by_the_rate_of_the_hour():
    table = Rates.model_validate(
        {
            "reportingCurrency": "USD",
            "rates": [
                {"currency": "EUR", "effectiveTime": "2026-01-01T00:00:00Z", "rate": "1.25"},
                {"currency": "EUR", "effectiveTime": "2026-09-01T01:00:00Z", "rate": "1"},
            ],
        }
    )
    first, second = rows(charge(0), charge(1), of=account(currency="EUR"), table=books(rates=table))
    assert (first["BillingCurrency"], first["PricingCurrency"]) == ("EUR", "USD")
    assert (first["BilledCost"], second["BilledCost"]) == (Decimal("17.92"), Decimal("22.4"))
    assert first["PricingCurrencyEffectiveCost"] == Decimal("22.4")
    assert (first["ContractedUnitPrice"], first["ListUnitPrice"]) == (Decimal("2.24"), Decimal("2.4"))  # fmt: skip


def test_a_currency_without_a_rate_is_an_error_that_says_so():
    with pytest.raises(NoRate, match="acme is billed in EUR and priced in USD"):
        rows(charge(), of=account(currency="EUR"))


def words(table):
    """Return all texts of a table."""
    return {str(v) for column in table.columns for v in column.to_pylist() if v is not None}


def test_no_landlord_is_named_in_a_tenants_rows():
    made = TenantRows(books(), account())
    said = words(made.table(everything())) | words(made.lines.table())
    assert [w for w in LANDLORD_WORDS if any(w.lower() in text.lower() for text in said)] == []


def test_the_host_alone_is_named_where_the_account_shows_it():
    made = TenantRows(books(), account(shows_host=True))
    said = words(made.table(everything()))
    assert [w for w in LANDLORD_WORDS if any(w in text for text in said)] == ["Nebulosa", "DataHall"]  # fmt: skip


def test_invoice_lines_are_rounded_once_from_exact_sums():
    third = Fraction(1, 3)
    amounts = [charge(at, gpus=1, price=third * Fraction("0.005"), of=f"c{at}") for at in range(3)]
    made = TenantRows(books(), account())
    made.table(amounts)
    [total] = made.lines.totals.values()
    assert total == Fraction("0.005")
    assert made.lines.payable == {"USD": rounded(Fraction("0.005"), "USD")} == {"USD": Decimal("0.00")}  # fmt: skip


def test_an_invoice_line_has_the_same_id_whatever_else_is_billed():
    def ids(charges):
        made = TenantRows(books(), account())
        made.table(charges)
        return set(made.lines.table().column("InvoiceDetailId").to_pylist())

    assert ids([charge()]) < ids(everything())


def test_tenants_of_one_account_share_no_invoice_and_no_line_of_one():
    def invoiced(name):
        acme = account()
        made = TenantRows(
            books(), replace(acme, terms=acme.terms.model_copy(update={"name": name}))
        )
        made.table(everything())
        lines = made.lines.table().to_pylist()
        return {line[n] for line in lines for n in ("InvoiceId", "InvoiceDetailId")}

    assert not invoiced("acme") & invoiced("acme-research")


def test_a_correction_refers_to_the_invoice_as_it_was_called_then_whatever_the_account_is_now():
    acme = account()
    then = replace(acme, period=replace(acme.period, month="2026-08"))
    now = replace(acme, terms=acme.terms.model_copy(update={"billing_account_id": "A-2"}))
    made = TenantRows(books(), now)
    made.table([replace(charge(), corrects="2026-08")])
    [line] = made.lines.table().to_pylist()
    assert line["ReferenceInvoiceId"] == then.invoice_id()


def test_no_charges_give_the_columns_and_no_rows():
    made = TenantRows(books(), account())
    table = made.table([])
    assert isinstance(table, pa.Table)
    assert (table.num_rows, made.lines.table().num_rows) == (0, 0)


def test_rows_lie_in_the_period_of_the_account():
    [row] = rows(replace(charge(), from_ms=START, to_ms=END))
    assert (row["ChargePeriodStart"], row["ChargePeriodEnd"]) == (row["BillingPeriodStart"], row["BillingPeriodEnd"])  # fmt: skip


def test_claims_that_share_an_offer_each_keep_their_own_names():
    found = rows(*(charge(at, of=claim) for claim in ("a", "b") for at in range(2)), money(Category.CREDIT, "-1", claim_uid=ClaimUID(""), claim_name=""))  # fmt: skip
    said = ("ResourceId", "ResourceName", "ResourceType")
    assert [tuple(row[name] for name in said) for row in found] == [
        (None, None, None),
        *[("claim-uid-a", "a", "GpuClaim")] * 2,
        *[("claim-uid-b", "b", "GpuClaim")] * 2,
    ]


def test_a_rate_that_changes_within_a_run_converts_each_row_by_its_own():
    changes = {1: "1.25", 2: "1", 4: "2"}
    given = [("2026-01-01T00:00:00Z", "1")]
    given += [(f"2026-09-01T0{at}:00:00Z", rate) for at, rate in changes.items()]
    table = Rates.model_validate(
        {
            "reportingCurrency": "USD",
            "rates": [
                {"currency": "EUR", "effectiveTime": since, "rate": rate} for since, rate in given
            ],
        }
    )
    made = TenantRows(books(rates=table), account(currency="EUR"))

    found = made.table([charge(at) for at in range(5)]).to_pylist()

    euros = [Decimal("22.4") / Decimal(rate) for rate in ("1", "1.25", "1", "1", "2")]
    assert [row["BilledCost"] for row in found] == euros
    assert {row["PricingCurrencyEffectiveCost"] for row in found} == {Decimal("22.4")}
    assert made.lines.payable == {"EUR": sum(euros)}
