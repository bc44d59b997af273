"""What a killed export left is cleared up by the next one; what another one is still writing is not."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

from sublet.export.sink.drafts import Drafts

MADE_AND_KILLED = """
import os, pathlib, signal, sys
from sublet.export.sink.drafts import Drafts
draft = Drafts(pathlib.Path(sys.argv[1]), ".draft-").new()
draft.write_bytes(b"half a bill")
os.kill(os.getpid(), signal.SIGKILL)
"""


def names(folder):
    return {p.name for p in folder.iterdir()}


def test_what_a_killed_process_left_goes_with_the_next_ones_first_draft(tmp_path):
    subprocess.run([sys.executable, "-c", MADE_AND_KILLED, str(tmp_path)], check=False)
    [left] = names(tmp_path)
    draft = Drafts(tmp_path, ".draft-").new()
    assert names(tmp_path) == {draft.name} != {left}


def test_what_another_is_writing_stays(tmp_path):
    other = Drafts(tmp_path, ".draft-").new()
    draft = Drafts(tmp_path, ".draft-").new()
    assert names(tmp_path) == {other.name, draft.name}


def test_files_of_other_names_stay(tmp_path):
    (tmp_path / "bill").write_text("")
    draft = Drafts(tmp_path, ".draft-").new()
    assert names(tmp_path) == {"bill", draft.name}


def test_a_link_in_the_place_of_a_draft_is_not_followed(tmp_path):
    (tmp_path / "bill").write_text("")
    (tmp_path / ".draft-x").symlink_to(tmp_path / "bill")
    Drafts(tmp_path, ".draft-").new()
    assert {"bill", ".draft-x"} < names(tmp_path)


def test_a_draft_that_was_renamed_is_nobodys_to_delete(tmp_path):
    mine = Drafts(tmp_path, ".draft-")
    draft = mine.new()
    draft.replace(tmp_path / "bill")
    mine.release(draft)
    mine.drop(draft)
    assert names(tmp_path) == {"bill"}


def test_a_file_that_another_swept_before_it_was_locked_is_made_again(tmp_path, monkeypatch):
    swept: list[Path] = []
    lock = fcntl.flock

    def sweep_first(handle, how):
        if not swept:
            [path] = tmp_path.iterdir()
            swept.append(path)
            path.unlink()
        lock(handle, how)

    monkeypatch.setattr(fcntl, "flock", sweep_first)
    draft = Drafts(tmp_path, ".draft-").new()
    assert swept
    assert draft.exists()


def test_where_nothing_can_be_locked_nothing_is_swept(tmp_path, monkeypatch):
    left = tmp_path / ".draft-left"
    left.write_text("")

    def refuse(handle, how):
        raise OSError(os.strerror(95))

    monkeypatch.setattr(fcntl, "flock", refuse)
    assert Drafts(tmp_path, ".draft-").new().exists()
    assert left.exists()
