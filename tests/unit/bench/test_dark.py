"""The rows on a dark cluster miss if a bind elsewhere asked it, waited on it, or was slower than the noise."""

import pytest

from tests.bench.dark import Round, _rows
from tests.bench.waits import Wait
from tests.builders.traces import request

USUAL = [Wait(0, 1)]
UNANSWERED = [request(0, 5, failed="Unreachable")]
WELL = [Round(rate, USUAL, [], []) for rate in (9.0, 10.0, 12.0)]


def dark(rate: float = 10.0, *, waits: list[Wait] = USUAL, strays: int = 0) -> list[Round]:
    return [Round(rate, waits, [request(0, 1)] * strays, UNANSWERED)]


def misses(ill: list[Round]) -> list[str]:
    return [row.name for row in _rows(WELL, ill) if row.missed]


@pytest.mark.parametrize("rate", [9.0, 20.0])
def test_binds_as_fast_as_some_round_while_all_answer_are_within_the_noise(rate: float):
    assert misses(dark(rate)) == []


def test_binds_slower_than_each_round_while_all_answer_miss():
    assert misses(dark(8.9)) == ["binds while one answers nothing"]


def test_a_request_of_a_bind_that_went_to_the_dark_one_misses():
    assert misses(dark(strays=1)) == ["requests of these binds to the dark one"]


def test_a_wait_for_the_dark_ones_answer_misses():
    found = dark(waits=[Wait(1, 5.01)])

    assert misses(found) == ["waits that ended as a request to it did"]


def test_rounds_in_which_nobody_asked_the_dark_one_show_nothing():
    with pytest.raises(AssertionError, match="nobody asked"):
        list(_rows(WELL, [Round(10.0, USUAL, [], [])]))
