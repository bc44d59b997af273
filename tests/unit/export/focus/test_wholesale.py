"""Cells as FOCUS rows: what was bought, what became of it, and that both cost the same."""

import json
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, strategies as st

from sublet.api.ids import LeaseUID
from sublet.api.times import MS_PER_HOUR
from sublet.export.focus import checks, sums
from sublet.export.focus.contracts import Profile, contract_commitments
from sublet.export.focus.wholesale import WholesaleRows
from sublet.rating.model import Cell, LeaseState
from tests.builders.charges import WEST, cells, hour, lease_terms, period

CAPACITY, DISCOUNT = Profile.CAPACITY_RESERVATION, Profile.COMMITMENT_DISCOUNT


def table(found, *, profile=CAPACITY, mode="TakeOrPay"):
    """Return the rows of the lease west."""
    return WholesaleRows(lease_terms(mode), period(), profile).table(found)


def by_state(found, **how):
    """Return rows by what they say of the lease's GPUs."""
    return {row["x_LeaseState"]: row for row in table(found, **how).to_pylist()}


def amounts(row, *names):
    """Return amounts as short texts."""
    return [None if row[n] is None else f"{row[n].normalize():f}" for n in names]


COSTS = ("PricingQuantity", "ConsumedQuantity", "ContractedCost", "BilledCost", "EffectiveCost")


def test_the_worked_hour_is_as_the_reference_has_it():
    rows = by_state(cells(used=40))
    assert amounts(rows["purchase"], *COSTS) == ["64", None, "134.4", "134.4", "0"]
    assert amounts(rows["used"], *COSTS) == ["40", "40", "84", "0", "84"]
    assert amounts(rows["unused"], *COSTS) == ["24", "0", "50.4", "0", "50.4"]


def test_a_reservation_is_used_or_unused_and_a_purchase_neither():
    rows = by_state(cells(used=40, down=4))
    said = {state: (row["CapacityReservationId"], row["CapacityReservationStatus"]) for state, row in rows.items()}  # fmt: skip
    assert said == {
        "purchase": (WEST, None),
        "used": (WEST, "Used"),
        "unused": (WEST, "Unused"),
        "unavailable": (WEST, "Unused"),
    }
    assert {row["CommitmentDiscountId"] for row in rows.values()} == {None}


def test_as_a_discount_what_is_unused_consumes_nothing_at_all():
    rows = by_state(cells(used=40), profile=DISCOUNT)
    said = {s: (r["CommitmentDiscountStatus"], r["PricingCategory"], *amounts(r, "ConsumedQuantity")) for s, r in rows.items()}  # fmt: skip
    assert said == {
        "purchase": (None, "Standard", None),
        "used": ("Used", "Committed", "40"),
        "unused": ("Unused", "Committed", None),
    }
    assert {row["CapacityReservationId"] for row in rows.values()} == {None}


def test_every_row_of_the_commitment_says_what_it_counts_against():
    rows = by_state(cells(used=40, beyond=8))
    applied = {s: json.loads(r["ContractApplied"])["Elements"] for s, r in rows.items() if r["ContractApplied"]}  # fmt: skip
    assert "beyond_commitment" not in applied
    [element] = applied["unused"]
    assert element == {
        "ContractId": "CW-77",
        "ContractCommitmentId": "CW-77/west-2026/ph1",
        "ContractCommitmentAppliedQuantity": 24.0,
        "ContractCommitmentAppliedUnit": "GPU-Hours",
    }


def test_what_is_used_beyond_the_commitment_is_billed_by_itself():
    row = by_state(cells(used=64, beyond=8))["beyond_commitment"]
    assert amounts(row, "BilledCost", "EffectiveCost") == ["16.8", "16.8"]
    assert row["CapacityReservationId"] is None


def test_where_only_use_is_paid_for_nothing_is_bought():
    rows = by_state(cells(used=40, holding="0"), mode="PayAsYouGo")
    assert "purchase" not in rows
    assert amounts(rows["used"], "BilledCost", "EffectiveCost") == ["84", "84"]
    assert amounts(rows["unused"], "BilledCost", "EffectiveCost") == ["0", "0"]


def test_a_holding_price_is_a_purchase_of_its_own():
    found = table(cells(used=40, holding="1.5")).to_pylist()
    bought = [amounts(r, "PricingQuantity", "ContractedUnitPrice", "BilledCost") for r in found if r["ChargeCategory"] == "Purchase"]  # fmt: skip
    assert sorted(bought) == [["24", "1.5", "36"], ["40", "2.1", "84"]]


@given(
    st.lists(
        st.tuples(
            st.integers(0, 64 * MS_PER_HOUR),
            st.integers(0, 64 * MS_PER_HOUR),
            st.integers(0, 64 * MS_PER_HOUR),
            st.decimals("0", "99", places=7),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_used_unused_and_unavailable_always_cost_what_was_billed(hours):
    states = (LeaseState.USED, LeaseState.UNUSED, LeaseState.UNAVAILABLE)
    found = [
        Cell(
            WEST,
            "ph1",
            state,
            hour(at),
            hour(at + 1),
            ms,
            price,
            "USD",
            Fraction(price) * ms / MS_PER_HOUR,
        )
        for at, (*parts, price) in enumerate(hours)
        for state, ms in zip(states, parts, strict=True)
        if ms
    ]
    made = table(found)
    assert list(sums.wholesale(made)) == []
    assert list(checks.rows(made)) == []
    rows = made.to_pylist()
    billed = sum((r["BilledCost"] for r in rows), Decimal(0))
    assert billed == sum((r["EffectiveCost"] for r in rows), Decimal(0))


@pytest.mark.parametrize(
    ("at", "statuses"),
    [(0, ["Active", "Pending"]), (15 * 24, ["Superseded", "Active"]), (400 * 24, ["Superseded", "Expired"])],
)  # fmt: skip
def test_phases_are_commitments_that_supersede_each_other(at, statuses):
    made = contract_commitments({WEST: lease_terms()}, hour(at), CAPACITY).to_pylist()
    assert [r["ContractCommitmentLifecycleStatus"] for r in made] == statuses
    assert [r["ContractCommitmentQuantity"] for r in made] == [64, 128]
    assert made[0]["ContractCommitmentPeriodEnd"] == made[1]["ContractCommitmentPeriodStart"]


def test_leases_of_one_contract_may_number_their_phases_alike():
    leases = {WEST: lease_terms(), LeaseUID("other"): lease_terms(name="other")}
    ids = contract_commitments(leases, hour(0), CAPACITY).column("ContractCommitmentId").to_pylist()
    assert len(set(ids)) == 4


def test_a_lease_without_an_end_has_one_far_away():
    terms = lease_terms(term={"startTime": "2026-08-01T00:00:00Z"})
    made = contract_commitments({WEST: terms}, hour(0), CAPACITY).to_pylist()
    assert made[-1]["ContractCommitmentPeriodEnd"].year == 9999
