"""What a contract says of an instant, inside its term and out of it."""

from decimal import Decimal

import pytest

from sublet.api.times import format_instant
from sublet.book.contract import (
    commitment_changes,
    committed_at,
    expected_nodes,
    marginal_price_at,
    terms_at,
)
from tests.builders.api import LONG_AGO, NOW, as_lease, lease
from tests.builders.sales import hour

RAMP = {
    "phases": [
        {"commitmentId": "more", "startTime": format_instant(hour(10)), "gpus": 32},
        {"commitmentId": "first", "startTime": format_instant(hour(-10)), "gpus": 16},
        {"commitmentId": "never", "startTime": format_instant(hour(30)), "gpus": 64},
    ]
}
TERM = {"startTime": format_instant(hour(0)), "endTime": format_instant(hour(20))}


@pytest.mark.parametrize(
    ("hours", "gpus"), [(-1, 0), (0, 16), (9.9, 16), (10, 32), (19.9, 32), (20, 0), (40, 0)]
)
def test_nothing_is_committed_outside_the_term(hours, gpus):
    each = as_lease(lease(term=TERM, commitment=RAMP))

    assert committed_at(each, hour(hours)) == gpus
    assert sum(more for at, more in commitment_changes(each) if at <= hour(hours)) == gpus


def test_changes_are_the_steps_inside_the_term():
    each = as_lease(lease(term=TERM, commitment=RAMP))

    assert commitment_changes(each) == [(hour(0), 16), (hour(10), 16), (hour(20), -32)]


def test_an_open_ended_commitment_has_no_last_change():
    assert commitment_changes(as_lease(lease(committed=64)))[-1][1] == 64


def test_of_two_phases_with_one_start_the_first_counts():
    start = format_instant(hour(0))
    both = [{"commitmentId": n, "startTime": start, "gpus": g} for n, g in (("a", 8), ("b", 16))]
    each = as_lease(lease(commitment={"phases": both}))

    assert (committed_at(each, hour(0)), commitment_changes(each)) == (8, [(hour(0), 8)])


@pytest.mark.parametrize(("hours", "price"), [(-9, "2.35"), (0, "2.35"), (5, "2.65"), (50, "2.65")])
def test_the_latest_price_that_has_begun_holds_and_the_first_one_before(hours, price):
    dated = [
        {"effectiveTime": format_instant(hour(5)), "perGpuHour": "2.65"},
        {"effectiveTime": format_instant(hour(0)), "perGpuHour": "2.35"},
    ]

    assert terms_at(as_lease(lease(prices=dated)), hour(hours)).per_gpu_hour == Decimal(price)


@pytest.mark.parametrize(
    ("mode", "holding", "price"),
    [
        ("TakeOrPay", {}, "0"),
        ("PayAsYouGo", {}, "2.35"),
        ("TakeOrPay", {"holdingPerGpuHour": "2.00"}, "0.35"),
        ("PayAsYouGo", {"holdingPerGpuHour": "2.00"}, "0.35"),
    ],
)
def test_one_more_gpu_costs_what_it_costs_more_than_unused(mode, holding, price):
    entry = {"effectiveTime": LONG_AGO, "perGpuHour": "2.35", **holding}

    assert marginal_price_at(as_lease(lease(mode=mode, prices=[entry])), NOW) == Decimal(price)


def test_nodes_of_a_step_stay_for_their_rest_and_the_next_step_brings_no_more_of_them():
    steps = [(-1, 16), (10, 32), (20, 16), (20.5, 32), (30, 16)]
    phases = [
        {"commitmentId": str(i), "startTime": format_instant(hour(at)), "gpus": gpus}
        for i, (at, gpus) in enumerate(steps)
    ]
    each = as_lease(lease(commitment={"phases": phases}, term={"quarantineSeconds": 3600}))

    assert expected_nodes(each, 16, 8, hour(0)) == [(hour(10), 2), (hour(31), -2)]
