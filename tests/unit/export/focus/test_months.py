"""What goes into a month's files: open ones by the ledger as it is, closed ones as they were billed, for ever."""

from decimal import Decimal
from fractions import Fraction

import pyarrow.parquet as pq
import pytest

from sublet.api.billing import Discount
from sublet.api.ids import LeaseUID
from sublet.export.focus.account import Account, Seller
from sublet.export.focus.audit import audit
from sublet.export.focus.batch import Failed, Months, Side, Style
from sublet.export.focus.manifest import Manifest
from sublet.export.focus.months import NoAccount, tenant_month
from sublet.export.focus.rows import TenantRows
from sublet.export.focus.run import Layout
from sublet.export.sink.directory import Directory
from sublet.ledger.entry import Entry, EntryKind
from sublet.rating.charges import charges
from sublet.rating.grid import Grid
from sublet.rating.periods import NoSuchPeriod
from sublet.rating.supply import supplies_of
from sublet.rating.tenancy import tenancies_of
from sublet.rating.uses import extras
from sublet.rating.wholesale import cells
from tests.builders.billing import ACME, Journal
from tests.builders.closing import LATER, close
from tests.builders.sold_month import END, START, sold_month
from tests.builders.wholesale import span

HALF = Discount.model_validate({"effectiveTime": "2026-09-11T00:00:00Z", "percent": "50"})


def month_of(books, tenant="acme", month="2026-09", grid=Grid.HOUR, as_of=LATER):
    return tenant_month(books, tenancies_of(books)[tenant], month, grid, as_of)


def late_downtime(books):
    """Write that globex's GPUs were down for an hour of September, which nobody knew before."""
    month = sold_month()
    month.held("infer", "west", 4, "2026-09-20T00:00:00Z", "2026-09-20T01:00:00Z", kind=EntryKind.DOWNTIME, tenant="globex")  # fmt: skip
    for fact in month.facts[-2:]:
        books.take(Entry(books.seq + 1, fact, books.head))
    return books


def total(given):
    return sum((c.amount for c in given), Fraction(0))


@pytest.mark.parametrize("grid", Grid)
def test_charges_in_parts_are_those_of_the_whole_in_their_order(grid):
    month = sold_month()
    for number in range(150):
        month.held(f"small-{number:03d}", "west", 1, "2026-09-03T00:00:00Z", "2026-09-03T02:30:00Z")
    books = month.books()

    whole = charges(tenancies_of(books)["acme"], span(START, END), grid, LATER)
    assert list(month_of(books, grid=grid).charges) == whole


def test_a_closed_month_is_cut_finely_and_comes_to_what_was_billed():
    books = sold_month().books()
    before = list(month_of(books).charges)

    found = month_of(close(books))
    assert found.period.is_closed
    assert list(found.charges) == before


def test_a_closed_month_names_the_line_that_it_was_closed_with():
    books = sold_month().books()
    seq, head = books.seq, books.head

    found = month_of(close(books))
    assert (found.books.seq, found.books.head) == (seq, head)


def test_what_is_known_later_changes_no_closed_month_and_stands_in_the_next_one():
    books = close(sold_month().books(), "globex")
    billed = total(month_of(books, "globex").charges)

    late_downtime(books)
    assert total(month_of(books, "globex").charges) == billed
    october = list(month_of(books, "globex", "2026-10").charges)
    assert [(c.corrects, c.amount) for c in october] == [("2026-09", -4 * Fraction("3.99"))]


def test_what_comes_to_something_else_by_now_stands_as_it_was_billed_and_uncut():
    month = sold_month()
    month.tenant("cheap")
    month.held("some", "west", 2, START, END, tenant="cheap")
    books = close(month.books(), "cheap")
    ((billed),) = month_of(books, "cheap", grid=Grid.NONE).charges

    text = books.tenants["cheap"].model_copy(update={"discounts": (HALF,)})
    books.tenants["cheap"] = text
    assert list(month_of(books, "cheap").charges) == [billed]


def billed_in_euros():
    """Return a ledger whose tenant had one GPU at 1 USD in September, billed in EUR at a rate that changed at a noon."""
    made = Journal()
    made.tenant(billing={"currency": "EUR"})
    made.rates("EUR", dollar("2026-09-01T00:00:00Z", "0.5"), dollar("2026-09-11T12:00:00Z", "0.9"))
    made.reserved("a")
    made.begins("a", "2026-09-05T00:00:00Z", 1, price="1")
    made.closed("2026-09", LATER)
    return made


def dollar(when, rate):
    return {"currency": "USD", "effectiveTime": when, "rate": rate}


def payable(made, month):
    """Return what a month's rows, cut by the day, come to."""
    found = month_of(made.books(), month=month, grid=Grid.DAY)
    rows = TenantRows(found.books, Account(ACME, found.terms, Seller("us"), found.period))
    rows.table(list(found.charges))
    return rows.lines.payable


def test_a_closed_month_is_converted_as_it_was_billed_whatever_the_tenant_is_billed_in_now():
    made = billed_in_euros()
    as_billed = {"EUR": Decimal("499.20")}
    assert payable(made, "2026-09") == as_billed

    made.tenant()

    assert payable(made, "2026-09") == as_billed


def test_a_correction_is_converted_as_what_it_corrects_was():
    made = billed_in_euros()
    made.rates(
        "EUR",
        dollar("2026-09-01T00:00:00Z", "0.5"),
        dollar("2026-09-02T00:00:00Z", "0.7"),
        dollar("2026-09-11T12:00:00Z", "0.9"),
    )
    made.ends("a", "2026-09-05T00:00:00Z")

    assert payable(made, "2026-10") == {"EUR": Decimal("-499.20")}


def test_a_month_in_which_nothing_was_owed_yet_is_none():
    with pytest.raises(NoSuchPeriod, match="nothing was owed then"):
        month_of(sold_month().books(), month="2026-08")


def test_a_month_that_is_to_come_is_none():
    with pytest.raises(NoSuchPeriod, match="begins at 2026-11-01"):
        month_of(sold_month().books(), month="2026-11")


def test_a_tenant_without_terms_has_no_account():
    month = sold_month()
    month.held("claim", "west", 1, START, END, tenant="gone")

    with pytest.raises(NoAccount, match="no terms"):
        month_of(month.books(), "gone")


def test_what_a_landlord_adds_to_a_use_stands_in_the_hour_of_its_end_and_is_owed_as_the_margin_has_it(
    tmp_path,
):
    month = sold_month()
    rounds = {"roundUpToSeconds": 3_600, "minimumSeconds": 10_800}
    month.lease("by-the-hour", committed=8, mode="PayAsYouGo", billing=rounds)
    month.held("c", "by-the-hour", 2, "2026-09-03T00:00:00Z", "2026-09-03T01:30:00Z")
    month.held("d", "by-the-hour", 2, "2026-08-31T23:30:00Z", "2026-09-01T00:10:00Z")
    books = month.books()
    sink = Directory(tmp_path)

    done = Months(sink, books, Style("Sublet GmbH", Layout()), LATER).wholesale("2026-09")
    assert isinstance(done, Manifest)
    folder = tmp_path / "wholesale/2026-09/focus-1.4"
    [file] = [e.name for e in done.files if e.dataset == "Cost and Usage"]
    rows = [
        r for r in pq.read_table(folder / file).to_pylist() if r["ResourceName"] == "by-the-hour"
    ]
    added = [r for r in rows if r["x_LeaseState"] == "rounding"]
    assert [
        (
            f"{r['ChargePeriodStart']:%d %H:%M}-{r['ChargePeriodEnd']:%d %H:%M}",
            r["x_GpuMilliseconds"] // 60_000,
        )
        for r in added
    ] == [("01 00:00-01 00:10", 2 * 140), ("03 01:00-03 01:30", 2 * 90)]
    assert list(audit(folder)) == []

    west = supplies_of(books)[LeaseUID("by-the-hour")]
    owed = total(cells(west, span(START, END), Grid.HOUR, LATER)) + total(
        extras(west, span(START, END), LATER)
    )
    assert sum(r["BilledCost"] for r in rows) == pytest.approx(
        Decimal(owed.numerator) / owed.denominator
    )


def test_the_same_line_of_the_ledger_gives_the_same_bytes_however_late_it_is(tmp_path):
    style = Style("Sublet GmbH", Layout(formats=("parquet", "csv")))
    found = []
    for name in ("a", "b"):
        books = close(sold_month().books())
        made = Months(Directory(tmp_path / name), books, style, LATER).export("2026-09", Side.BOTH)
        assert not any(isinstance(each, Failed) for each in made)
        files = sorted(p for p in (tmp_path / name).rglob("*") if p.is_file())
        found.append([(p.relative_to(tmp_path / name), p.read_bytes()) for p in files])
    assert found[0] == found[1]
