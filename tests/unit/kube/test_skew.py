"""What a server's Date says of its clock, and what goes on being said of it."""

import pytest

from sublet.api.times import Millis, parse_instant
from sublet.kube.skew import ahead_seconds, settled

NOW = Millis(parse_instant("2026-03-01T12:00:00Z"))


@pytest.mark.parametrize(
    ("date", "ahead"),
    [
        ("Sun, 01 Mar 2026 12:00:00 GMT", 0),
        ("Sun, 01 Mar 2026 12:01:03 GMT", 64),
        ("Sun, 01 Mar 2026 11:00:00 GMT", -3600),
    ],
)
def test_a_date_says_how_far_a_clock_is_ahead(date: str, ahead: int):
    assert abs((ahead_seconds(date, NOW) or 0) - ahead) <= 1


@pytest.mark.parametrize(
    "date",
    [
        "",
        "tomorrow",
        "Sun, 31 Feb 2026 12:00:00 GMT",
        "Sun, 01 Mar 2026 12:00:00 +99999999999999",
        "Sun, \u0660\u0661 Mar 2026 12:00:00 GMT",
    ],
)
def test_what_is_no_date_says_nothing(date: str):
    assert ahead_seconds(date, NOW) is None


@pytest.mark.parametrize(
    ("known", "seen", "said"),
    [
        (None, 3, 0),
        (None, 60, 60),
        (60, 64, 60),
        (60, 70, 70),
        (60, 5, 0),
        (0, 6, 6),
        (60, None, None),
    ],
)
def test_a_figure_stays_until_it_is_off_by_too_much(
    known: int | None, seen: int | None, said: int | None
):
    assert settled(known, seen) == said
