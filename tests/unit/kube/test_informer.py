"""The informer against a server that behaves, and against one that doesn't."""

import asyncio
import json
from itertools import pairwise

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from sublet.kube.errors import BadAnswer, Unauthorized, Unreachable
from sublet.kube.informer import MAX_BACKOFF_SECONDS, NEXT_PAGE_SECONDS
from sublet.kube.wire import Meta, Node
from tests.harness.fake_api import (
    Answer,
    SteppedClock,
    answering,
    dripping,
    eventually,
    saying,
    silence,
)
from tests.harness.following import Following, following, node


async def test_a_list_of_several_pages_is_read_to_its_end(fake):
    for i in range(1_201):
        fake.put(node(f"n{i:04d}"))

    async with following(fake) as found:
        await eventually("synced", lambda: found.informer.synced)

    assert (len(found.seen), fake.lists) == (1_201, 3)


async def test_lists_that_are_always_too_old_are_trouble(fake, monkeypatch):
    fake.put(node("a"))
    async with following(fake) as found:
        await found.watching()
        monkeypatch.setattr(fake, "_list", answering(410, "Expired"))
        found.clock.seconds += 5_000  # the hourly list is due, whenever that is
        fake.close_watches()

        await eventually("trouble", lambda: found.informer.trouble)


async def test_it_is_being_read_while_pages_of_its_first_list_come(fake):
    fake.put(node("a"))
    fake.next_list.append(silence)

    async with following(fake) as found:
        await eventually("asked", lambda: fake.lists or fake.requests)
        assert found.informer.is_being_read
        found.clock.seconds += NEXT_PAGE_SECONDS
        assert not found.informer.is_being_read


async def test_it_isnt_being_read_any_more_when_the_list_is_there_or_failed(fake):
    fake.put(node("a"))
    fake.next_list.append(answering(500, "InternalError"))

    async with following(fake) as found:
        await eventually(
            "failed", lambda: found.informer.error is not None or found.informer.synced
        )
        assert not found.informer.is_being_read
        await eventually("synced", lambda: found.informer.synced)
        assert not found.informer.is_being_read


async def test_a_watch_starts_where_the_list_ended_and_tells_each_change(fake):
    fake.put(node("a"))

    async with following(fake) as found:
        await found.watching()
        fake.put(node("b"))
        fake.remove("a")
        await eventually("b and not a", lambda: list(found.seen) == ["b"])

    assert (fake.lists, fake.watches[0]["resourceVersion"]) == (1, "2")
    assert found.deleted == ["a"]


async def test_a_watch_that_ends_is_resumed_from_the_last_bookmark(fake):
    async with following(fake) as found:
        await found.watching()
        fake.version = 77
        fake.bookmark()
        fake.close_watches()
        await found.watching(2)

    assert (fake.lists, fake.watches[1]["resourceVersion"]) == (1, "77")


@pytest.mark.parametrize("how", ["status", "event"])
async def test_a_version_that_is_too_old_means_a_new_list_and_what_is_missing_is_gone(fake, how):
    fake.put(node("a"))
    fake.put(node("b"))
    async with following(fake) as found:
        await found.watching()
        fake.remove("a", quietly=True)
        if how == "status":
            fake.next_watch.append(answering(410, "Expired"))
            fake.close_watches()
        else:
            fake.send("ERROR", {"code": 410, "reason": "Expired"})
        await eventually("a is gone", lambda: found.deleted == ["a"])

    assert (list(found.seen), fake.lists) == (["b"], 2)


async def test_what_a_watch_lost_is_found_by_the_list_of_the_next_hour(fake):
    fake.put(node("a"))
    async with following(fake) as found:
        await found.watching()
        fake.remove("a", quietly=True)
        found.clock.seconds += 1_800
        fake.close_watches()
        await found.watching(2)
        assert list(found.seen) == ["a"]

        found.clock.seconds += 3_000
        fake.close_watches()
        await eventually("a is gone", lambda: found.deleted == ["a"])

    assert fake.lists == 2


async def test_an_error_that_drips_in_is_a_failure_and_holds_up_nothing(fake):
    fake.put(node("a"))
    fake.next_watch.append(dripping(500))
    async with following(fake, silence_seconds=0.2) as found:
        await eventually("failed", lambda: found.informer.failing_since is not None)
        assert isinstance(found.informer.error, Unreachable)
        await found.watching(2)

    assert list(found.seen) == ["a"]


async def test_a_watch_that_was_opened_in_time_lasts_for_as_long_as_events_come(fake, monkeypatch):
    loop, ahead = asyncio.get_running_loop(), SteppedClock()
    started, now = ahead.seconds, loop.time
    monkeypatch.setattr(loop, "time", lambda: now() + ahead.seconds - started)
    async with following(fake, silence_seconds=60) as found:
        await found.watching()
        for name in "abc":
            ahead.seconds += 25
            fake.put(node(name))
            await eventually("it is told", lambda n=name: n in found.seen)

    assert len(fake.watches) == 1


async def test_a_server_that_goes_dark_leaves_what_was_known(fake):
    fake.put(node("a"))
    async with following(fake) as found:
        await found.watching()
        fake.next_watch.extend([answering(503)] * 500)
        fake.next_list.extend([answering(503)] * 500)
        fake.close_watches()
        await eventually("some tries", lambda: len(found.clock.waits) >= 10)

        assert (list(found.seen), found.deleted) == (["a"], [])
        assert found.informer.stale_seconds > 0
        assert found.informer.failing_since is not None
        assert found.informer.synced


async def test_waits_grow_and_stay_below_the_cap(fake):
    fake.next_list.extend([answering(500)] * 40)
    async with following(fake) as found:
        await eventually("forty tries", lambda: len(found.clock.waits) >= 40)

    assert max(found.clock.waits) <= MAX_BACKOFF_SECONDS
    assert max(found.clock.waits) > 5


async def test_a_refused_credential_is_told_apart_from_silence(fake):
    fake.next_list.append(answering(401, "Unauthorized"))
    fake.next_list.append(silence)
    async with following(fake) as found:
        await eventually("told", lambda: found.informer.error is not None)

        assert isinstance(found.informer.error, Unauthorized)
        assert found.changes == 1


async def test_a_server_that_is_busy_is_asked_when_it_wants_to_be(fake):
    fake.next_list.append(answering(429, "TooManyRequests", **{"Retry-After": "17"}))
    async with following(fake) as found:
        await found.watching()

    assert found.clock.waits[0] == 17


@pytest.mark.parametrize(
    "body",
    [
        b"nonsense",
        b'{"metadata":{"resourceVersion":"1"},"items":[{"metadata":5}]}',
        b"[" * 100_000,
        b'{"items":[]}',
    ],
)
async def test_an_answer_that_makes_no_sense_is_a_failure_and_not_an_end(fake, body):
    fake.put(node("a"))
    fake.next_list.append(saying(body))
    async with following(fake) as found:
        await found.watching()

    assert (list(found.seen), fake.lists) == (["a"], 2)


async def test_nonsense_in_a_watch_is_a_failure_and_not_an_end(fake):
    async with following(fake) as found:
        await found.watching()
        fake.send_raw(b"nonsense\n")
        await found.watching(2)
        with capture_logs() as logs:
            fake.send_raw(b"x" * 5_000_000 + b"\n")
            await found.watching(3)

    assert not found.deleted
    assert [(x["event"], x["error"]) for x in logs] == [("watch failed", "BadAnswer")]


@pytest.mark.parametrize("answer", [saying(b""), answering(410, "Expired")])
async def test_a_server_that_ends_every_watch_at_once_isnt_asked_in_a_loop(fake, answer):
    fake.next_watch.extend([answer] * 10)
    async with following(fake) as found:
        await found.watching(11)

    assert len(found.clock.waits) >= 10


async def test_more_objects_than_anybody_has_are_a_lie(fake):
    for i in range(6):
        fake.put(node(f"n{i}"))
    async with following(fake, max_objects=5) as found:
        await eventually("refused", lambda: found.informer.error is not None)

        assert isinstance(found.informer.error, Unreachable)
        assert not found.informer.synced


async def test_a_server_that_isnt_confirmed_is_never_read(fake):
    async def refuse() -> None:
        raise Unreachable("another cluster")

    async with following(fake, confirm=refuse) as found:
        await eventually("some tries", lambda: len(found.clock.waits) >= 3)

    assert (fake.lists, fake.watches) == (0, [])


async def test_an_object_that_its_reader_chokes_on_doesnt_end_the_following(fake):
    taken: list[str] = []

    def choke(each: Node) -> None:
        taken.append(each.metadata.name)
        if len(taken) == 1:
            raise KeyError("surprise")

    fake.put(node("a"))
    async with following(fake, upsert=choke) as found:
        await eventually("synced", lambda: found.informer.synced)

    assert taken == ["a", "a"]


async def test_only_so_many_lists_run_at_once(fake):
    slots = asyncio.Semaphore(1)
    await slots.acquire()
    async with following(fake, lists=slots) as found:
        await eventually("it waits for its turn", lambda: slots._waiters)
        assert fake.lists == 0
        slots.release()
        await found.watching()


async def test_a_page_of_more_objects_than_were_asked_for_is_no_answer(fake):
    nodes = [node(f"n{i}") for i in range(501)]
    body = {"metadata": {"resourceVersion": "1"}, "items": nodes}
    fake.next_list.extend([saying(json.dumps(body).encode())] * 100)
    async with following(fake) as found:
        await eventually("refused", lambda: found.informer.error is not None)

        assert isinstance(found.informer.error, BadAnswer)
        assert not found.seen


async def test_a_list_leaves_others_their_turns(fake):
    """Each node takes 6 ms, so that at most two of them come between two turns of the neighbour."""
    for i in range(300):
        fake.put(node(f"n{i:04d}"))
    taken, most, turns = 0, 0, 0

    def slow(_: Node) -> None:
        nonlocal taken, most
        found.clock.seconds += 0.006
        taken, most = taken + 1, max(most, taken + 1)

    async def live() -> None:
        nonlocal taken, turns
        while True:
            taken, turns = 0, turns + 1
            await asyncio.sleep(0)

    async with following(fake, upsert=slow) as found:
        neighbour = asyncio.create_task(live())
        await eventually("synced", lambda: found.informer.synced)
        neighbour.cancel()

    assert most <= 2
    assert turns >= 150


async def test_nodes_that_are_gone_leave_others_their_turns(fake):
    for i in range(300):
        fake.put(node(f"n{i:04d}"))
    async with following(fake) as found:
        await found.watching()
        for name in tuple(fake.items):
            fake.remove(name, quietly=True)
        deleted, turns = found.delete, list[int]()

        def slow(meta: Meta) -> None:
            found.clock.seconds += 0.006
            deleted(meta)

        async def live() -> None:
            while True:
                turns.append(len(found.deleted))
                await asyncio.sleep(0)

        found.informer._delete = slow
        neighbour = asyncio.create_task(live())
        fake.send("ERROR", {"code": 410, "reason": "Expired"})
        await eventually("all gone", lambda: len(found.deleted) == 300)
        neighbour.cancel()

    assert max(after - before for before, after in pairwise(turns)) <= 2


def ending_after(found: Following, seconds: float) -> Answer:
    """Return a watch that says after so long that its version is too old."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await eventually("it is being watched", lambda: found.informer._watch_began is not None)
        found.clock.seconds += seconds
        await response.write(b'{"type":"ERROR","object":{"code":410,"reason":"Expired"}}\n')
        return response

    return answer


async def test_who_has_a_whole_list_read_again_and_again_is_asked_ever_less_often(fake):
    """Its watches last for two seconds: without the waits it would have a list read every two seconds."""
    async with following(fake) as found:
        fake.next_watch.extend([ending_after(found, 2.0)] * 20)
        await found.watching(21)

    assert len(found.clock.waits) == 20
    assert sum(found.clock.waits[10:]) / 10 > 10


async def test_after_a_watch_that_lasted_all_is_listed_without_a_wait(fake):
    async with following(fake) as found:
        fake.next_watch.extend([ending_after(found, 90.0)] * 5)
        await found.watching(6)

    assert (fake.lists, found.clock.waits) == (6, [])
