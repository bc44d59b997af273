"""Each fault that validators were seen to miss is caught, and a good file has none."""

from decimal import Decimal

import pyarrow as pa
import pytest

from sublet.api.times import MS_PER_HOUR, Millis, parse_instant
from sublet.export.focus import checks, sums
from sublet.export.focus.columns import TENANT, TYPES, WHOLESALE, Column
from sublet.export.focus.contracts import Profile, contract_commitments
from sublet.export.focus.periods import billing_periods
from sublet.export.focus.records import table as table_of
from sublet.export.focus.rows import TenantRows
from sublet.export.focus.wholesale import WholesaleRows
from sublet.ledger.entry import EntryKind, EntryType, Fact
from sublet.rating.books import Lined
from sublet.rating.calendar import Span
from tests.builders.charges import (
    ACME,
    END,
    START,
    WEST,
    account,
    books,
    cells,
    charge,
    everything,
    hour,
    lease_terms,
    period,
)


def tenant():
    """Return a tenant's rows and invoice lines."""
    made = TenantRows(books(), account())
    return made.table(everything()), made.lines.table()


def wholesale(**how):
    """Return the rows of four hours of a lease."""
    found = [*cells(0), *cells(1, used=60, down=4), *cells(2, used=64, beyond=8), *cells(3, holding="1.5")]  # fmt: skip
    return WholesaleRows(lease_terms(**how), period(), Profile.CAPACITY_RESERVATION).table(found)


def spoilt(table, row, **values):
    """Return a table with other values in one row."""
    columns = {}
    for field, column in zip(table.schema, table.columns, strict=True):
        found = column.to_pylist()
        kind = pa.string() if pa.types.is_dictionary(field.type) else field.type
        if field.name in values:
            found[row] = values[field.name]
        columns[field.name] = pa.array(found, kind)
    return pa.table(columns)


def without(table, row):
    """Return a table that lacks one row."""
    return pa.concat_tables([table.slice(0, row), table.slice(row + 1)]).combine_chunks()


def state_row(table, state):
    """Return the number of the first row of a state."""
    return table.column("x_LeaseState").to_pylist().index(state)


def test_good_files_have_no_fault():
    rows, lines = tenant()
    assert list(checks.rows(rows)) == []
    assert list(sums.invoice(rows, lines)) == []
    assert list(sums.overlaps(rows)) == []
    assert list(checks.rows(wholesale())) == []
    assert list(sums.wholesale(wholesale())) == []


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"ChargeCategory": "Refund"}, "ChargeCategory is 'Refund' on 1 rows"),
        ({"ChargeClass": "correction"}, "ChargeClass is 'correction'"),
        ({"ChargeFrequency": "Hourly"}, "ChargeFrequency is 'Hourly'"),
        ({"PricingUnit": "gpu-hours"}, "PricingUnit is 'gpu-hours'"),
        ({"ConsumedUnit": None}, "ConsumedQuantity and ConsumedUnit don't stand together"),
        ({"ContractedCost": Decimal("22.41")}, "ContractedCost is 22.41"),
        ({"ListCost": Decimal("24.00000000001")}, "ListCost is 24.00000000001"),
        ({"PricingQuantity": Decimal("8.1")}, "PricingQuantity is 8.1"),
        ({"BilledCost": Decimal(21)}, "BilledCost is 21.0"),
        ({"EffectiveCost": Decimal(0)}, "EffectiveCost is 0E-17"),
        ({"ChargePeriodEnd": hour(0)}, "ChargePeriod ends at"),
        ({"ChargePeriodEnd": Millis(END + 1)}, "stand in the period"),
    ],
)
def test_a_fault_in_a_row_is_said(values, said):
    rows, _ = tenant()
    at = rows.column("ResourceName").to_pylist().index("train")
    faults = list(checks.rows(spoilt(rows, at + 1, **values)))
    assert any(said in fault for fault in faults), faults


def test_a_purchase_that_costs_something_itself_is_said():
    rows = wholesale()
    made = spoilt(rows, state_row(rows, "purchase"), EffectiveCost=Decimal("134.4"))
    assert any("it lies in the usage that is covered" in f for f in checks.rows(made))


@pytest.mark.parametrize("state", ["used", "unused", "unavailable"])
def test_a_part_that_is_missing_breaks_both_sums(state):
    rows = wholesale()
    faults = list(sums.wholesale(without(rows, state_row(rows, state))))
    assert ["GPU-milliseconds, bought are" in faults[0], "was billed" in faults[1]] == [True, True]


def test_a_part_that_costs_a_hair_more_breaks_the_sum():
    rows = wholesale()
    at = state_row(rows, "unused")
    cost = rows.column("EffectiveCost")[at].as_py() + Decimal("1e-17")
    assert any("was billed" in f for f in sums.wholesale(spoilt(rows, at, EffectiveCost=cost)))


def test_a_part_that_is_billed_beside_its_purchase_is_said():
    rows = wholesale()
    faults = sums.wholesale(spoilt(rows, state_row(rows, "used"), BilledCost=Decimal(84)))
    assert any("billed beside its purchase" in f for f in faults)


def test_a_second_purchase_is_said():
    rows = wholesale()
    at = state_row(rows, "purchase")
    doubled = pa.concat_tables([rows, rows.slice(at, 1)])
    assert any("bought 2 times" in f for f in sums.wholesale(doubled))


def contracts(**fields):
    """Return the phases of west, the second of which begins in the middle of the month."""
    return contract_commitments({WEST: lease_terms(**fields)}, END, Profile.CAPACITY_RESERVATION)


def test_hours_that_are_left_out_of_a_phase_are_said():
    faults = list(sums.commitments(wholesale(), contracts(), hour(4)))
    assert faults == []
    [fault] = sums.commitments(wholesale(), contracts(), hour(5))
    assert "rows cover 14400000 ms of 18000000" in fault


def test_fewer_gpus_than_the_phase_commits_are_said():
    short = WholesaleRows(lease_terms(), period(), Profile.CAPACITY_RESERVATION)
    faults = list(sums.commitments(short.table(cells(committed=60)), contracts(), hour(1)))
    assert any("of 230400000 committed" in f for f in faults)


def test_an_invoice_line_that_is_not_what_its_rows_are_is_said():
    rows, lines = tenant()
    assert any("its rows are" in f for f in sums.invoice(without(rows, 5), lines))
    cheaper = spoilt(lines, 0, BilledCost=lines.column("BilledCost")[0].as_py() - Decimal("0.01"))
    assert any("is billed" in f for f in sums.invoice(rows, cheaper))


def test_rows_on_no_line_and_lines_without_rows_are_said():
    rows, lines = tenant()
    faults = list(sums.invoice(rows, without(lines, 0)))
    assert ["which Invoice Detail doesn't have" in f for f in faults] == [True]
    assert any("has no rows" in f for f in sums.invoice(rows.slice(0, 0), lines))
    assert any("stands twice" in f for f in sums.invoice(rows, pa.concat_tables([lines, lines])))


def test_a_claim_that_is_charged_twice_for_an_hour_is_said():
    made = TenantRows(books(), account())
    [fault] = sums.overlaps(made.table([charge(0), charge(0), charge(1)]))
    assert fault == "claim claim-uid-train is charged twice from 2026-09-01T00:00:00Z"


def test_a_period_that_billing_period_lacks_is_said():
    rows, _ = tenant()
    good = billing_periods([("Sublet GmbH", period())])
    assert list(sums.periods(rows, good)) == []
    assert list(sums.periods(rows, billing_periods([("Somebody", period())]))) != []


@pytest.mark.parametrize(
    ("second", "said"), [((END, END + 1), []), ((END + 5, END + 9), ["a gap"]), ((END - 5, END + 9), ["an overlap"])]
)  # fmt: skip
def test_periods_that_do_not_tile_are_said(second, said):
    found = sums.tiles([Span(START, END), Span(*map(Millis, second))])
    assert [f.split(" between")[0] for f in found] == said


def metered(*hours):
    """Return books in which the claim train held eight GPUs in some hours, one interval each."""
    found = books()
    for at in hours:
        for kind, instant in ((EntryType.OPEN, hour(at)), (EntryType.CLOSE, hour(at + 1))):
            fact = Fact("claim-uid-train", at, ACME, WEST, EntryKind.BOUND, kind, 8, instant, "", "", "1")  # fmt: skip
            ended = found._fold.take(fact)
            if ended:
                found.closed.append(Lined(ended, 1, 2))
    return found


@pytest.mark.parametrize(
    ("charged", "faults"), [((0, 1, 2), 0), ((0, 2), 1), ((0, 1, 1, 2), 1), ((0, 1, 2, 3), 1)]
)
def test_a_row_that_is_lost_or_added_is_not_what_the_ledger_says(charged, faults):
    rows = TenantRows(books(), account()).table([charge(at) for at in charged])
    found = list(sums.ledger(rows, metered(0, 1, 2), ACME, Span(START, END), END))
    assert len(found) == faults, found


def test_the_columns_of_a_table_are_those_that_are_published():
    rows, _ = tenant()
    assert rows.column_names == [c.name for c in TENANT]
    assert wholesale().column_names == [c.name for c in WHOLESALE]
    assert table_of([Column("x")], []).schema.field("x").type == TYPES[Column("x").kind]
    assert parse_instant("1970-01-01T01:00:00Z") == MS_PER_HOUR
