"""What a restore makes of how the ledger stands to the backup."""

from typing import Any

import pytest

from sublet.api.times import Millis
from sublet.cli.keeping import books
from sublet.cli.keeping.archive import Archive, Position, kept, to_text
from tests.builders.api import NOW, as_tenant
from tests.builders.restored import on_the_wire

HEAD, OTHER = "f" * 64, "0" * 64


class Restore:
    """`sublet restore` of a backup that was taken at line 7, on a hub whose ledger is as a test says."""

    def __init__(self, person: Any, folder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.hub, self._person, self._monkeypatch = person.hub, person, monkeypatch
        self._file = folder / "hub.backup"
        saved = kept(on_the_wire(as_tenant(), "GpuTenant"))
        backup = Archive("hub", Millis(NOW), Position(7, HEAD), (), (saved,))
        self._file.write_text(to_text(backup))

    def run(self, *arguments: str, entries: int, line: str) -> tuple[int, str, str]:
        async def fetch(_: str, path: str, __: Any) -> dict[str, Any]:
            if path.endswith("/open"):
                return {"claims": {}}
            return {"entries": entries, "head": line, "hash": line}

        self._monkeypatch.setattr(books, "fetch", fetch)
        given = ("restore", self._file, "--admin", "http://127.0.0.1:1", *arguments)
        said: tuple[int, str, str] = self._person.run(*given)
        return said


@pytest.fixture
def restore(person, tmp_path, monkeypatch) -> Restore:
    return Restore(person, tmp_path, monkeypatch)


@pytest.mark.parametrize("option", [(), ("--yes",), ("--dry-run",)])
def test_beside_another_ledger_nothing_is_restored(restore: Restore, option: tuple[str, ...]):
    status, _, said = restore.run(*option, entries=9, line=OTHER)

    assert status != 0
    assert "the ledger is another one: line 7 isn't the backup's, so nothing was written" in said
    assert len(said.strip().splitlines()) == 1
    assert {method for method, *_ in restore.hub.requests} <= {"GET"}


def test_whoever_has_no_other_ledger_restores_without_one(restore: Restore):
    status, said, _ = restore.run("--without-ledger", "--dry-run", entries=9, line=OTHER)

    assert (status, "nothing was written (--dry-run)" in said) == (0, True)


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        (9, "the ledger goes on from the backup: 9 lines, 2 of them since"),
        (5, "the ledger is older than the backup: 5 lines of 7"),
    ],
)
def test_the_ledger_of_the_backup_is_gone_on_with(restore: Restore, entries: int, said: str):
    status, shown, _ = restore.run("--dry-run", entries=entries, line=HEAD)

    assert status == 0
    assert said in shown
