"""A directory keeps files whole: old or new, never half, and a plain word if it can't."""

import errno
import os

import pytest

from sublet.export.sink.directory import Directory
from sublet.export.sink.port import SinkFailed


def write(sink, name, data):
    """Keep some bytes under a name."""
    draft = sink.draft()
    draft.write_bytes(data)
    sink.keep(draft, name)


def test_a_file_stands_under_its_name_with_folders_made_for_it(tmp_path):
    sink = Directory(tmp_path / "new")
    write(sink, "a/b/c.txt", b"hello")
    assert sink.read("a/b/c.txt") == b"hello"
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["a"]


def test_a_file_that_is_not_there_is_none(tmp_path):
    assert Directory(tmp_path).read("a") is None


def test_removing_what_is_gone_is_no_error(tmp_path):
    Directory(tmp_path).remove("a")


@pytest.mark.parametrize(
    ("number", "advice"),
    [(errno.ENOSPC, "the disk is full; make room"), (errno.EACCES, "it may not be written; give the right to"), (errno.EIO, "Input/output error")],
)  # fmt: skip
def test_a_failed_sync_leaves_the_old_file_and_says_why(tmp_path, monkeypatch, number, advice):
    sink = Directory(tmp_path)
    write(sink, "bill", b"old")

    def fail(handle):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    draft = sink.draft()
    draft.write_bytes(b"new")
    with pytest.raises(SinkFailed) as said:
        sink.keep(draft, "bill")
    assert str(said.value) == f"{tmp_path / 'bill'} could not be written: {advice}"
    sink.drop(draft)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {"bill": b"old"}


def test_a_place_that_is_no_directory_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SinkFailed, match="can't be written to"):
        Directory(tmp_path / "file").draft()


def test_a_name_that_is_a_folder_is_said(tmp_path):
    (tmp_path / "bill").mkdir()
    with pytest.raises(SinkFailed, match="could not be written"):
        write(Directory(tmp_path), "bill", b"new")
    assert (tmp_path / "bill").is_dir()
