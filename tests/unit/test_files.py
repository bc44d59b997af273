"""A file is replaced as a whole, where it is, and what is no file is written into."""

import os
from pathlib import Path
from threading import Thread

import pytest

from sublet.files import replaced


def write(path: Path, text: str = "new") -> None:
    with replaced(path) as draft:
        draft.write_text(text)


def hidden_in(folder: Path) -> list[str]:
    return [each.name for each in folder.iterdir() if each.name.startswith(".")]


@pytest.mark.parametrize("before", [None, 0o644])
def test_a_file_is_for_its_owners_eyes_whatever_was_there(tmp_path: Path, before: int | None):
    path = tmp_path / "file"
    if before is not None:
        path.write_text("old")
        path.chmod(before)
    write(path)

    assert (path.read_text(), path.stat().st_mode & 0o777) == ("new", 0o600)
    assert hidden_in(tmp_path) == []


@pytest.mark.parametrize("is_there", [True, False])
def test_a_link_stays_one_and_the_file_is_made_where_it_leads(tmp_path: Path, is_there: bool):
    there = tmp_path / "there"
    there.mkdir()
    if is_there:
        (there / "file").write_text("old")
    link = tmp_path / "link"
    link.symlink_to(there / "file")
    with replaced(link) as draft:
        assert draft.parent == there  # so it is never moved from one disk to another
        draft.write_text("new")

    assert link.is_symlink()
    assert (there / "file").read_text() == "new"


def test_an_error_leaves_what_was_there_and_no_draft(tmp_path: Path):
    path = tmp_path / "file"
    path.write_text("old")

    def break_off() -> None:
        with replaced(path) as draft:
            draft.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        break_off()
    assert path.read_text() == "old"
    assert hidden_in(tmp_path) == []


def test_a_pipe_is_given_the_text_and_stays_a_pipe(tmp_path: Path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    found: list[str] = []
    reader = Thread(target=lambda: found.append(pipe.read_text()))
    reader.start()
    write(pipe)
    reader.join()

    assert found == ["new"]
    assert pipe.is_fifo()


def test_what_a_shell_calls_standard_output_is_given_the_text():
    reading, writing = os.pipe()
    write(Path(f"/proc/self/fd/{writing}"))
    os.close(writing)

    with os.fdopen(reading) as pipe:
        assert pipe.read() == "new"


def test_a_folder_is_no_place_for_a_file(tmp_path: Path):
    with pytest.raises(IsADirectoryError):
        write(tmp_path)

    assert list(tmp_path.iterdir()) == []
