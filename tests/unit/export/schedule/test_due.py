"""When exports are due, and of which months."""

import pytest

from sublet.export.focus.landlords import Landlords
from sublet.export.schedule.due import last_due, wanted
from sublet.rating.tenancy import tenancies_of
from tests.builders.closing import close
from tests.builders.sold_month import END, START, sold_month
from tests.builders.wholesale import at


def names(books, as_of, *, with_open=True):
    landlords = Landlords(books, at(as_of))
    found = wanted(tenancies_of(books), landlords, at(as_of), with_open=with_open)
    return [(str(x.tenancy.tenant_uid) if x.tenancy else "", x.month, x.is_closed) for x in found]


@pytest.mark.parametrize(
    ("now", "due"),
    [
        ("2026-09-10T03:59:59Z", "2026-09-09T04:00:00Z"),
        ("2026-09-10T04:00:00Z", "2026-09-10T04:00:00Z"),
        ("2026-09-10T23:00:00Z", "2026-09-10T04:00:00Z"),
    ],
)
def test_an_export_is_due_once_a_day_at_its_hour(now, due):
    assert last_due(at(now), 4) == at(due)


def test_every_month_that_isnt_closed_is_wanted_and_the_month_before_for_the_landlords():
    assert names(sold_month().books(), "2026-10-02T01:00:00Z") == [
        ("acme", "2026-09", False),
        ("acme", "2026-10", False),
        ("globex", "2026-09", False),
        ("globex", "2026-10", False),
        ("", "2026-09", False),
        ("", "2026-10", False),
    ]


def test_a_closed_month_is_wanted_as_such_and_open_ones_only_if_they_are_asked_for():
    books = close(sold_month().books(), "acme")

    assert names(books, "2026-10-09T01:00:00Z", with_open=False) == [("acme", "2026-09", True)]
    assert names(books, "2026-10-09T01:00:00Z")[:2] == [
        ("acme", "2026-09", True),
        ("acme", "2026-10", False),
    ]


def test_the_landlords_month_is_closed_with_the_last_tenants():
    books = close(close(sold_month().books(), "acme"), "globex")

    assert names(books, "2026-10-09T01:00:00Z", with_open=False)[-1] == ("", "2026-09", True)


def test_on_the_first_of_a_month_the_one_that_is_over_is_exported_whole_though_nobody_owes_anything():  # fmt: skip
    month = sold_month()
    month.facts = [f for f in month.facts if f.kind.value not in ("bound", "downtime")]

    assert names(month.books(), "2026-10-01T01:00:00Z") == [
        ("", "2026-09", False),
        ("", "2026-10", False),
    ]
    assert names(month.books(), "2026-09-20T01:00:00Z") == [("", "2026-09", False)]


def test_a_tenants_month_is_that_of_its_own_zone():
    month = sold_month()
    month.tenant("auckland", timeZone="Pacific/Auckland")
    month.held("kiwi", "west", 1, START, END, tenant="auckland")

    found = names(month.books(), "2026-09-30T12:00:00Z")
    assert [x for x in found if x[0] == "auckland"] == [
        ("auckland", "2026-09", False),
        ("auckland", "2026-10", False),
    ]


@pytest.mark.parametrize("hour", range(0, 24, 3))
def test_a_lease_whose_month_ends_last_of_all_is_exported_whole_though_nobody_owes_anything(hour):
    month = sold_month()
    month.lease("far", billing={"timeZone": "Etc/GMT+12", "dayCutHour": 23})
    month.facts = [f for f in month.facts if f.kind.value not in ("bound", "downtime")]
    books = month.books()

    days = (at(f"2026-10-0{day}T{hour:02d}:00:00Z") for day in range(1, 8))
    exports = (
        made.period("2026-09")
        for day in days
        if (made := Landlords(books, day))
        and "2026-09" in [x.month for x in wanted({}, made, day, with_open=True)]
    )
    assert max(period.as_of_ms for period in exports) == at("2026-10-02T11:00:00Z")
