import pytest

from sublet.api.times import MS_PER_HOUR, Millis, parse_instant
from sublet.cli.problems import Problem
from sublet.cli.usage import hours, parse_window, window_params
from sublet.ledger.usage import By

NOW = parse_instant("2026-11-22T10:00:00.123Z")


def test_the_window_is_this_month_until_now_by_default():
    assert parse_window(None, None, NOW) == (parse_instant("2026-11-01T00:00:00Z"), NOW)


def test_a_window_that_ends_before_it_begins_is_refused():
    with pytest.raises(Problem, match="--from must be earlier"):
        parse_window("2026-11-22T10:00:00Z", "2026-11-21T10:00:00Z", NOW)


def test_an_instant_without_a_zone_is_refused_with_an_example():
    with pytest.raises(Problem, match="give instants as 2026-11-22T10:00:00Z"):
        parse_window("2026-11-22T10:00:00", None, NOW)


@pytest.mark.parametrize(
    ("gpu_milliseconds", "text"),
    [
        (0, "0.000000"),
        (MS_PER_HOUR, "1.000000"),
        (16 * MS_PER_HOUR + 1_800_000, "16.500000"),
        (1, "0.000000"),
    ],
)
def test_hours_are_written_without_floats(gpu_milliseconds, text):
    assert hours(gpu_milliseconds) == text


def test_the_query_keeps_milliseconds():
    params = window_params(Millis(0), NOW, By.CLAIM)

    assert params == {
        "from": "1970-01-01T00:00:00Z",
        "to": "2026-11-22T10:00:00.123Z",
        "by": "claim",
    }
