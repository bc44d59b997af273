"""A ledger that is damaged, put back or full: said with what to do, nothing appended to it, and nothing lost."""

import shutil
from pathlib import Path

import pytest

from sublet.api.ids import ClaimUID
from sublet.api.times import Millis
from sublet.ledger.port import LedgerUnavailable
from sublet.store.keeping import backup, restore
from sublet.store.outbox import ENTRIES, SqlOutbox
from sublet.store.sql import SqlLedger
from sublet.store.trail import SqlTrail
from tests.builders.lines import TEXTS, execute, fact, record

pytestmark = pytest.mark.postgres


async def made(url: str, *claims: str) -> None:
    """Make a ledger with a line for each claim."""
    ledger = SqlLedger(url)
    await ledger.append([fact(c) for c in claims], TEXTS)
    await ledger.close()


async def is_refused(url: str, says: str) -> None:
    """Neither a line nor an intent is taken, each time it is tried."""
    ledger = SqlLedger(url)
    for _ in range(2):
        with pytest.raises(LedgerUnavailable, match=says):
            await ledger.append([fact("new")], TEXTS)
        with pytest.raises(LedgerUnavailable, match=says):
            await ledger.intend_bound(ClaimUID("new"), 1, Millis(5))
    await ledger.close()


async def test_a_bind_that_waits_is_enough_for_a_ledger_to_be_known_to_take_nothing(url: str):
    await made(url, "a", "b")
    execute(url, "DELETE FROM entries WHERE seq = 1")
    ledger = SqlLedger(url)
    with pytest.raises(LedgerUnavailable):
        await ledger.intend_bound(ClaimUID("new"), 1, Millis(5))

    assert ledger.takes_nothing
    await ledger.close()


async def test_nothing_is_appended_after_a_gap_and_a_backup_mends_it(url: str, tmp_path: Path):
    await made(url, "a", "b", "c")
    backup(url, tmp_path / "file")
    execute(url, "DELETE FROM entries WHERE seq = 2")

    await is_refused(url, "line 2 is missing; stop the operator, keep this database as it is")

    execute(url, "DELETE FROM entries")
    assert restore(url, tmp_path / "file").added == 3
    await made(url, "d")


async def test_a_gap_at_the_beginning_is_a_gap_too(url: str):
    await made(url, "a", "b")
    execute(url, "DELETE FROM entries WHERE seq = 1")

    await is_refused(url, "line 1 is missing")


async def test_a_ledger_that_was_put_back_while_the_operator_runs_is_not_gone_on_with(url: str):
    ledger = SqlLedger(url)
    await ledger.append([fact("a"), fact("b")], TEXTS)
    execute(url, "DELETE FROM entries WHERE seq = 2")

    with pytest.raises(LedgerUnavailable, match="ends at line 1, but line 2 was written"):
        await ledger.append([fact("c")], {})
    with pytest.raises(LedgerUnavailable, match="ends at line 1, but line 2 was written"):
        await ledger.intend_bound(ClaimUID("c"), 1, Millis(5))
    assert len(await ledger.facts()) == 1
    await ledger.close()


async def test_a_file_that_was_cut_says_what_to_do(tmp_path: Path):
    file = tmp_path / "ledger.sqlite"
    await made(f"sqlite:///{file}", *(f"c{i}" for i in range(2_000)))
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])

    await is_refused(f"sqlite:///{file}", "its file is damaged: stop the operator")


async def test_a_file_with_nonsense_in_the_middle_is_found_by_a_proof(tmp_path: Path):
    file = tmp_path / "ledger.sqlite"
    await made(f"sqlite:///{file}", *(f"c{i}" for i in range(2_000)))
    whole = bytearray(file.read_bytes())
    for page in range(20, len(whole) // 4_096, 7):
        whole[page * 4_096 : page * 4_096 + 512] = b"\xff" * 512
    file.write_bytes(whole)
    ledger = SqlLedger(f"sqlite:///{file}")

    with pytest.raises(LedgerUnavailable, match="its file is damaged"):
        await ledger.verify()
    await ledger.close()


async def test_a_write_ahead_log_that_was_cut_loses_its_end_and_what_claims_call_for_is_written_again(
    tmp_path: Path,
):
    there, copy = tmp_path / "ledger.sqlite", tmp_path / "copy.sqlite"
    running = SqlLedger(f"sqlite:///{there}")
    for claim in "abcdef":
        await running.append([fact(claim)], TEXTS)
    copy_cut(there, copy)
    whole = [e.fact for e in await running.read_entries()]
    await running.close()

    ledger = SqlLedger(f"sqlite:///{copy}")
    left = await ledger.facts()
    assert left == whole[: len(left)]
    assert len(left) < len(whole)
    assert (await ledger.verify()).fault is None
    await ledger.append(whole, TEXTS)
    assert await ledger.facts() == whole
    await ledger.close()


def copy_cut(there: Path, copy: Path) -> None:
    """Copy a database with its write-ahead log, whose end is missing."""
    wal = Path(f"{there}-wal").read_bytes()
    shutil.copyfile(there, copy)
    Path(f"{copy}-wal").write_bytes(wal[: len(wal) - 4_096 * 5 - 100])


async def test_a_full_disk_holds_up_the_trail_and_the_cursor_too_and_costs_nothing(tmp_path: Path):
    ledger = SqlLedger(f"sqlite:///{tmp_path}/ledger.sqlite")
    trail, box = SqlTrail(ledger), SqlOutbox(ledger)
    await ledger.append([fact("a")], TEXTS)
    many = [record(f"key-{i}") for i in range(2_000)]
    limit(ledger, pages=None)
    with pytest.raises(LedgerUnavailable, match=r"its disk is full: make room; new binds wait"):
        await trail.record(many)
    with pytest.raises(LedgerUnavailable, match="its disk is full"):
        await ledger.append([fact(f"c{i}") for i in range(2_000)], {}, many)
    limit(ledger, pages=4_294_967_294)

    assert await trail.lines() == []
    assert await ledger.append([fact(f"c{i}") for i in range(2_000)], {}, many) == 2_000
    await box.advance(ENTRIES, 1)
    assert len(await trail.lines()) == 2_000
    assert ((await ledger.verify()).fault, (await trail.verify()).fault) == (None, None)
    await ledger.close()


def limit(ledger: SqlLedger, *, pages: int | None) -> None:
    """Allow no page more than this, or than there are now."""
    with ledger._engine.connect() as connection:
        now = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages or now}")


async def test_a_bad_line_of_one_caller_is_its_own(url: str):
    ledger = SqlLedger(url)
    await ledger.append([fact("a")], TEXTS)
    odd = fact("odd")
    object.__setattr__(odd, "gpus", "many")

    with pytest.raises(ValueError, match="format code"):
        await ledger.append([odd], {})

    assert await ledger.append([fact("b")], {}) == 1
    await ledger.close()
