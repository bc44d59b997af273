"""Committed, used, unsold, uncovered and their money at an instant."""

from decimal import Decimal

import pytest

from sublet.api.times import format_instant
from sublet.book.coverage import LeaseCoverage, coverage
from sublet.book.view import View
from tests.builders.api import NOW, as_lease, lease
from tests.builders.sales import given_back, hour, reserved, sold

WEST = as_lease(lease("west", committed=16, end=format_instant(hour(100))))


def at(hours: float, *claims, leases=(WEST,)) -> LeaseCoverage:
    (only,) = coverage(View(NOW, claims, leases), hour(hours))
    return only


def counts(line: LeaseCoverage) -> tuple[int, int, int, int]:
    return line.committed, line.used, line.unsold, line.uncovered


def test_what_is_committed_and_not_held_is_unsold_and_costs_all_the_same():
    line = at(0, sold("a", WEST, 8))

    assert counts(line) == (16, 8, 8, 0)
    assert line.trade.revenue == {"USD": Decimal("31.92")}
    assert line.trade.cost == {"USD": Decimal("37.60")}
    assert line.trade.margin == Decimal("-5.68")


def test_what_is_held_beyond_the_commitment_is_uncovered_and_costs_the_same_price():
    first, last = sold("a", WEST, 12), sold("b", WEST, 12, from_ms=hour(1))
    line = at(2, last, first)

    assert counts(line) == (16, 24, 0, 8)
    assert line.uncovered_claims == (last.metadata.uid,)
    assert line.trade.cost == {"USD": Decimal("2.35") * 24}


def test_pay_as_you_go_costs_what_is_used():
    flex = as_lease(lease("flex", committed=16, mode="PayAsYouGo"))

    assert at(0, leases=(flex,)).trade.cost == {"USD": Decimal(0)}
    line = at(0, sold("a", flex, 8), leases=(flex,))
    assert counts(line) == (16, 8, 8, 0)
    assert line.trade.cost == {"USD": Decimal("2.35") * 8}


def test_reserved_and_released_gpus_are_used_and_earn_nothing():
    for each in (reserved("a", WEST, 8), given_back(sold("a", WEST, 8, from_ms=hour(-1)), NOW)):
        line = at(0, each)
        assert (counts(line), line.trade.revenue) == ((16, 8, 8, 0), {})


@pytest.mark.parametrize(("hours", "used"), [(-1, 0), (0, 8), (4.9, 8), (5, 0)])
def test_past_and_future_are_answered_like_now(hours, used):
    line = at(hours, sold("a", WEST, 8, until_ms=hour(5)))

    assert counts(line) == (16, used, 16 - used, 0)


def test_after_the_lease_nothing_is_committed_and_what_still_runs_is_uncovered():
    assert counts(at(100, sold("a", WEST, 8))) == (0, 8, 0, 8)


def test_claims_of_a_lease_that_is_gone_are_covered_by_nothing():
    each = sold("a", WEST, 8)
    line = at(0, each, leases=())

    assert (line.lease_uid, counts(line)) == (WEST.metadata.uid, (0, 8, 0, 8))
    assert line.uncovered_claims == (each.metadata.uid,)
    assert (line.trade.cost, line.trade.margin) == (None, None)


def test_what_ended_on_a_lease_that_is_gone_is_no_line():
    done = given_back(sold("a", WEST, 8, from_ms=hour(-3)), hour(-2), hour(-1))

    assert coverage(View(NOW, (done,), ()), NOW) == []


def test_another_currency_leaves_the_margin_open():
    line = at(0, sold("a", WEST, 8, currency="EUR"))

    assert line.trade.margin is None
    assert line.trade.why_no_margin == "sold in EUR, bought in USD: a margin needs one currency"
