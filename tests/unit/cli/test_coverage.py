"""What `sublet coverage` says of each lease."""

import pytest

from sublet.cli.coverage import look, parse_at, show_coverage
from sublet.cli.problems import Problem
from tests.builders.api import NOW, as_lease, lease
from tests.builders.sales import hour, sold

WEST = as_lease(lease("west", committed=16))
EAST = as_lease(lease("east", committed=8))


def test_each_lease_is_one_line_with_its_money_per_hour(capsys):
    first, last = sold("a", WEST, 12), sold("b", WEST, 8, from_ms=hour(1))
    found = look([WEST, EAST], [first, last], hour(2), NOW)
    show_coverage(found, wide=True)

    east, west = (line.split() for line in capsys.readouterr().out.splitlines()[2:])
    assert east == ["east", "8", "0", "8", "0", "0", "18.80", "USD", "-18.80"]
    assert west == [
        *("west", "16", "20", "0", "4", "79.80", "USD", "47.00", "USD", "32.80", "58.9%"),
        "acme/b",
    ]


def test_without_a_margin_it_says_why(capsys):
    found = look([WEST], [sold("a", WEST, 8, currency="EUR")], NOW, NOW)
    show_coverage(found, wide=True)

    (item,) = found["items"]
    assert (item["marginPerHour"], item["breakEven"]) == (None, None)
    assert "sold in EUR, bought in USD: a margin needs one currency" in capsys.readouterr().out


def test_what_is_held_of_a_lease_that_is_gone_is_uncovered_at_unknown_cost(capsys):
    found = look([], [sold("a", WEST, 8)], NOW, NOW)
    show_coverage(found)

    (item,) = found["items"]
    assert (item["lease"], item["uncoveredClaims"]) == (WEST.metadata.uid, ["acme/a"])
    assert item["costPerHour"] is None
    assert " ? " in capsys.readouterr().out.splitlines()[-1] + " "


def test_the_instant_is_now_by_default_and_a_bad_one_is_refused_with_an_example():
    assert parse_at(None, NOW) == NOW
    assert parse_at("2026-11-22T11:00:00Z", NOW) == hour(1)
    with pytest.raises(Problem, match="give instants as 2026-11-22T10:00:00Z"):
        parse_at("tomorrow", NOW)
