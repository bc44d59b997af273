"""Events on claims: each once, its type from the one table, and no warning again while the last one is still shown."""

import asyncio
import re
from typing import Any

import pytest

from sublet.api.event_reasons import EVENTS, EventReason
from sublet.api.names import DNS_NAME
from sublet.hub.events import HubEvents
from sublet.kube.errors import (
    Conflict,
    Forbidden,
    KubeError,
    ServerError,
    TooManyRequests,
    Unreachable,
)
from tests.builders.api import as_claim, claim
from tests.harness.fake_api import SteppedClock

HOUR = 3_600.0


class Posted:
    """Events that wait to be posted, and the clock by which they were noted."""

    def __init__(self) -> None:
        self.clock = SteppedClock()
        self._events = HubEvents(hub=None, clock=self.clock, identity="operator-0")

    def note(self, reason: EventReason, message: str = "so it is", each=None) -> None:
        self._events.note(each or as_claim(), reason, message)

    def all(self) -> list[dict[str, Any]]:
        queue = self._events._queue
        return [queue.get_nowait()[1] for _ in range(queue.qsize())]


def test_an_event_is_about_its_claim_and_of_the_type_that_the_table_says():
    posted = Posted()
    posted.note(EventReason.BOUND)
    posted.note(EventReason.NODE_FAILED)

    first, second = posted.all()
    assert (first["type"], second["type"]) == ("Normal", "Warning")
    assert first["regarding"]["uid"] == as_claim().metadata.uid
    assert (first["reason"], first["note"]) == ("Bound", "so it is")


@pytest.mark.parametrize("letter", ["x", "ü", "名", "🌍"])
def test_a_note_is_no_longer_than_an_api_server_lets_it_be_in_bytes(letter):
    posted = Posted()
    posted.note(EventReason.NODE_FAILED, letter * 2_000)

    (event,) = posted.all()
    assert 1_000 < len(event["note"].encode()) <= 1_024
    assert {*event["note"]} == {letter}


def test_the_name_of_an_event_is_one_whatever_its_claims_name_is_cut_to():
    posted = Posted()
    posted.note(EventReason.BOUND, each=as_claim(claim("a" * 199 + "-b")))

    (event,) = posted.all()
    assert re.fullmatch(DNS_NAME, event["metadata"]["name"])
    assert "-." not in event["metadata"]["name"]


def test_a_warning_that_says_the_same_isnt_repeated_while_the_last_one_is_shown():
    posted = Posted()
    for _ in range(3):
        posted.note(EventReason.REPAIRED)
        posted.clock.seconds += HOUR / 4
    assert len(posted.all()) == 1

    posted.clock.seconds += HOUR / 4
    posted.note(EventReason.REPAIRED)
    assert len(posted.all()) == 1


def test_a_warning_that_says_something_else_or_of_another_claim_is_news():
    posted = Posted()
    posted.note(EventReason.REPAIRED)
    posted.note(EventReason.REPAIRED, "another thing")
    posted.note(EventReason.ACCESS_RENEWED)
    posted.note(EventReason.REPAIRED, each=as_claim(claim("other")))

    assert len(posted.all()) == 4


def test_what_a_claim_goes_through_twice_is_said_twice():
    posted = Posted()
    for reason in (EventReason.BOUND, EventReason.RELEASED, EventReason.BOUND):
        posted.note(reason)

    assert [x["reason"] for x in posted.all()] == ["Bound", "Released", "Bound"]


def test_so_many_warnings_are_remembered_and_no_more(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("sublet.hub.events._REMEMBERED", 2)
    posted = Posted()
    for message in ("a", "b", "c", "c", "a"):
        posted.note(EventReason.REPAIRED, message)

    assert [x["note"] for x in posted.all()] == ["a", "b", "c", "a"]


def test_every_reason_has_its_row():
    assert EVENTS.keys() == set(EventReason)


class Hub:
    """Answers the creation of each Event as it is told, then well; None is well."""

    def __init__(self, *answers: KubeError | None) -> None:
        self.answers = [*answers]
        self.created: list[str] = []
        self.has_last = asyncio.Event()

    async def create(self, path: str, body: dict[str, Any]) -> None:
        if self.answers and (error := self.answers.pop(0)) is not None:
            raise error
        self.created.append(body["reason"])
        if body["reason"] == EventReason.RELEASED:
            self.has_last.set()


async def posted_to(hub: Hub) -> list[str]:
    """Post two Events, and return the reasons of those that the hub took."""
    events = HubEvents(hub, SteppedClock(), "operator-0", again_seconds=(0, 0))
    events.note(as_claim(), EventReason.BOUND, "one")
    events.note(as_claim(), EventReason.RELEASED, "two")
    running = asyncio.create_task(events.run())
    async with asyncio.timeout(10):
        await hub.has_last.wait()
    running.cancel()
    return hub.created


@pytest.mark.parametrize(
    "error",
    [Unreachable("reset"), ServerError(503, "x", "x"), TooManyRequests(429, "x", "x")],
    ids=["no answer", "in trouble", "too busy"],
)
async def test_a_hub_in_trouble_is_told_again(error):
    assert await posted_to(Hub(error, error)) == ["Bound", "Released"]


async def test_an_event_that_was_posted_without_an_answer_isnt_posted_twice():
    assert await posted_to(Hub(Unreachable("reset"), Conflict(409, "AlreadyExists", "x"))) == [
        "Released"
    ]


async def test_an_event_that_is_refused_or_never_answered_holds_up_no_other():
    away = Unreachable("away")
    assert await posted_to(Hub(Forbidden(403, "x", "x"))) == ["Released"]
    assert await posted_to(Hub(away, away, away)) == ["Released"]


async def warned_twice(hub: Hub) -> int:
    """Give one warning twice within an hour, the second time once the first one's fate is known; return how many came."""
    events = HubEvents(hub, SteppedClock(), "operator-0", again_seconds=())
    running = asyncio.create_task(events.run())
    for _ in range(2):
        hub.has_last.clear()
        events.note(as_claim(), EventReason.RELEASE_OVERDUE, "it hangs")
        events.note(as_claim(), EventReason.RELEASED, "after it")
        async with asyncio.timeout(10):
            await hub.has_last.wait()
    running.cancel()
    return hub.created.count(EventReason.RELEASE_OVERDUE)


@pytest.mark.parametrize(
    "error", [Unreachable("away"), ServerError(503, "x", "x"), TooManyRequests(429, "x", "x")]
)
async def test_a_warning_that_a_hub_in_trouble_didnt_take_is_given_when_it_comes_up_again(error):
    assert await warned_twice(Hub(error)) == 1


async def test_a_warning_that_was_posted_or_refused_isnt_tried_again_within_the_hour():
    assert await warned_twice(Hub()) == 1

    refusing = Hub(Forbidden(403, "x", "x"))
    assert await warned_twice(refusing) == 0


def test_a_warning_that_found_no_room_is_given_when_it_comes_up_again(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr("sublet.hub.events._QUEUE", 1)
    posted = Posted()
    posted.note(EventReason.BOUND)
    posted.note(EventReason.REPAIRED)
    assert [x["reason"] for x in posted.all()] == ["Bound"]

    posted.note(EventReason.REPAIRED)
    assert [x["reason"] for x in posted.all()] == ["Repaired"]
