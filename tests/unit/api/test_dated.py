"""Entries that hold from an instant on: which of them holds."""

from dataclasses import dataclass

import pytest

from sublet.api.dated import holding, in_order
from sublet.api.times import Millis


@dataclass(frozen=True)
class Entry:
    effective_time: Millis
    name: str


FIRST, LAST, LATER = Entry(Millis(1), "first"), Entry(Millis(1), "last"), Entry(Millis(2), "later")


@pytest.mark.parametrize(("at_ms", "found"), [(0, None), (1, LAST), (2, LATER), (9, LATER)])
def test_the_latest_that_has_begun_holds_and_of_one_instant_the_last(at_ms: int, found):
    assert holding([LATER, FIRST, LAST], Millis(at_ms)) == found


def test_in_order_the_last_of_one_instant_stays_the_last():
    assert in_order([LATER, FIRST, LAST]) == (FIRST, LAST, LATER)
