"""What a landlord adds to each use: rounded up, and at least the minimum; never part of the commitment."""

from fractions import Fraction

import pytest

from sublet.api.times import MS_PER_SECOND
from sublet.rating.grid import Grid
from sublet.rating.uses import extras_of
from sublet.rating.wholesale import cells_of
from tests.builders.wholesale import Scribe, at, span

DAY = ("2026-11-22T00:00:00Z", "2026-11-23T00:00:00Z")
TEN = at("2026-11-22T10:00:00Z")


def after(seconds: float) -> int:
    return TEN + int(seconds * MS_PER_SECOND)


def rounding_lease(mode: str = "PayAsYouGo", unit: int = 60, minimum: int = 0):
    scribe = Scribe()
    billing = {"roundUpToSeconds": unit, "minimumSeconds": minimum}
    return scribe, scribe.lease("west", committed=8, mode=mode, billing=billing)


def added(scribe: Scribe, lease_uid: str, as_of: str | int = DAY[1]) -> list[int]:
    """Return the GPU-seconds added to each use."""
    found = extras_of(scribe.books(), lease_uid, span(*DAY), at(as_of))
    return [x.gpu_milliseconds // MS_PER_SECOND for x in found]


@pytest.mark.parametrize(
    ("unit", "minimum", "seconds", "expected"),
    [
        (60, 0, 90, 30),
        (60, 0, 120, 0),
        (60, 600, 90, 510),
        (3600, 600, 90, 3510),
        (0, 600, 90, 510),
        (1, 0, 90.5, 0),
        (0, 0, 90, 0),
    ],
)
def test_a_use_is_rounded_up_after_the_minimum(unit, minimum, seconds, expected):
    scribe, west = rounding_lease(unit=unit, minimum=minimum)
    scribe.held("c", west, 2, TEN, after(seconds))
    assert sum(added(scribe, west)) == 2 * expected


def test_moves_within_the_lease_are_one_use_which_ends_with_the_gpus_it_had_last():
    scribe, west = rounding_lease()
    scribe.held("c", west, 2, TEN, after(45))
    scribe.held("c", west, 4, after(45), after(90), sequence=2)
    assert added(scribe, west) == [4 * 30]


def test_a_gap_makes_two_uses_and_another_claim_is_another_use():
    scribe, west = rounding_lease()
    scribe.held("c", west, 1, TEN, after(50))
    scribe.held("c", west, 1, after(51), after(91), sequence=2)
    scribe.held("d", west, 1, TEN, after(15))
    assert sorted(added(scribe, west)) == [10, 20, 45]


def test_a_use_that_lasts_or_is_looked_at_before_its_end_adds_nothing():
    scribe, west = rounding_lease()
    scribe.held("c", west, 1, TEN)
    scribe.held("d", west, 1, TEN, after(10))
    assert added(scribe, west, after(9)) == []


def test_it_belongs_to_the_time_of_its_last_millisecond():
    scribe, west = rounding_lease()
    scribe.held("c", west, 1, at(DAY[1]) - 1_000, DAY[1])
    assert added(scribe, west) == [59]
    following = span(DAY[1], "2026-11-24T00:00:00Z")
    assert extras_of(scribe.books(), west, following, following.to_ms) == []


def test_it_costs_what_the_last_millisecond_did():
    scribe = Scribe()
    west = scribe.lease(
        "west",
        mode="PayAsYouGo",
        billing={"roundUpToSeconds": 60},
        prices=[
            {"effectiveTime": "2026-01-01T00:00:00Z", "perGpuHour": "2"},
            {"effectiveTime": "2026-11-22T10:00:30Z", "perGpuHour": "9"},
        ],
    )
    scribe.held("c", west, 1, TEN, after(30))
    (extra,) = extras_of(scribe.books(), west, span(*DAY), at(DAY[1]))
    assert extra.price == 2


def test_reservations_that_overlap_are_one_use_to_the_end_of_the_longest():
    scribe, west = rounding_lease()
    scribe.held("c", west, 1, TEN, after(90))
    scribe.held("c", west, 2, after(10), after(20), sequence=2)
    scribe.held("c", west, 4, after(30), after(40), sequence=3)
    assert added(scribe, west) == [30]


def test_take_or_pay_is_never_rounded():
    scribe, west = rounding_lease("TakeOrPay")
    scribe.held("c", west, 1, TEN, after(10))
    assert added(scribe, west) == []


def test_the_cells_know_nothing_of_it():
    scribe, west = rounding_lease(minimum=3_600)
    scribe.held("c", west, 8, TEN, after(1_800))
    (extra,) = extras_of(scribe.books(), west, span(*DAY), at(DAY[1]))
    cells = cells_of(scribe.books(), west, span(*DAY), Grid.NONE, at(DAY[1]))
    assert sum(c.gpu_milliseconds for c in cells) == 8 * 86_400 * MS_PER_SECOND
    assert extra.amount == Fraction("9.4")
