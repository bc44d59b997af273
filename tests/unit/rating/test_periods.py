"""Open periods restate; closed ones stay as they were billed, and what is otherwise by now is corrected in the next one."""

import json
from dataclasses import replace
from decimal import Decimal

import pytest

from sublet.api.ids import TenantUID
from sublet.ledger.entry import EntryKind
from sublet.ledger.terms import content_hash
from sublet.rating.charges import charges
from sublet.rating.grid import Grid
from sublet.rating.model import Category
from sublet.rating.periods import (
    NoSuchPeriod,
    bill,
    closed_periods,
    closing,
    due_to_close,
)
from sublet.rating.tenancy import tenancy_of
from tests.builders.billing import ACME, Journal
from tests.builders.wholesale import at

OCTOBER = "2026-10-04T00:00:00Z"
NOVEMBER = "2026-11-04T00:00:00Z"


def journal() -> Journal:
    """Return a ledger in which acme has one GPU at 1 USD from 20 September on."""
    made = Journal()
    made.tenant()
    made.reserved("a")
    made.begins("a", "2026-09-20T00:00:00Z", 1, price="1")
    return made


def billed(made: Journal, month: str, when: str = "2026-12-01T00:00:00Z"):
    books = made.books()
    return bill(books, tenancy_of(books, ACME), month, at(when))


def total(made: Journal, month: str, when: str = "2026-12-01T00:00:00Z") -> Decimal:
    return billed(made, month, when).statement.totals.get("USD", Decimal(0))


def test_an_open_period_is_what_the_ledger_says_now():
    made = journal()
    assert total(made, "2026-09", "2026-09-21T00:00:00Z") == 24
    assert total(made, "2026-09") == 264


def test_a_closed_period_stays_as_it_was_billed_and_names_its_line_of_the_ledger():
    made = journal()
    made.closed("2026-09", OCTOBER)
    head = made.entries[-2].hash
    made.ends("a", "2026-09-21T00:00:00Z")

    found = billed(made, "2026-09")

    assert (found.is_closed, found.statement.totals) == (True, {"USD": Decimal("264.00")})
    assert (found.seq, found.head) == (len(made.entries) - 2, head)


def test_evidence_that_comes_late_is_corrected_in_the_first_open_period():
    made = journal()
    made.closed("2026-09", OCTOBER)
    made.ends("a", "2026-09-21T00:00:00Z")

    found = billed(made, "2026-10")

    (line,) = found.statement.lines
    assert (line.key.corrects, line.amount) == ("2026-09", Decimal("-240.00"))
    assert line.gpu_milliseconds == -240 * 3_600_000
    assert total(made, "2026-11") == 0


def test_an_end_with_the_month_that_is_heard_of_late_is_rounded_in_the_first_open_period():
    made = journal()
    made.reserved("b", rounding={"minimumSeconds": 7_200})
    made.begins("b", "2026-09-30T23:00:00Z", 1, price="1")
    made.closed("2026-09", OCTOBER)
    made.ends("b", "2026-10-01T00:00:00Z")

    corrected = [x for x in billed(made, "2026-10").statement.lines if x.key.corrects]
    assert [(x.key.category, x.amount) for x in corrected] == [("Minimum", Decimal("1.00"))]


def test_evidence_of_a_time_before_the_first_closed_period_is_corrected_with_that():
    made = journal()
    made.closed("2026-09", OCTOBER)
    made.held("b", "2026-08-20T00:00:00Z", "2026-08-21T00:00:00Z", gpus=1, price="1")

    (line,) = [x for x in billed(made, "2026-10").statement.lines if x.key.corrects]
    assert (line.key.corrects, line.amount) == ("2026-09", Decimal("24.00"))
    made.closed("2026-10", NOVEMBER)
    assert total(made, "2026-11") == 720


def test_a_correction_is_billed_once_also_when_more_comes_later():
    made = journal()
    made.closed("2026-09", OCTOBER)
    made.ends("a", "2026-09-22T00:00:00Z")
    made.closed("2026-10", NOVEMBER)
    assert total(made, "2026-10") == -216
    assert total(made, "2026-11") == 0

    made.adjusted("2026-11-20T00:00:00Z", "2026-09", "5")

    (line,) = billed(made, "2026-11").statement.lines
    assert (line.key.corrects, line.amount) == ("2026-09", Decimal("5.00"))


def test_originals_and_corrections_together_are_what_rating_it_all_anew_gives():
    made = journal()
    made.closed("2026-09", OCTOBER)
    made.held("b", "2026-09-29T00:00:00Z", "2026-09-29T00:00:01Z", gpus=7, price="3")
    made.ends("a", "2026-09-25T12:00:00Z")
    made.closed("2026-10", NOVEMBER)
    made.adjusted("2026-11-20T00:00:00Z", "2026-10", "1")

    every = [c for m in ("2026-09", "2026-10", "2026-11") for c in billed(made, m).charges]

    books = made.books()
    span = billed(made, "2026-09").span._replace(to_ms=at("2026-12-01T00:00:00Z"))
    anew = charges(tenancy_of(books, ACME), span, Grid.NONE, span.to_ms)
    assert sum(c.amount for c in every) == sum(c.amount for c in anew)
    assert sum(c.gpu_milliseconds for c in every) == sum(c.gpu_milliseconds for c in anew)


def test_what_came_between_a_closed_text_and_its_line_is_corrected_too():
    made = journal()
    books = made.books()
    fact, text = closing(books, tenancy_of(books, ACME), "2026-09", at(OCTOBER))
    made.ends("a", "2026-09-21T00:00:00Z")
    made.texts[content_hash(text)] = text
    made.append(fact)

    assert total(made, "2026-10") == -240


def test_a_price_that_was_added_for_the_past_is_corrected_too():
    made = Journal()
    made.tenant()
    made.offer("h100", ("1", 0))
    made.reserved("a", floats=True)
    made.held("a", "2026-09-29T00:00:00Z", "2026-09-30T00:00:00Z", gpus=1, price="1")
    made.closed("2026-09", OCTOBER)
    made.offer("h100", ("1", 0), ("2", "2026-09-29T12:00:00Z"))

    assert total(made, "2026-10") == 12


def by_a_newer_version(made: Journal) -> None:
    """Have the last line be as a newer version writes it, which this one would write otherwise."""
    fact = made.entries.pop().fact
    text = json.dumps(json.loads(made.texts.pop(fact.price_hash)) | {"since": 2})
    made.texts[content_hash(text)] = text
    made.append(replace(fact, price_hash=content_hash(text)))


def test_a_month_closes_on_terms_and_rates_of_which_this_version_knows_a_part():
    made = journal()
    made.tenant(billing={"currency": "EUR"})
    by_a_newer_version(made)
    made.rates("EUR", dollar(1, "0.5"))
    by_a_newer_version(made)
    made.closed("2026-09", OCTOBER)

    assert billed(made, "2026-09").statement.totals == {"EUR": Decimal("132.00")}


def test_rates_that_change_later_change_nothing_that_was_billed():
    made = journal()
    made.tenant(billing={"currency": "EUR"})
    rate = {"currency": "USD", "effectiveTime": "2026-09-01T00:00:00Z", "rate": "0.5"}
    made.rates("EUR", rate)
    made.closed("2026-09", OCTOBER)
    made.rates("EUR", rate | {"rate": "0.9"})

    assert billed(made, "2026-09").statement.totals == {"EUR": Decimal("132.00")}


def test_an_adjustment_stays_in_the_period_that_it_was_billed_in_whatever_the_time_zone_says_now():
    made = journal()
    made.ends("a", "2026-09-21T00:00:00Z")
    made.adjusted("2026-10-02T00:00:00Z", "2026-09", "5")
    made.closed("2026-09", OCTOBER)
    made.tenant(billing={"timeZone": "America/Los_Angeles"})

    assert billed(made, "2026-10").charges == ()


def dollar(day: int, rate: str) -> dict[str, str]:
    """Return what a dollar is worth in euros from a day of September on."""
    return {"currency": "USD", "effectiveTime": f"2026-09-{day:02d}T00:00:00Z", "rate": rate}


def test_a_tenant_that_is_billed_in_another_currency_from_now_on_has_nothing_corrected():
    made = journal()
    made.rates("EUR", dollar(1, "0.5"), dollar(25, "0.9"))
    made.ends("a", "2026-10-01T00:00:00Z")
    made.closed("2026-09", OCTOBER)
    made.tenant(billing={"currency": "EUR"})

    assert billed(made, "2026-10").charges == ()


def test_a_rate_that_was_added_for_the_past_corrects_nothing_whatever_else_comes_late():
    made = journal()
    made.tenant(billing={"currency": "EUR"})
    made.rates("EUR", dollar(1, "0.5"))
    made.ends("a", "2026-10-01T00:00:00Z")
    made.closed("2026-09", OCTOBER)
    made.rates("EUR", dollar(1, "0.5"), dollar(25, "0.9"))
    made.adjusted("2026-10-20T00:00:00Z", "2026-09", "1")

    (only,) = billed(made, "2026-10").charges
    assert only.amount == 1


def test_what_is_corrected_is_converted_by_the_table_that_it_was_billed_with():
    made = journal()
    made.tenant(billing={"currency": "EUR"})
    made.rates("EUR", dollar(1, "0.5"))
    made.closed("2026-09", OCTOBER)
    made.rates("EUR", dollar(1, "0.5"), dollar(15, "0.9"))
    made.ends("a", "2026-09-20T00:00:00Z")
    made.closed("2026-10", NOVEMBER)

    originally, corrected = (
        billed(made, month).statement.totals["EUR"] for month in ("2026-09", "2026-10")
    )
    assert (originally, corrected) == (Decimal("132.00"), Decimal("-132.00"))


def test_a_period_begins_where_the_last_closed_one_ended_whatever_the_time_zone_says_now():
    made = journal()
    made.closed("2026-09", OCTOBER)
    made.tenant(billing={"timeZone": "Asia/Tokyo"})

    found = billed(made, "2026-10")

    assert found.span == (at("2026-10-01T00:00:00Z"), at("2026-10-31T15:00:00Z"))


def test_a_credit_of_a_closed_period_stays_whatever_the_time_zone_says_now():
    made = Journal()
    made.tenant()
    made.reserved("a", sla={"graceSeconds": 60, "creditPercent": 100, "maxPercent": 10})
    made.begins("a", "2026-09-01T00:00:00Z", 8, price="2")
    down = ("2026-09-01T00:30:00Z", "2026-09-01T03:30:00Z")
    made.held("a", *down, gpus=8, kind=EntryKind.DOWNTIME)
    made.closed("2026-09", OCTOBER)
    made.tenant(billing={"timeZone": "America/New_York"})

    assert [c for c in billed(made, "2026-10").charges if c.corrects] == []


@pytest.mark.parametrize(
    ("zone", "in_september", "in_october"),
    [
        ("America/Los_Angeles", "2026-09-15T16:00:00Z", "2026-10-01T01:00:00Z"),
        ("Asia/Tokyo", "2026-09-30T16:00:00Z", "2026-10-15T16:00:00Z"),
    ],
    ids=["October begins later now", "October begins earlier now"],
)
def test_a_credit_is_capped_by_the_period_that_its_incident_ended_in_whatever_the_time_zone_says_now(
    zone: str, in_september: str, in_october: str
):
    made = Journal()
    made.tenant()
    made.reserved("a", sla={"graceSeconds": 60, "creditPercent": 100, "maxPercent": 1})
    made.begins("a", "2026-09-01T00:00:00Z", 8, price="2")
    eight_hours, four_hours = at(in_september) + 28_800_000, at(in_october) + 14_400_000
    made.held("a", in_september, eight_hours, kind=EntryKind.DOWNTIME)
    made.closed("2026-09", OCTOBER)
    made.tenant(billing={"timeZone": zone})
    made.held("a", in_october, four_hours, kind=EntryKind.DOWNTIME)

    given = [c.amount for c in billed(made, "2026-10").charges if c.category is Category.CREDIT]
    assert given == [-64]


def test_the_same_prefix_closes_with_the_same_bytes_and_reads_back_as_it_was_written():
    made = journal()
    first, second = (
        closing(books, tenancy_of(books, ACME), "2026-09", at(OCTOBER))
        for books in (made.books(), made.books())
    )
    assert first == second
    made.closed("2026-09", OCTOBER)
    books = made.books(len(made.entries) - 1)
    rated = bill(books, tenancy_of(books, ACME), "2026-09", at("2026-10-01T00:00:00Z"))
    assert closed_periods(made.books(), ACME)["2026-09"].charges == rated.charges


@pytest.mark.parametrize(
    ("month", "words"),
    [("2026-08", "no billing period 2026-08"), ("2027-03", "begins at 2027-03-01T00:00:00Z")],
)
def test_a_month_that_has_no_period_is_refused_by_name(month, words):
    with pytest.raises(NoSuchPeriod, match=words):
        billed(journal(), month)


@pytest.mark.parametrize(
    ("month", "when", "words"),
    [
        ("2026-10", NOVEMBER, "isn't the first open"),
        ("2026-09", "2026-09-30T23:59:59Z", "isn't over"),
    ],
)
def test_only_the_first_open_period_is_closed_and_only_when_it_is_over(month, when, words):
    books = journal().books()
    with pytest.raises(NoSuchPeriod, match=words):
        closing(books, tenancy_of(books, ACME), month, at(when))


def test_a_period_is_due_to_be_closed_some_days_after_its_end_one_after_the_other():
    made = journal()
    books = made.books()
    due = due_to_close(tenancy_of(books, ACME), at("2026-10-03T23:59:59Z"), 3)
    assert due is None
    due = due_to_close(tenancy_of(books, ACME), at(OCTOBER), 3)
    assert due is not None
    assert due[0] == "2026-09"


def test_a_tenant_that_never_owed_anything_has_no_period():
    made = Journal()
    made.tenant()
    books = made.books()
    assert due_to_close(tenancy_of(books, TenantUID("acme")), at(NOVEMBER), 3) is None
    with pytest.raises(NoSuchPeriod, match="tenant acme"):
        billed(made, "2026-09")
