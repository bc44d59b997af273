"""A ledger's backup: the same bytes for the same ledger, into any store, and nothing is ever overwritten."""

import gzip
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO

import pytest

from sublet.api.ids import ClaimUID
from sublet.api.times import Millis
from sublet.ledger.entry import EntryType
from sublet.ledger.notice import News
from sublet.ledger.port import LedgerUnavailable
from sublet.ledger.terms import content_hash
from sublet.store import keeping
from sublet.store.archive import BadArchive, Header, Item, check_archive
from sublet.store.keeping import NotABeginning, backup, restore
from sublet.store.outbox import ENTRIES, SqlOutbox
from sublet.store.sql import SqlLedger
from sublet.store.trail import SqlTrail
from tests.builders.lines import TEXTS, execute, fact, mark, record
from tests.integration.store.conftest import emptied

pytestmark = pytest.mark.postgres


async def filled(url: str, claims: tuple[str, ...] = ("a", "b")) -> None:
    """Make a ledger that has something of everything, or go on with one."""
    ledger = SqlLedger(url)
    await ledger.append([fact(c) for c in claims], TEXTS)
    await ledger.append([fact(claims[0], 9, type_=EntryType.CLOSE), mark("west", 7, 16)], {})
    await ledger.intend_bound(ClaimUID(claims[0]), 2, Millis(5))
    await SqlTrail(ledger).record([record(c) for c in claims])
    outbox = SqlOutbox(ledger)
    await outbox.notify([News("claim.ending", claims[0], Millis(8), {"reason": "EndsWithin1Hour"})])
    await outbox.advance(ENTRIES, 2)
    await ledger.close()


def other(request: pytest.FixtureRequest, url: str, tmp_path: Path) -> str:
    """Return an empty database of the other kind."""
    if url.startswith("sqlite"):
        return emptied(request.getfixturevalue("server"))
    return f"sqlite:///{tmp_path}/other.sqlite"


def hidden_in(folder: Path) -> list[str]:
    return [p.name for p in folder.iterdir() if p.name.startswith(".")]


async def test_the_same_ledger_gives_the_same_bytes(url: str, tmp_path: Path):
    await filled(url)

    first = backup(url, tmp_path / "first")
    backup(url, tmp_path / "second")

    assert (first.entries, first.audit) == (4, 2)
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()
    assert (tmp_path / "first").stat().st_mode & 0o777 == 0o600


async def test_a_closed_period_of_very_many_charges_comes_back_from_a_backup(
    url: str, tmp_path: Path
):
    period = "x" * 20_000_000
    hash_ = content_hash(period)
    ledger = SqlLedger(url)
    await ledger.append([replace(fact("a"), price_hash=hash_)], TEXTS | {hash_: period})
    await ledger.close()

    backup(url, tmp_path / "big")

    assert check_archive(tmp_path / "big").entries == 1


async def test_a_backup_that_cant_be_read_again_leaves_the_older_one(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    await filled(url)
    backup(url, tmp_path / "kept")
    before = (tmp_path / "kept").read_bytes()

    def spoil(file: IO[bytes], header: Header, items: Iterator[Item]) -> None:
        file.write(before[:-9])

    monkeypatch.setattr(keeping, "write_archive", spoil)
    with pytest.raises(BadArchive):
        backup(url, tmp_path / "kept")
    assert (tmp_path / "kept").read_bytes() == before
    assert hidden_in(tmp_path) == []


async def test_what_was_restored_into_the_other_kind_of_store_gives_the_same_bytes(
    url: str, tmp_path: Path, request: pytest.FixtureRequest
):
    await filled(url)
    backup(url, tmp_path / "first")
    there = other(request, url, tmp_path)

    done = restore(there, tmp_path / "first")
    backup(there, tmp_path / "second")

    assert done.added == 4
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()


async def test_a_restore_again_adds_nothing_and_a_newer_backup_adds_what_is_new(
    url: str, tmp_path: Path, request: pytest.FixtureRequest
):
    await filled(url)
    backup(url, tmp_path / "old")
    there = other(request, url, tmp_path)
    restore(there, tmp_path / "old")
    await filled(url, ("c", "d"))
    backup(url, tmp_path / "new")

    assert restore(there, tmp_path / "old").added == 0
    assert restore(there, tmp_path / "new").added == 3
    with pytest.raises(NotABeginning, match="it has 7 lines and the backup 4"):
        restore(there, tmp_path / "old")


async def test_another_ledger_is_never_overwritten(
    url: str, tmp_path: Path, request: pytest.FixtureRequest
):
    await filled(url)
    backup(url, tmp_path / "file")
    there = other(request, url, tmp_path)
    await filled(there, ("x", "y"))
    backup(there, tmp_path / "before")

    with pytest.raises(NotABeginning, match="its line 4 isn't the backup's; nothing was written"):
        restore(there, tmp_path / "file")

    backup(there, tmp_path / "after")
    assert (tmp_path / "before").read_bytes() == (tmp_path / "after").read_bytes()


async def test_a_ledger_whose_beginning_was_changed_is_not_added_to(
    url: str, tmp_path: Path, request: pytest.FixtureRequest
):
    await filled(url)
    backup(url, tmp_path / "file")
    there = other(request, url, tmp_path)
    restore(there, tmp_path / "file")
    execute(there, "DELETE FROM entries WHERE seq = 4", "UPDATE entries SET gpus = 1 WHERE seq = 2")

    with pytest.raises(NotABeginning, match=r"broken \(line 2 was changed.*nothing was written"):
        restore(there, tmp_path / "file")


async def test_a_broken_ledger_is_not_backed_up_and_the_old_backup_stays(url: str, tmp_path: Path):
    await filled(url)
    backup(url, tmp_path / "file")
    before = (tmp_path / "file").read_bytes()
    execute(url, "DELETE FROM entries WHERE seq = 2")

    with pytest.raises(ValueError, match=r"nothing was written: line 2 is missing \(found 3\)"):
        backup(url, tmp_path / "file")

    assert (tmp_path / "file").read_bytes() == before
    assert hidden_in(tmp_path) == []


async def test_a_file_that_was_cut_at_any_place_is_refused(tmp_path: Path):
    url = f"sqlite:///{tmp_path}/ledger.sqlite"
    await filled(url)
    backup(url, tmp_path / "file")
    whole = (tmp_path / "file").read_bytes()

    for length in range(0, len(whole) - 1, 7):
        (tmp_path / "cut").write_bytes(whole[:length])
        with pytest.raises(BadArchive):
            check_archive(tmp_path / "cut")


async def test_a_file_of_which_any_line_was_changed_or_dropped_is_refused(tmp_path: Path):
    url = f"sqlite:///{tmp_path}/ledger.sqlite"
    await filled(url)
    backup(url, tmp_path / "file")
    lines = gzip.decompress((tmp_path / "file").read_bytes()).splitlines(keepends=True)

    for place, line in enumerate(lines):
        for changed in (b"", line.replace(b"1", b"2"), line.replace(b"t", b"u")):
            if changed == line:
                continue
            made = b"".join([*lines[:place], changed, *lines[place + 1 :]])
            (tmp_path / "changed").write_bytes(gzip.compress(made))
            with pytest.raises(BadArchive):
                check_archive(tmp_path / "changed")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "it is no backup"),
        (b"hello", "it is no backup"),
        (gzip.compress(b"hello\n", mtime=0), "it is no backup"),
        (gzip.compress(b"[]\n", mtime=0), "it is no backup"),
        (
            gzip.compress(b'{"format": "sublet-ledger/2"}\n', mtime=0),
            "it is of format sublet-ledger/2",
        ),
    ],
    ids=["empty", "no archive", "text", "list", "newer"],
)
def test_a_foreign_file_is_refused(content: bytes, says: str, tmp_path: Path):
    (tmp_path / "file").write_bytes(content)

    with pytest.raises(BadArchive, match=says):
        restore(f"sqlite:///{tmp_path}/ledger.sqlite", tmp_path / "file")
    assert not (tmp_path / "ledger.sqlite").exists()


def test_a_database_that_is_away_is_said_so(tmp_path: Path):
    with pytest.raises(LedgerUnavailable, match="unable to open database file"):
        backup(f"sqlite:///{tmp_path}/none.sqlite", tmp_path / "file")
