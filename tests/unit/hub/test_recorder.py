"""Passes on disk: whole files, so many of them, and never a fault that reaches the pass."""

import stat
from dataclasses import replace
from pathlib import Path

import pytest
import structlog

from sublet.api.times import Millis
from sublet.book.decisions import Plan
from sublet.book.plan import plan
from sublet.book.view import View
from sublet.book.warm import Book
from sublet.hub.recorder import Recorder
from sublet.record.passes import lines_of, read_pass, replay
from tests.builders.api import NOW, as_claim, as_lease, claim
from tests.builders.fleet import after, inventory, nodes, reserve_of, view

WEST = as_lease()
SEEN = view([as_claim()], [(WEST, inventory(WEST, nodes(WEST, 2)))])

LATER = "2026-11-22T09:30:00Z"


def later(seen: View, seconds: int) -> View:
    return replace(seen, now_ms=Millis(seen.now_ms + seconds * 1_000))


def names_in(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


async def test_a_pass_that_decided_something_becomes_a_file_that_can_be_replayed(tmp_path: Path):
    made, keeper = plan(SEEN), Recorder(tmp_path / "new" / "passes", 5)
    keeper(SEEN, made)
    await keeper.close()

    [name] = names_in(tmp_path / "new" / "passes")
    file = tmp_path / "new" / "passes" / name
    recorded = read_pass(file.read_text())
    assert name == "pass-20261122T100000.000Z-1.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert recorded.view == SEEN
    assert replay(recorded) == recorded.lines
    assert await keeper.last() == file.read_text()


async def test_a_pass_that_decided_only_what_was_new_is_recorded_as_one_over_everything(
    tmp_path: Path,
):
    book, keeper = Book(), Recorder(tmp_path, 5)
    seen = after(SEEN, book.plan(SEEN))
    blocked = as_claim(claim("other", gpus=64))
    seen = replace(seen, claims=(*seen.claims, blocked))
    book.plan(seen)
    seen = replace(
        seen, claims=(*seen.claims, as_claim(claim("new", gpus=64), creationTimestamp=LATER))
    )
    made = book.plan(seen)
    keeper(seen, made, is_full=book.is_full)
    await keeper.close()

    [name] = names_in(tmp_path)
    recorded = read_pass((tmp_path / name).read_text())
    assert len(made.decisions) == 1
    assert replay(recorded) == recorded.lines == lines_of(plan(seen))


async def test_a_pass_that_decided_otherwise_than_anew_is_an_error_in_the_log(tmp_path: Path):
    other = replace(reserve_of(plan(SEEN), SEEN.claims[0]), priority=7)
    keeper = Recorder(tmp_path, 5)
    with structlog.testing.capture_logs() as logs:
        keeper(SEEN, Plan((other,), None), is_full=False)
        await keeper.close()

    assert [log["claim_uids"] for log in logs] == [[SEEN.claims[0].metadata.uid]]


async def test_the_oldest_files_are_removed(tmp_path: Path):
    (tmp_path / "ledger.sqlite").touch()
    (tmp_path / ".pass-killed").touch()
    for seconds in range(5):
        keeper = Recorder(tmp_path, 2)
        keeper(later(SEEN, seconds), plan(later(SEEN, seconds)))
        await keeper.close()

    assert names_in(tmp_path) == [
        "ledger.sqlite",
        "pass-20261122T100003.000Z-1.json",
        "pass-20261122T100004.000Z-1.json",
    ]


async def test_passes_are_kept_after_a_clock_that_was_ahead_is_set_right(tmp_path: Path):
    for seconds in (9_000, 9_001, 0, 1, 2):
        keeper = Recorder(tmp_path, 2)
        keeper(later(SEEN, seconds), plan(later(SEEN, seconds)))
        await keeper.close()

    assert names_in(tmp_path) == [
        "pass-20261122T100001.000Z-1.json",
        "pass-20261122T100002.000Z-1.json",
    ]


async def test_of_a_burst_only_what_would_be_kept_is_written(tmp_path: Path):
    keeper = Recorder(tmp_path, 2)
    for seconds in range(5):
        keeper(later(SEEN, seconds), plan(later(SEEN, seconds)))
    await keeper.close()

    assert [name[-7:] for name in names_in(tmp_path)] == ["-4.json", "-5.json"]


async def test_what_decides_nothing_or_the_same_again_gets_no_file(tmp_path: Path):
    refused = view([as_claim(claim(gpus=64))], [])
    keeper = Recorder(tmp_path, 5)
    idle = view([], [])
    for seen in (idle, refused, idle, later(refused, 1), later(refused, 2)):
        keeper(seen, plan(seen))
    await keeper.close()

    assert len(names_in(tmp_path)) == 1


async def test_off_it_writes_nothing_and_still_knows_the_last_pass(tmp_path: Path):
    keeper = Recorder(tmp_path, 0)
    assert await keeper.last() is None
    keeper(SEEN, plan(SEEN))
    await keeper.close()

    assert names_in(tmp_path) == []
    text = await keeper.last()
    assert text is not None
    assert read_pass(text).view.now_ms == NOW


async def test_a_full_disk_is_one_warning_and_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    class Full:
        def __init__(self, descriptor, *_, **__):
            raise OSError(28, "No space left on device")

    keeper = Recorder(tmp_path, 5)
    with structlog.testing.capture_logs() as logs:
        with monkeypatch.context() as patch:
            patch.setattr("sublet.hub.recorder.os.fdopen", Full)
            for seconds in range(3):
                keeper(later(SEEN, seconds), plan(later(SEEN, seconds)))
                await keeper.close()
            assert names_in(tmp_path) == []
        keeper(later(SEEN, 9), plan(later(SEEN, 9)))
        await keeper.close()

    assert [(log["log_level"], log["event"]) for log in logs] == [
        ("warning", "passes aren't recorded"),
        ("info", "passes are recorded again"),
    ]
    assert len(names_in(tmp_path)) == 1


async def test_a_view_that_cant_be_written_is_one_warning(tmp_path: Path):
    keeper = Recorder(tmp_path, 5)
    with structlog.testing.capture_logs() as logs:
        keeper(replace(SEEN, default_tenant=7), plan(SEEN))
        await keeper.close()

    [log] = logs
    assert log["error"] == "RecordError: view.default_tenant: str wanted, int found"
