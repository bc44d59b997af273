"""Every line goes to the sink, in order and at least once, whatever the sink and the operator do meanwhile."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import generate_latest
from structlog.testing import capture_logs

from sublet.api.times import Millis
from sublet.export.events import outbox as outbox_module
from sublet.export.events.outbox import Outbox
from sublet.export.events.sink import Answer, HttpSink, Outcome
from sublet.ledger.entry import EntryType
from sublet.ledger.notice import News
from sublet.ledger.port import LedgerUnavailable
from sublet.serve.timings import Timings
from sublet.store.outbox import ENTRIES, SqlOutbox
from sublet.store.sql import SqlLedger
from tests.builders.lines import PRICE, fact
from tests.harness.fake_api import eventually
from tests.harness.outbox import World, until

HOUR_SECONDS = 3_600


async def test_each_line_is_an_event_with_its_own_id_and_without_its_price(world: World):
    await world.lines("a")
    await world.ledger.append([fact("a", 9_500, type_=EntryType.CLOSE)], {})

    await world.operator().step()

    first, second = world.sink.events
    assert first["specversion"] == "1.0"
    assert first["source"] == f"/ledger/{await world.box.ledger_id()}"
    assert (first["type"], second["type"]) == (
        "dev.sublet.ledger.bound.open",
        "dev.sublet.ledger.bound.close",
    )
    assert second["time"] == "1970-01-01T00:00:09.500Z"
    assert (first["subject"], first["data"]["gpus"], first["data"]["seq"]) == ("a", 8, 1)
    assert first["id"] == fact("a").id
    assert "2.35" not in str(world.sink.events)
    assert PRICE.text not in str(world.sink.events)
    assert world.sink.headers[0]["Content-Type"].startswith("application/cloudevents+json")
    assert world.waiting[-1] == 0


async def test_batch_mode_sends_many_in_one_request(world: World):
    ids = await world.lines(*(f"c{i}" for i in range(25)))

    await world.operator(batch=10).step()

    assert world.sink.ids == ids
    assert world.sink.asked == 3
    assert "cloudevents-batch+json" in world.sink.headers[0]["Content-Type"]


async def test_a_sink_that_answers_500_for_an_hour_loses_nothing_and_is_said_twice(world: World):
    outbox = world.operator()
    ids = await world.lines("a", "b", "c")
    world.sink.status = 500
    begun = world.clock.seconds

    with capture_logs() as logs:
        await until(
            outbox, world, lambda: world.clock.seconds > begun + HOUR_SECONDS, step_seconds=10.0
        )
        asked, unsent = world.sink.asked, world.waiting[-1]
        ids = await world.lines("d")
        world.sink.status = 204
        await until(outbox, world, lambda: len(world.sink.events) == len(ids))

    assert world.sink.ids == ids
    assert unsent == 3
    assert 60 < asked < 200
    assert [(x["log_level"], x["event"]) for x in logs] == [
        ("error", "events not sent: nothing is lost"),
        ("info", "events are sent again"),
    ]
    assert logs[0]["error"] == "away: 500 Internal Server Error; will be tried again"


async def test_what_is_refused_is_said_tried_again_slowly_and_never_dropped(world: World):
    outbox = world.operator()
    ids = await world.lines("a", "b")
    world.sink.status = 400
    begun = world.clock.seconds

    with capture_logs() as logs:
        await until(
            outbox, world, lambda: world.clock.seconds > begun + HOUR_SECONDS, step_seconds=10.0
        )
    asked = world.sink.asked
    world.sink.status = 200
    await until(outbox, world, lambda: len(world.sink.events) == 2)

    assert world.sink.ids == ids
    assert asked < 20
    assert [x["error"] for x in logs] == ["refused: 400 Bad Request; change it or the settings"]


@pytest.mark.parametrize("status", [408, 429, 503])
async def test_a_sink_that_says_later_is_asked_again_when_it_said(world: World, status: int):
    outbox = world.operator()
    await world.lines("a")
    world.sink.status, world.sink.answer_headers = status, {"Retry-After": "300"}
    begun = world.clock.seconds

    await until(outbox, world, lambda: world.clock.seconds > begun + 290)
    assert world.sink.asked == 1
    await until(outbox, world, lambda: world.sink.asked == 2)

    assert world.clock.seconds > begun + 300


async def test_a_sink_that_fails_in_the_middle_gets_the_rest_and_nothing_twice(world: World):
    outbox = world.operator()
    ids = await world.lines("a", "b", "c", "d")
    world.sink.takes = 2

    await outbox.step()
    assert (await world.box.positions())[ENTRIES] == 2
    world.sink.takes = 100
    await until(outbox, world, lambda: len(world.sink.events) == 4)

    assert world.sink.ids == ids


async def test_a_crash_between_sending_and_the_cursor_doubles_ids_and_nothing_else(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    ids = await world.lines("a", "b")

    async def crash(*_: Any) -> None:
        raise LedgerUnavailable("the ledger's store is away")

    with monkeypatch.context() as broken:
        broken.setattr(world.box, "advance", crash)
        await world.operator().step()
    ids = await world.lines("c")
    await world.operator().step()

    assert world.sink.ids == [*ids[:2], *ids]


async def test_a_replica_that_doesnt_lead_sends_nothing_and_says_no_number(world: World):
    await world.lines("a")
    world.leads = False

    await world.operator().step()

    assert world.sink.asked == 0
    assert world.waiting == []


async def test_a_leader_that_stops_to_lead_stops_in_the_middle(world: World):
    ids = await world.lines("a", "b", "c")
    sink = Losing(world)
    outbox = Outbox(
        world.box, sink, world.clock, leads=lambda: world.leads, waiting=world.waiting.append
    )

    await outbox.step()
    assert sink.ids == ids[:1]
    world.leads = True
    await world.operator().step()

    assert world.sink.ids == ids[1:]


async def test_an_operator_that_is_stopped_in_the_middle_keeps_what_was_taken(world: World):
    await world.lines("a", "b", "c")
    sink = Hanging()
    outbox = Outbox(world.box, sink, world.clock, leads=lambda: True, waiting=world.waiting.append)

    running = asyncio.create_task(outbox.run())
    await sink.hangs.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    assert (await world.box.positions())[ENTRIES] == 2
    assert sink.closed


class Hanging:
    """A sink that takes two events and doesn't answer the third."""

    name = "sink"

    def __init__(self) -> None:
        self.count = 0
        self.hangs = asyncio.Event()
        self.closed = False

    async def send(self, events: Any, *, is_batch: bool) -> Answer:
        self.count += 1
        if self.count > 2:
            self.hangs.set()
            await asyncio.Event().wait()
        return Answer(Outcome.TAKEN)

    async def close(self) -> None:
        self.closed = True


class Losing:
    """A sink whose first answer comes after the Lease was lost."""

    name = "sink"

    def __init__(self, world: World) -> None:
        self._world = world
        self.ids: list[str] = []

    async def send(self, events: Any, *, is_batch: bool) -> Answer:
        self.ids += [e["id"] for e in events]
        self._world.leads = False
        return Answer(Outcome.TAKEN)

    async def close(self) -> None:
        pass


async def test_a_mistake_of_ours_is_said_and_ends_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    outbox = world.operator()
    ids = await world.lines("a")
    monkeypatch.setattr(outbox_module, "FAULT_SECONDS", 0.01)

    async def broken(*_: Any) -> None:
        raise KeyError("x")

    with capture_logs() as logs, monkeypatch.context() as then:
        then.setattr(world.box, "waiting", broken)
        running = asyncio.create_task(outbox.run())
        await eventually("it is said", lambda: logs)
    await eventually("what was kept is sent", lambda: world.sink.ids)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    assert logs[0]["event"] == "events not sent"
    assert world.sink.ids == ids


async def test_a_sink_that_isnt_there_is_away(world: World):
    outbox = world.operator(url="http://user:secret@127.0.0.1:9/events")
    await world.lines("a")

    with capture_logs() as logs:
        await outbox.step()

    assert (logs[0]["sink"], logs[0]["unexported"]) == ("127.0.0.1", 1)
    assert logs[0]["error"].startswith("away: ClientConnectorError")
    assert "secret" not in str(logs)


async def test_notices_go_to_the_same_sink_once_also_while_a_line_is_refused(world: World):
    news = News("claim.ending", "a", Millis(7), {"reason": "EndsWithin1Hour"})
    assert await world.box.notify([news]) == 1
    assert await world.box.notify([news]) == 0
    outbox = world.operator()
    await world.lines("a")
    world.sink.status, world.sink.takes, world.sink.status_then = 400, 1, 204

    await outbox.step()

    assert [(e["type"], e["data"]) for e in world.sink.events] == [
        ("dev.sublet.notice.claim.ending", {"reason": "EndsWithin1Hour"})
    ]
    await until(outbox, world, lambda: len(world.sink.events) == 2)
    assert len(set(world.sink.ids)) == 2


async def test_a_notice_that_the_sink_refuses_waits_and_is_counted(world: World):
    await world.box.notify([News("claim.ending", "a", Millis(7), {"reason": "EndsWithin1Hour"})])
    world.sink.status = 400

    await world.operator().step()

    assert world.waiting[-1] == 1


async def test_the_cursor_never_goes_back(world: World):
    await world.box.advance(ENTRIES, 7)
    await world.box.advance(ENTRIES, 3)

    assert (await world.box.positions())[ENTRIES] == 7


async def test_the_ledgers_id_is_the_same_over_restarts(world: World, tmp_path: Path):
    again = SqlLedger(f"sqlite:///{tmp_path}/ledger.sqlite")

    assert await SqlOutbox(again).ledger_id() == await world.box.ledger_id()
    await again.close()


async def test_how_much_waits_is_a_gauge_from_the_first_look_on(world: World):
    timings = Timings()
    assert "unexported" not in generate_latest(timings.registry).decode()
    world.sink.status = 500
    await world.lines("a", "b")
    outbox = Outbox(
        world.box,
        HttpSink(world.sink.url),
        world.clock,
        leads=lambda: True,
        waiting=timings.unexported,
    )

    await outbox.step()
    await outbox._sink.close()

    assert "sublet_ledger_unexported_entries 2.0" in generate_latest(timings.registry).decode()
