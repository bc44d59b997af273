"""Days and months in time zones: gaps, repeated hours, cut hours."""

from datetime import date
from itertools import pairwise

import pytest

from sublet.api.billing import Cut
from sublet.api.times import format_instant, parse_instant
from sublet.rating.calendar import (
    Span,
    day_at,
    day_start,
    days,
    hours,
    month_at,
    month_span,
)

MADRID = Cut(time_zone="Europe/Madrid")
EASTERN = Cut(time_zone="America/New_York", day_cut_hour=17)


@pytest.mark.parametrize(
    ("cut", "day", "begins"),
    [
        (MADRID, date(2026, 3, 29), "2026-03-28T23:00:00Z"),
        (MADRID, date(2026, 3, 30), "2026-03-29T22:00:00Z"),
        (MADRID.model_copy(update={"day_cut_hour": 2}), date(2026, 3, 29), "2026-03-29T01:00:00Z"),
        (MADRID.model_copy(update={"day_cut_hour": 2}), date(2026, 10, 25), "2026-10-25T00:00:00Z"),
        (EASTERN, date(2026, 9, 1), "2026-09-01T21:00:00Z"),
        (Cut(time_zone="America/Havana"), date(2026, 3, 8), "2026-03-08T05:00:00Z"),
        (
            Cut(time_zone="Australia/Lord_Howe", day_cut_hour=2),
            date(2026, 10, 4),
            "2026-10-03T15:30:00Z",
        ),
    ],
)
def test_a_day_begins_at_its_cut_or_at_the_first_instant_after_a_gap(
    cut: Cut, day: date, begins: str
):
    assert format_instant(day_start(cut, day)) == begins
    assert day_at(cut, day_start(cut, day)) == day
    assert day_at(cut, day_start(cut, day) - 1) < day


def test_a_month_with_a_change_of_clocks_has_an_hour_more_or_less():
    march, october = month_span(MADRID, "2026-03"), month_span(MADRID, "2026-10")

    assert (march.to_ms - march.from_ms) // 3_600_000 == 31 * 24 - 1
    assert (october.to_ms - october.from_ms) // 3_600_000 == 31 * 24 + 1
    assert month_at(MADRID, march.from_ms) == "2026-03"
    assert month_at(MADRID, march.from_ms - 1) == "2026-02"


def test_days_and_hours_tile_a_stretch():
    span = Span(parse_instant("2026-10-24T10:30:00Z"), parse_instant("2026-10-26T10:15:00Z"))

    for cells in (days(MADRID, span), hours(span)):
        assert (cells[0].from_ms, cells[-1].to_ms) == span
        assert all(a.to_ms == b.from_ms for a, b in pairwise(cells))
    assert [(c.to_ms - c.from_ms) // 3_600_000 for c in days(MADRID, span)] == [11, 25, 11]


@pytest.mark.parametrize("name", ["Europe/Atlantis", "Europe", "UTC"])
def test_where_there_is_no_such_zone_days_are_cut_in_utc(name: str):
    assert day_start(Cut(time_zone=name), date(2026, 1, 1)) == parse_instant("2026-01-01T00:00:00Z")
