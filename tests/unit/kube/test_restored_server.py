"""The informer and a server that comes back as it was in a backup: its versions go back, and what it says of that is little."""

import asyncio

import msgspec
from aiohttp import web

from sublet.kube.wire import Meta
from tests.harness.fake_api import (
    eventually,
)
from tests.harness.following import following, node


async def mute(request: web.Request) -> web.StreamResponse:
    """Open a watch and say nothing."""
    response = web.StreamResponse()
    await response.prepare(request)
    await asyncio.Event().wait()
    raise AssertionError("not reached")


async def test_a_bookmark_that_goes_back_tells_of_a_restored_backup(fake):
    fake.put(node("kept"))
    async with following(fake) as found:
        await found.watching()
        fake.put(node("never was"))
        await eventually("both", lambda: len(found.seen) == 2)
        fake.remove("never was", quietly=True)
        fake.version = 2
        fake.bookmark()
        await eventually("listed anew", lambda: list(found.seen) == ["kept"])

    assert fake.lists == 2


async def test_after_a_stream_that_was_cut_all_is_listed(fake):
    fake.put(node("a"))
    async with following(fake) as found:
        await found.watching()

        async def cut(request):
            response = web.StreamResponse()
            await response.prepare(request)
            request.transport.abort()
            return response

        fake.next_watch.append(cut)
        fake.close_watches()
        await found.watching(3)

    assert (fake.lists, found.deleted) == (2, [])


async def test_a_silent_watch_is_cut_and_all_is_listed(fake):
    async with following(fake, silence_seconds=0.05) as found:
        await found.watching(2)

        await eventually("listed again", lambda: fake.lists >= 2)


async def test_a_restored_server_that_says_nothing_to_who_is_ahead_of_it_is_listed(fake):
    fake.version = 1_000
    fake.put(node("a"))
    fake.put(node("never was"))
    async with following(fake, silence_seconds=0.1) as found:
        await eventually("both", lambda: len(found.seen) == 2)
        fake.version = 10
        del fake.items["never was"]
        # a watch from a version that isn't reached yet gets neither event nor bookmark
        fake.next_watch.extend([mute] * 50)
        fake.close_watches()

        await eventually("gone", lambda: found.deleted[-1:] == ["never was"])


async def test_an_object_that_an_answer_showed_and_a_list_lacks_is_gone(fake):
    async with following(fake) as found:
        await found.watching()
        found.informer.note(msgspec.convert(node("b")["metadata"], Meta))
        fake.send("ERROR", {"code": 410})

        await eventually("gone", lambda: found.deleted == ["b"])


async def test_a_restored_backup_is_believed_although_its_versions_went_back(fake):
    fake.version = 1_000
    fake.put(node("a"))
    async with following(fake) as found:
        await found.watching()
        fake.version = 10
        fake.items["a"] = {"metadata": {**node("a")["metadata"], "resourceVersion": "9"}}
        fake.send("ERROR", {"code": 410})
        await eventually("listed again", lambda: fake.lists == 2)
        await found.watching(2)

    assert found.deleted == ["a"]
    assert found.seen["a"].metadata.resource_version == "9"
