"""Old views: what a watch shows while it is held back, and after."""

import json

import pytest

from tests.faults.views import Stream, View, coalesced


class Watcher:
    """What a watch's reader was sent."""

    def __init__(self, view: View) -> None:
        self.lines: list[str] = []
        self.is_gone = False
        self.stream = Stream(view, self._take)

    async def _take(self, line: bytes) -> None:
        if self.is_gone:
            raise ConnectionResetError
        event = json.loads(line)
        meta = event["object"].get("metadata", {})
        self.lines.append(
            f"{event['type']} {meta.get('name', '')}@{meta.get('resourceVersion', '')}"
        )

    async def sees(self, *events: dict) -> None:
        for event in events:
            await self.stream.take(json.dumps(event).encode() + b"\n")


def event(kind: str, name: str, version: int) -> dict:
    return {"type": kind, "object": {"metadata": {"name": name, "resourceVersion": str(version)}}}


@pytest.fixture
def view() -> View:
    return View()


async def test_a_frozen_watch_shows_what_is_older_and_holds_back_what_is_newer(view: View):
    watcher = Watcher(view)
    view.freeze(5)
    await watcher.sees(event("ADDED", "a", 4), event("MODIFIED", "a", 6), event("BOOKMARK", "", 7))
    assert watcher.lines == ["ADDED a@4"]

    await view.thaw(coalesce=False)
    assert watcher.lines == ["ADDED a@4", "MODIFIED a@6", "BOOKMARK @7"]


async def test_what_came_and_went_while_frozen_is_never_seen(view: View):
    watcher = Watcher(view)
    view.freeze(1)
    await watcher.sees(
        event("ADDED", "gone", 2), event("MODIFIED", "kept", 3),
        event("DELETED", "gone", 4), event("MODIFIED", "kept", 5),
    )  # fmt: skip
    await view.thaw(coalesce=True)
    assert watcher.lines == ["MODIFIED kept@5"]


async def test_a_reader_that_has_gone_keeps_no_other_from_what_was_held_back(view: View):
    gone, other = Watcher(view), Watcher(view)
    view.freeze(1)
    for each in (gone, other):
        await each.sees(event("ADDED", "a", 2))
    gone.is_gone = True
    await view.thaw(coalesce=False)

    assert gone.stream.over.is_set()
    assert other.lines == ["ADDED a@2"]


def test_a_namesake_made_anew_is_seen_without_the_old_ones_deletion():
    assert coalesced([event("DELETED", "n", 2), event("ADDED", "n", 3)]) == [event("ADDED", "n", 3)]


async def test_a_replayed_watch_goes_back_and_says_everything_twice(view: View):
    watcher = Watcher(view)
    view.doubled = view.replayed = True
    await watcher.sees(event("ADDED", "a", 1), event("MODIFIED", "a", 2))
    assert watcher.lines == ["ADDED a@1", "ADDED a@1", "MODIFIED a@2", "MODIFIED a@2", "ADDED a@1"]


async def test_an_expired_watch_ends_and_so_does_the_next_to_open(view: View):
    watcher = Watcher(view)
    await view.expire()
    assert watcher.lines == ["ERROR @"]
    assert watcher.stream.over.is_set()
    assert view.gone_opens == 1
