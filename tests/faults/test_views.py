"""Old views: what a watch shows while it is held back, and after."""

import json

import pytest

from tests.faults.plan import OLD_VIEWS
from tests.faults.views import Stream, View, coalesced


class Watcher:
    """What a watch's reader was sent."""

    def __init__(self, view: View, pid: int = 1) -> None:
        self.lines: list[str] = []
        self.is_gone = False
        self.stream = Stream(view, self._take, pid)

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


async def test_a_silent_watch_says_nothing_and_the_one_that_follows_it_is_sound(view: View):
    silent = Watcher(view)
    view.silence()
    await silent.sees(event("ADDED", "a", 1), event("BOOKMARK", "", 2))
    assert silent.lines == []

    silent.stream.close()
    following = Watcher(view)
    await following.sees(event("ADDED", "a", 1))
    assert following.lines == ["ADDED a@1"]


async def test_a_watch_that_follows_a_silent_one_with_nothing_to_say_is_silent_too(view: View):
    silent = Watcher(view)
    view.silence()
    await silent.sees(event("BOOKMARK", "", 1))
    silent.stream.close()

    following = Watcher(view)
    await following.sees(event("ADDED", "a", 2))
    assert following.lines == []


async def test_what_a_silent_watch_kept_is_said_when_it_goes_on(view: View):
    watcher = Watcher(view)
    view.silence()
    await watcher.sees(event("ADDED", "a", 1))
    await view.thaw(coalesce=False)
    await watcher.sees(event("MODIFIED", "a", 2))
    assert watcher.lines == ["ADDED a@1", "MODIFIED a@2"]


class TestWhetherAnOldViewWasShown:
    """A plan in which nobody met anything old has tried nothing, whatever it ended in."""

    @pytest.mark.parametrize("action", sorted(OLD_VIEWS))
    def test_not_before_anything_happened(self, view: View, action: str):
        view.freeze(5)
        assert not view.was_shown(action)

    async def test_stale_to_an_operator_that_began_with_it_while_there_was_something_newer(
        self, view: View
    ):
        view.freeze(5, [1])
        view.note_question(2, is_list=True)
        await Watcher(view, 2).sees(event("MODIFIED", "a", 6))
        assert view.was_shown("stale")

    async def test_not_stale_to_the_one_that_ran_before(self, view: View):
        view.freeze(5, [1])
        view.note_question(1, is_list=True)
        await Watcher(view, 1).sees(event("MODIFIED", "a", 6))
        assert not view.was_shown("stale")

    async def test_not_stale_to_one_that_never_listed_it(self, view: View):
        view.freeze(5, [1])
        await Watcher(view, 2).sees(event("MODIFIED", "a", 6))
        assert not view.was_shown("stale")

    async def test_not_stale_where_nothing_was_newer(self, view: View):
        view.freeze(5, [1])
        view.note_question(2, is_list=True)
        await Watcher(view, 2).sees(event("MODIFIED", "a", 4), event("BOOKMARK", "", 7))
        assert not view.was_shown("stale")

    async def test_not_stale_where_the_list_came_after_the_thaw(self, view: View):
        view.freeze(5, [1])
        await Watcher(view, 1).sees(event("MODIFIED", "a", 6))
        await view.thaw(coalesce=False)
        view.note_question(2, is_list=True)
        assert not view.was_shown("stale")

    async def test_unobserved_where_two_changes_of_an_object_became_one(self, view: View):
        view.freeze(1)
        await Watcher(view).sees(event("MODIFIED", "n", 2), event("MODIFIED", "n", 3))
        await view.thaw(coalesce=True)
        assert view.was_shown("unobserved")

    async def test_not_unobserved_where_each_object_changed_once(self, view: View):
        view.freeze(1)
        await Watcher(view).sees(
            event("MODIFIED", "n", 2), event("MODIFIED", "m", 3), event("BOOKMARK", "", 4)
        )
        await view.thaw(coalesce=True)
        assert not view.was_shown("unobserved")

    async def test_not_unobserved_where_all_was_shown_after_all(self, view: View):
        view.freeze(1)
        await Watcher(view).sees(event("MODIFIED", "n", 2), event("MODIFIED", "n", 3))
        await view.thaw(coalesce=False)
        assert not view.was_shown("unobserved")

    async def test_replayed_where_an_event_came_again(self, view: View):
        view.doubled = view.replayed = True
        await Watcher(view).sees(event("BOOKMARK", "", 1))
        assert not view.was_shown("replayed")

        await Watcher(view).sees(event("ADDED", "a", 2))
        assert view.was_shown("replayed")

    async def test_gone_where_a_watch_was_open_to_hear_it(self, view: View):
        await view.expire()
        assert not view.was_shown("gone")

        Watcher(view)
        await view.expire()
        assert view.was_shown("gone")

    async def test_stalled_where_an_operator_left_what_kept_something_from_it_and_asked_anew(
        self, view: View
    ):
        watcher = Watcher(view)
        view.silence()
        await watcher.sees(event("ADDED", "a", 1))
        view.note_question(1, is_list=True)
        assert not view.was_shown("stalled")

        watcher.stream.close()
        assert not view.was_shown("stalled")

        view.note_question(1, is_list=False)
        assert view.was_shown("stalled")

    async def test_not_stalled_where_the_watch_had_nothing_to_say(self, view: View):
        watcher = Watcher(view)
        view.silence()
        await watcher.sees(event("BOOKMARK", "", 1))
        watcher.stream.close()
        view.note_question(1, is_list=True)
        assert not view.was_shown("stalled")
