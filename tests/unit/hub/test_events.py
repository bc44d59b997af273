"""Events on claims: each once, its type from the one table, and no warning again while the last one is still shown."""

from typing import Any

import pytest

from sublet.api.event_reasons import EVENTS, EventReason
from sublet.hub.events import HubEvents
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
