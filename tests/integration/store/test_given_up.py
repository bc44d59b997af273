"""A hub that is older than the ledger tells anew what of a window was given up too late: each hour is charged once."""

from collections.abc import Iterable
from dataclasses import replace

import pytest

from sublet.ledger.entry import Entry, EntryKind, EntryType, Fact
from sublet.ledger.interval import intervals
from sublet.store.appending import head_of, insert_entries
from sublet.store.database import open_engine
from sublet.store.rows import row_of
from sublet.store.sql import SqlLedger, begin
from tests.builders.lines import TEXTS, fact

pytestmark = pytest.mark.postgres

Hours = tuple[int, int]
Charge = tuple[str, int, int, int]
"""(lease, sequence, from hour, until hour)"""


def told(*hours: Hours, lease: str = "west", sequence: int = 1, claim: str = "a") -> list[Fact]:
    """What a claim's status calls for that says so of its window."""
    edges = ((e, x) for pair in hours for e, x in zip((EntryType.OPEN, EntryType.CLOSE), pair, strict=True))  # fmt: skip
    return [
        replace(fact(claim, at, type_=e), kind=EntryKind.CANCELLED, lease_uid=lease, sequence=sequence)
        for e, at in edges
    ]  # fmt: skip


async def charged(url: str, *history: list[Fact]) -> list[Charge]:
    """What the ledger charges after it was told of each state, each twice; it must prove itself."""
    ledger = SqlLedger(url)
    for facts in history:
        await ledger.append(facts, TEXTS)
        assert await ledger.append(facts, TEXTS) == 0
    proof, found = await ledger.verify(), charges(await ledger.facts())
    await ledger.close()
    assert proof.fault is None
    return found


def charges(facts: Iterable[Fact]) -> list[Charge]:
    found = []
    for each in intervals(facts):
        assert each.end_ms is not None
        found.append((str(each.lease_uid), each.sequence, each.start_ms, each.end_ms))
    return sorted(found)


async def test_a_window_that_is_given_up_whole_is_charged_for_what_wasnt_charged_before(url: str):
    assert await charged(url, told((9, 12)), told((4, 12))) == [("west", 1, 4, 9), ("west", 1, 9, 12)]  # fmt: skip


async def test_a_window_that_is_shortened_otherwise_and_given_up_has_each_hour_charged_once(
    url: str,
):
    found = await charged(url, told((9, 12)), told((10, 12)), told((10, 12), (4, 10)))

    assert found == [("west", 1, 4, 9), ("west", 1, 9, 12)]


async def test_what_reaches_over_both_edges_of_what_is_charged_is_charged_on_both_sides(url: str):
    found = await charged(url, told((9, 12)), told((8, 13)))

    assert found == [("west", 1, 8, 9), ("west", 1, 9, 12), ("west", 1, 12, 13)]


async def test_what_begins_as_what_is_charged_and_lasts_longer_is_charged_from_its_end(url: str):
    assert await charged(url, told((9, 12)), told((9, 13))) == [("west", 1, 9, 12), ("west", 1, 12, 13)]  # fmt: skip


async def test_each_lease_of_a_window_is_charged(url: str):
    both = [*told((4, 12)), *told((4, 12), lease="east")]

    assert await charged(url, both) == [("east", 1, 4, 12), ("west", 1, 4, 12)]


async def test_what_the_promise_was_moved_to_and_charged_there_is_charged_nowhere_else(url: str):
    """After the backup: the hub has the promise where it was before."""
    found = await charged(url, told((9, 12), lease="east", sequence=2), told((4, 12)))

    assert found == [("east", 2, 9, 12), ("west", 1, 4, 9)]


async def test_a_later_reservation_of_the_same_hours_is_charged_for_itself(url: str):
    found = await charged(url, told((4, 12)), told((4, 12), sequence=2))

    assert found == [("west", 1, 4, 12), ("west", 2, 4, 12)]


async def test_another_claims_hours_are_its_own(url: str):
    await charged(url, told((9, 12)))

    assert len(await charged(url, told((4, 12), claim="b"))) == 2


async def test_half_a_pair_is_never_written(url: str):
    opened, closed = told((4, 12))

    assert await charged(url, [opened], [closed]) == []


async def test_half_a_pair_that_an_older_version_wrote_gets_its_end(url: str):
    (opened, _) = told((4, 12))
    ledger = SqlLedger(url)
    await ledger.append([], TEXTS)
    await ledger.close()
    engine = open_engine(url)
    with begin(engine) as connection:
        line = Entry(1, opened, head_of(connection)[1])
        insert_entries(connection, [row_of(line, opened.id, line.hash)])
    engine.dispose()

    assert await charged(url, told((4, 12))) == [("west", 1, 4, 12)]
