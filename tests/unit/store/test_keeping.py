"""Where a ledger's backup and what is restored from it are put, and who may read them."""

from pathlib import Path

import pytest

from sublet.ledger.port import LedgerUnavailable
from sublet.store.database import migrate, open_engine
from sublet.store.keeping import backup, restore


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A ledger without a line."""
    found = f"sqlite:///{tmp_path}/ledger.sqlite"
    engine = open_engine(found)
    migrate(engine)
    engine.dispose()
    return found


def test_a_restored_ledger_is_for_its_owners_eyes_as_the_backup_is(url: str, tmp_path: Path):
    backup(url, tmp_path / "backup")
    restore(f"sqlite:///{tmp_path}/restored.sqlite", tmp_path / "backup")

    modes = {each.name: each.stat().st_mode & 0o777 for each in tmp_path.glob("[br]*")}
    assert modes["restored.sqlite"] == modes["backup"] == 0o600
    assert set(modes.values()) == {0o600}


def test_a_ledger_that_is_there_keeps_the_mode_that_it_was_given(url: str, tmp_path: Path):
    (tmp_path / "ledger.sqlite").chmod(0o640)
    backup(url, tmp_path / "backup")
    restore(url, tmp_path / "backup")

    assert (tmp_path / "ledger.sqlite").stat().st_mode & 0o777 == 0o640


def test_a_folder_that_isnt_there_is_the_databases_trouble(url: str, tmp_path: Path):
    backup(url, tmp_path / "backup")

    with pytest.raises(LedgerUnavailable, match="unable to open database file"):
        restore("sqlite:////nowhere/ledger.sqlite", tmp_path / "backup")


def test_a_backup_goes_where_a_link_leads(url: str, tmp_path: Path):
    (tmp_path / "there").mkdir()
    link = tmp_path / "backup"
    link.symlink_to(tmp_path / "there" / "today")
    backup(url, link)

    assert link.is_symlink()
    assert [each.name for each in (tmp_path / "there").iterdir()] == ["today"]
