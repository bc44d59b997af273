"""A SQLite ledger's schema is made, or brought up to date, whole or not at all: a power cut or a full disk leaves one that opens."""

import asyncio
import shutil
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from sublet.store.database import migrate, open_engine
from sublet.store.sql import SqlLedger
from tests.builders.lines import TEXTS, fact

_OF_0002 = ("identity", "cursors", "notices", "audit")


def url_of(folder: Path) -> str:
    return f"sqlite:///{folder}/ledger.sqlite"


def opened(folder: Path) -> list[str]:
    """Return whose lines a ledger has, once it was opened."""

    async def read() -> list[str]:
        ledger = SqlLedger(url_of(folder))
        try:
            return [str(f.claim_uid) for f in await ledger.facts()]
        finally:
            await ledger.close()

    return asyncio.run(read())


def put_back_to_0001(folder: Path) -> None:
    drops = [f"DROP TABLE {name};" for name in _OF_0002]
    with closing(sqlite3.connect(folder / "ledger.sqlite")) as connection:
        connection.executescript(
            f"{''.join(drops)} UPDATE alembic_version SET version_num = '0001'; VACUUM;"
        )


@pytest.fixture(params=["empty", "0001"])
def before(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, list[str]]:
    """A folder whose ledger isn't this version's yet, and whose lines it has."""
    folder = tmp_path / "before"
    folder.mkdir()
    if request.param == "empty":
        return folder, []

    async def write() -> None:
        ledger = SqlLedger(url_of(folder))
        await ledger.append([fact(c) for c in "abc"], TEXTS)
        await ledger.close()

    asyncio.run(write())
    put_back_to_0001(folder)
    return folder, ["a", "b", "c"]


def test_a_power_cut_after_any_statement_leaves_a_ledger_that_opens(
    before: tuple[Path, list[str]], tmp_path: Path
):
    folder, lines = before
    cuts: list[Path] = []
    engine = open_engine(url_of(folder))

    def cut(*_: Any) -> None:
        cuts.append(tmp_path / f"cut-{len(cuts)}")
        shutil.copytree(folder, cuts[-1], ignore=shutil.ignore_patterns("*-shm"))

    event.listen(engine, "after_cursor_execute", cut)
    migrate(engine)
    engine.dispose()

    assert len(cuts) > len(_OF_0002)
    assert [opened(each) for each in cuts] == [lines] * len(cuts)


@pytest.mark.parametrize("room", range(0, 24, 3))
def test_a_disk_that_fills_up_leaves_a_ledger_that_opens_once_there_is_room(
    before: tuple[Path, list[str]], room: int
):
    folder, lines = before
    engine = open_engine(url_of(folder))

    def limit(connection: Any, _: object) -> None:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages + room}")

    event.listen(engine, "connect", limit)
    with suppress(OperationalError):
        migrate(engine)
    engine.dispose()

    assert opened(folder) == lines
