"""Instants of the far past and future: what can be read can be written again, and nothing fails on what can't."""

import pytest

from sublet.api.times import FIRST_MS, LAST_MS, Millis, format_instant, parse_instant


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00Z", "0970-03-01T00:00:00Z", "9999-12-31T23:59:59.999Z"])  # fmt: skip
def test_every_year_of_four_digits_is_read_and_written_alike(text: str):
    assert format_instant(parse_instant(text)) == text


@pytest.mark.parametrize(("text", "nearest"), [("0001-01-01T00:00:00+14:00", FIRST_MS), ("9999-12-31T23:59:59-01:00", LAST_MS)])  # fmt: skip
def test_an_instant_that_its_zone_puts_beyond_the_calendar_is_the_nearest_in_it(text: str, nearest: int):  # fmt: skip
    assert parse_instant(text) == nearest


@pytest.mark.parametrize(("beyond", "written"), [(FIRST_MS - 1, "0001-01-01T00:00:00Z"), (LAST_MS + 1, "9999-12-31T23:59:59.999Z")])  # fmt: skip
def test_an_instant_beyond_the_calendar_is_written_as_its_nearest(beyond: int, written: str):
    assert format_instant(Millis(beyond)) == written
