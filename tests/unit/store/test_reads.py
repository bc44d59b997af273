"""A read of the ledger that stops early is over when its transaction is: not when memory is collected, on whatever thread."""

import gc
import inspect
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from sublet.ledger.interval import BrokenLedger
from sublet.ledger.port import LedgerUnavailable
from sublet.store.keeping import backup
from sublet.store.reading import read_books
from sublet.store.sql import SqlLedger
from tests.builders.lines import TEXTS, execute, fact


@pytest.fixture
async def url(tmp_path: Path) -> str:
    """Return a ledger whose second of five lines was taken out, opened before that."""
    found = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    ledger = SqlLedger(found)
    await ledger.append([fact(c) for c in "abcde"], TEXTS)
    await ledger.close()
    execute(found, "DELETE FROM entries WHERE seq = 2")
    return found


async def rated(url: str) -> None:
    ledger = SqlLedger(url, read_only=True)
    try:
        await read_books(ledger)
    finally:
        await ledger.close()


async def appended(url: str) -> None:
    ledger = SqlLedger(url)
    try:
        await ledger.append([fact("new")], TEXTS)
    finally:
        await ledger.close()


async def saved(url: str) -> None:
    backup(url, Path(f"{url.removeprefix('sqlite:///')}.saved"))


@pytest.mark.parametrize("read", [rated, appended, saved])
async def test_a_read_that_stops_at_a_gap_leaves_nothing_open(
    url: str, read: Callable[[str], Awaitable[None]]
):
    with pytest.raises((BrokenLedger, LedgerUnavailable, ValueError)) as stopped:
        await read(url)

    assert stopped.value.__traceback__  # what it was reading with is still held by that
    assert open_reads() == []


def open_reads() -> list[str]:
    """Return the store's generators that were begun and not ended."""
    found = [each for each in gc.get_objects() if inspect.isgenerator(each)]
    begun = [each for each in found if inspect.getgeneratorstate(each) == inspect.GEN_SUSPENDED]
    return [each.__qualname__ for each in begun if "sublet/store/sql" in each.gi_code.co_filename]
