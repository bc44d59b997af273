"""The programs that check files, as docs/focus.md shows them: ours, and the community's."""

import subprocess
import sys
from pathlib import Path

import pytest

from sublet.export.focus.run import Layout, export_tenant
from sublet.export.sink.directory import Directory
from tests.builders.charges import account, books, everything


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A tenant's files of one month, as CSV."""
    export_tenant(Directory(tmp_path), books(), account(), everything(), Layout(formats=("csv",)))
    (manifest,) = tmp_path.rglob("manifest.json")
    return manifest.parent


def test_ours_says_of_each_folder_that_it_is_in_order(folder: Path):
    done = _run(sys.executable, "-m", "sublet.export.focus", str(folder))

    assert (done.returncode, done.stdout) == (0, f"{folder}: in order\n")


def test_ours_names_a_file_that_was_changed(folder: Path):
    spoilt = next(folder.glob("invoice-detail-*"))
    spoilt.write_bytes(spoilt.read_bytes()[:-1])
    done = _run(sys.executable, "-m", "sublet.export.focus", str(folder))

    assert done.returncode == 1
    assert f"{folder}: {spoilt.name} isn't the file that was written" in done.stdout


@pytest.mark.parametrize("files", ["7", "[{}]", '["a"]', "[]", "null"])
def test_a_manifest_that_names_no_files_is_one_fault(folder: Path, files: str):
    (folder / "manifest.json").write_text(f'{{"asOf": "2026-10-01T00:00:00Z", "files": {files}}}')
    done = _run(sys.executable, "-m", "sublet.export.focus", str(folder))

    (line,) = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (1, "")
    assert line.startswith(f"{folder}: {folder}/manifest.json can't be read: ")
    assert "$.files" in line


def test_the_communitys_finds_nothing(folder: Path):
    (file,) = folder.glob("cost-and-usage-*.csv.gz")
    toolkit = str(Path(sys.executable).parent / "focus-toolkit")
    done = _run(toolkit, "validate", "--dataset", "cost-and-usage", str(file))

    assert done.returncode == 0, done.stdout + done.stderr
    assert "structural+semantic lint OK" in done.stdout


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
