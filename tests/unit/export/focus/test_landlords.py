"""The landlords' months: what a closed one said stays, and what the ledger learns later is owed in the first open one."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings, strategies as st

from sublet.api.ids import LeaseUID
from sublet.api.times import MS_PER_HOUR, Millis, format_instant
from sublet.export.focus.audit import audit
from sublet.export.focus.batch import Months, Side, Style
from sublet.export.focus.landlords import Landlords, LeasePeriod
from sublet.export.focus.manifest import Manifest
from sublet.export.focus.run import Layout
from sublet.export.sink.directory import Directory
from sublet.ledger.entry import EntryKind
from sublet.rating.books import Books
from sublet.rating.calendar import next_month
from sublet.rating.grid import Grid
from sublet.rating.model import Cell
from sublet.rating.periods import open_period
from sublet.rating.uses import Extra, extras_of
from sublet.rating.wholesale import cells_of
from tests.builders.billing import Journal
from tests.builders.closing import LATER, close
from tests.builders.sold_month import END, START, sold_month
from tests.builders.wholesale import at, span

Draw = Callable[..., Any]
BEGUN = at("2026-08-01T00:00:00Z")
MUCH_LATER = at("2027-06-01T00:00:00Z")
HOURS = 5 * 730
"""From August to December."""


def test_a_wholesale_month_is_closed_when_it_is_for_everybody_who_owed_anything():
    books = sold_month().books()
    seen = []
    for tenant in ("acme", "globex"):
        close(books, tenant)
        seen.append(Landlords(books, LATER).period("2026-09").is_closed)
    assert seen == [False, True]


def test_each_lease_has_the_month_of_its_own_contract():
    month = sold_month()
    month.lease("madrid", committed=1, billing={"timeZone": "Europe/Madrid"})
    made = Landlords(month.books(), LATER)

    spans = {each.lease_uid: each.period.span for each in made.of_leases("2026-09", Grid.DAY)}
    assert spans["west"] == span(START, END)
    assert spans["madrid"] == span("2026-08-31T22:00:00Z", "2026-09-30T22:00:00Z")


def test_nothing_is_metered_beyond_the_instant_that_is_asked_for():
    month = sold_month()
    month.lease("new-york", committed=1, billing={"timeZone": "America/New_York", "dayCutHour": 17})
    midnight = at("2026-10-01T00:00:00Z")
    made = Landlords(month.books(), midnight)

    until = {x.lease_uid: x.cells[-1].to_ms for x in made.of_leases("2026-09", Grid.HOUR)}
    assert (until["new-york"], made.period("2026-09").as_of_ms) == (midnight, midnight)


def test_a_wholesale_month_is_open_until_every_leases_own_month_is_over():
    month = sold_month()
    month.lease("new-york", committed=1, billing={"timeZone": "America/New_York", "dayCutHour": 17})
    books = close(close(month.books(), "acme"), "globex")

    ends = at("2026-10-01T21:00:00Z")
    before, after = (Landlords(books, when).period("2026-09") for when in (ends - 1, LATER))
    assert (before.is_closed, after.is_closed, after.as_of_ms) == (False, True, ends)


def total(cells: Iterable[Cell], added: Iterable[Extra]) -> Fraction:
    return sum((x.amount for x in cells), Fraction(0)) + sum((x.amount for x in added), Fraction(0))


def amounts(made: Iterable[LeasePeriod]) -> dict[LeaseUID, Fraction]:
    """Return what leases' months come to, corrections and all."""
    found: dict[LeaseUID, Fraction] = defaultdict(Fraction)
    for each in made:
        found[each.lease_uid] += total(each.cells, each.extras)
        found[each.lease_uid] += sum(
            (total(x.cells, x.extras) for x in each.corrections), Fraction(0)
        )
    return {uid: amount for uid, amount in found.items() if amount}


def owed(books: Books, months: Iterable[str]) -> dict[LeaseUID, Fraction]:
    """Return what is owed for some months by what the ledger says now."""
    found: dict[LeaseUID, Fraction] = defaultdict(Fraction)
    for month in months:
        of = span(f"{month}-01T00:00:00Z", f"{next_month(month)}-01T00:00:00Z")
        for uid in books.leases:
            held = cells_of(books, uid, of, Grid.NONE, of.to_ms)
            added = extras_of(books, uid, of, of.to_ms)
            found[uid] += total(held, added)
    return {uid: amount for uid, amount in found.items() if amount}


def phase(number: str, start: str, gpus: int) -> dict[str, Any]:
    return {"commitmentId": number, "startTime": start, "gpus": gpus}


class Story:
    """A ledger that goes on, and learns of the past."""

    def __init__(self, draw: Draw, mode: str) -> None:
        self.draw, self.made = draw, Journal()
        self.count = 0
        self.open: list[tuple[str, int]] = []
        """Claims that are bound, and since which hour."""
        self.closed: dict[str, list[LeasePeriod]] = {}
        """Closed months as they were then."""
        self.text: dict[str, Any] = {
            "term": {"startTime": "2026-07-01T00:00:00Z"},
            "commitment": {"mode": mode, "phases": [phase("p0", "2026-07-01T00:00:00Z", 16)]},
            "prices": [{"effectiveTime": "2026-01-01T00:00:00Z", "perGpuHour": "2"}],
            "billing": {"roundUpToSeconds": 7_200, "minimumSeconds": 10_800},
        }
        for tenant in TENANTS:
            self.made.tenant(tenant)
        self.made.lease("west", when="2026-07-01T00:00:00Z", **self.text)

    def goes_on(self) -> None:
        """Write what happened at any time, or close a month."""
        getattr(self, self.draw(st.sampled_from(STEPS)))()
        now = Landlords(self.made.books(), MUCH_LATER)
        for month in MONTHS:
            if now.closing(month) is not None and month not in self.closed:
                self.closed[month] = list(now.of_leases(month, Grid.DAY))

    def begins(self) -> None:
        name, tenant = self._name(), self.draw(st.sampled_from(TENANTS))
        hour, when = self._when()
        self.made.reserved(name, tenant=tenant)
        self.made.begins(name, when, self.draw(st.sampled_from([1, 8, 16])), tenant=tenant)
        self.open.append((name, hour))

    def ends(self) -> None:
        if self.open:
            name, hour = self.open.pop(self.draw(st.integers(0, len(self.open) - 1)))
            self.made.ends(name, self._when(hour)[1])

    def breaks(self) -> None:
        kind = self.draw(st.sampled_from([EntryKind.DOWNTIME, EntryKind.DISPUTED]))
        hour, when = self._when()
        self.made.held(self._name(), when, self._when(hour)[1], gpus=8, kind=kind)

    def counts(self) -> None:
        self.made.capacity(self._when()[1], self.draw(st.sampled_from([0, 4, 16])))

    def has_another_price(self) -> None:
        known = {x["effectiveTime"]: x for x in self.text["prices"]}
        _, when = self._when()
        new = {"effectiveTime": when, "perGpuHour": self.draw(st.sampled_from(["1", "3"]))}
        self._says(prices=list(({when: new} | known).values()))

    def has_another_phase(self) -> None:
        commitment = self.text["commitment"]
        known = {x["startTime"]: x for x in commitment["phases"]}
        _, when = self._when()
        new = phase(self._name(), when, self.draw(st.sampled_from([0, 8, 32])))
        self._says(commitment=commitment | {"phases": list(({when: new} | known).values())})

    def has_another_lease(self) -> None:
        self.made.lease(self._name(), when=self._when()[1], **self.text)

    def closes(self) -> None:
        tenant = self.draw(st.sampled_from(TENANTS))
        found = open_period(self.made.tenancy(tenant))
        if found is not None and found[0] in MONTHS:
            self.made.closed(found[0], MUCH_LATER, tenant)

    def _says(self, **changed: Any) -> None:
        self.text |= changed
        self.made.lease("west", when=self._when()[1], **self.text)

    def _name(self) -> str:
        self.count += 1
        return f"n{self.count}"

    def _when(self, after: int = 0) -> tuple[int, str]:
        hour = self.draw(st.integers(after, HOURS))
        return hour, format_instant(Millis(BEGUN + hour * MS_PER_HOUR))


TENANTS = ["acme", "globex"]
MONTHS = [f"2026-{number:02d}" for number in range(8, 13)]
STEPS = [
    *["begins", "ends", "closes"] * 4,
    "breaks",
    "counts",
    "has_another_price",
    "has_another_phase",
    "has_another_lease",
]


@settings(max_examples=60)
@given(st.data(), st.sampled_from(["TakeOrPay", "PayAsYouGo"]))
def test_the_files_of_all_months_come_to_what_is_owed_and_closed_ones_stay(
    data: st.DataObject, mode: str
):
    story = Story(data.draw, mode)
    for _ in range(data.draw(st.integers(5, 40))):
        story.goes_on()

    books = story.made.books()
    now = Landlords(books, MUCH_LATER)
    assert {m: list(now.of_leases(m, Grid.DAY)) for m in story.closed} == story.closed
    months = [*story.closed, *map(next_month, sorted(story.closed)[-1:])]
    made = (each for month in months for each in now.of_leases(month, Grid.DAY))
    assert amounts(made) == owed(books, months)


def one_that_ended_earlier(mode: str, **text: Any) -> Journal:
    """Return a ledger that learnt after September was closed that a claim had ended in it; 16 GPUs are committed for 2 USD, 8 were used."""
    made = Journal()
    made.tenant()
    commitment = {"mode": mode, "phases": [phase("p1", "2026-08-01T00:00:00Z", 16)]}
    prices = [{"effectiveTime": "2026-01-01T00:00:00Z", "perGpuHour": "2"}]
    made.lease("west", **{"commitment": commitment, "prices": prices, **text})
    made.reserved("c")
    made.begins("c", "2026-09-10T00:00:00Z", 8)
    made.closed("2026-09", LATER)
    made.ends("c", "2026-09-30T12:00:00Z")
    return made


def exported(made: Journal, month: str, folder: Path) -> tuple[Path, Manifest]:
    """Return where a month's files are, which are in order, and their manifest."""
    months = Months(Directory(folder), made.books(), Style("S", Layout(), Grid.DAY), MUCH_LATER)
    [done] = months.export(month, Side.WHOLESALE)
    assert isinstance(done, Manifest)
    where = folder / f"wholesale/{month}/focus-1.4"
    assert list(audit(where)) == []
    return where, done


@pytest.mark.parametrize(
    ("mode", "more"),
    [
        ("TakeOrPay", {"purchase": (0, 0), "used": (-96, 0), "unused": (96, 0)}),
        ("PayAsYouGo", {"used": (-96, -192), "unused": (96, 0)}),
    ],
)
def test_what_is_known_later_is_corrected_in_the_first_open_month(
    mode: str, more: dict[str, tuple[int, int]], tmp_path: Path
):
    where, _ = exported(one_that_ended_earlier(mode), "2026-10", tmp_path)

    [path] = where.glob("cost-and-usage-*")
    rows = [r for r in pq.read_table(path).to_pylist() if r["ChargeClass"] == "Correction"]
    assert {r["x_LeaseState"]: (r["PricingQuantity"], r["BilledCost"]) for r in rows} == more
    assert {r["x_CorrectedPeriod"] for r in rows} == {"2026-09"}
    assert {r["BillingPeriodStart"] for r in rows} == {datetime(2026, 10, 1, tzinfo=UTC)}


def test_a_closed_month_is_made_of_the_line_that_closed_it_whatever_came_since(tmp_path: Path):
    made = one_that_ended_earlier("PayAsYouGo")
    closing = made.entries[-2]

    _, done = exported(made, "2026-09", tmp_path)

    assert (done.ledger_seq, done.ledger_hash) == (closing.seq, closing.hash)
    assert done.period.is_closed


def test_a_lease_that_comes_late_is_owed_for_the_closed_months_of_its_term_alone():
    made = one_that_ended_earlier("TakeOrPay")
    made.closed("2026-10", MUCH_LATER)
    made.lease("east", committed=1, term={"startTime": "2026-10-31T12:00:00Z"})

    months = Landlords(made.books(), MUCH_LATER).of_leases("2026-11", Grid.DAY)
    [east] = [x for x in months if x.lease_uid == "east"]
    [found] = east.corrections
    assert (found.month, sum(c.gpu_milliseconds for c in found.cells)) == (
        "2026-10",
        12 * MS_PER_HOUR,
    )


def test_a_lease_whose_months_are_cut_otherwise_by_now_is_owed_for_no_hour_twice_or_never():
    made = one_that_ended_earlier("TakeOrPay")
    madrid = {"timeZone": "Europe/Madrid"}
    text = {"commitment": {"phases": [phase("p1", "2026-08-01T00:00:00Z", 16)]}}
    made.lease("west", when=LATER, billing=madrid, **text)

    now = Landlords(made.books(), MUCH_LATER)
    [september], [october] = (list(now.of_leases(m, Grid.DAY)) for m in ("2026-09", "2026-10"))
    assert september.period.span == span("2026-09-01T00:00:00Z", "2026-10-01T00:00:00Z")
    assert october.period.span == span("2026-10-01T00:00:00Z", "2026-10-31T23:00:00Z")
