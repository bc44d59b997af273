"""Nodes that fail while our clock is wrong: what it noted holds no replacement up, and hastens none."""

from dataclasses import replace

import pytest

from sublet.book.decisions import Degrade, Relocate
from sublet.book.failures import REPLACE_AFTER_MS
from sublet.book.plan import plan
from tests.builders.api import NOW
from tests.builders.fleet import after, view
from tests.builders.moves import CLASSES, decided, leased, on_sick_node, running

AHEAD_MS = 30 * 24 * 3_600_000
"""By so much our clock was ahead for a moment."""


def test_a_failure_that_was_told_by_a_clock_that_was_ahead_is_told_anew_and_replaced_after_that():
    west = on_sick_node(leased("west", committed=16), since_ms=NOW + AHEAD_MS)
    busy = running(west, replacement="OnFailure")
    first = view([busy], [west], classes=CLASSES, now_ms=NOW + AHEAD_MS)
    told = replace(after(first, plan(first)), now_ms=NOW)

    (again,) = decided(told)
    seen = after(told, plan(told))

    assert isinstance(again, Degrade)
    assert plan(seen).next_due_ms == NOW + REPLACE_AFTER_MS
    assert decided(replace(seen, now_ms=NOW + REPLACE_AFTER_MS - 1)) == []
    (made,) = decided(replace(seen, now_ms=NOW + REPLACE_AFTER_MS))
    assert isinstance(made, Relocate)


def test_a_clock_that_is_behind_for_a_moment_replaces_nothing_early():
    west = on_sick_node(leased("west", committed=16))
    busy = running(west, replacement="OnFailure")
    first = view([busy], [west], classes=CLASSES)
    seen = replace(after(first, plan(first)), now_ms=NOW - AHEAD_MS)
    told = after(seen, plan(seen))

    assert decided(replace(told, now_ms=NOW + REPLACE_AFTER_MS - 1)) == []
    (made,) = decided(replace(told, now_ms=NOW + REPLACE_AFTER_MS))
    assert isinstance(made, Relocate)


@pytest.mark.parametrize("ahead", [0, 3], ids=["the claim's node", "another node"])
def test_a_node_of_which_a_clock_that_was_ahead_said_when_it_failed_counts_with_all_others(
    ahead: int,
):
    west = leased("west", count=4)
    for index in (0, 3):
        since_ms = NOW + AHEAD_MS if index == ahead else NOW - 3_600_000
        west = on_sick_node(west, index, since_ms)
    busy = running(west, replacement="OnFailure")

    (made,) = decided(view([busy], [west], classes=CLASSES))

    assert isinstance(made, Degrade)
    assert "many nodes of the lease failed at once" in made.message
