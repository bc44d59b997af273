"""The hub is followed whatever it answers for a while, and it is said when it isn't."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from sublet.api.kinds import CLAIMS, KINDS
from sublet.hub.feed import Feed
from sublet.hub.state import HubState
from sublet.kube.session import Endpoint
from tests.builders.api import as_claim
from tests.builders.restored import on_the_wire
from tests.harness.fake_api import Answer, FakeApi, answering, eventually, saying
from tests.harness.followed_hub import SERVED, followed_hub, of_kind


@asynccontextmanager
async def following(hub: FakeApi, endpoint: Endpoint | None = None) -> AsyncIterator[Feed]:
    """Follow a hub; `state` hears of it."""
    feed = Feed(HubState(lambda: None), endpoint or hub.endpoint)
    running = asyncio.create_task(feed.run())
    try:
        yield feed
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def _is_heard(feed: Feed, hub: FakeApi) -> None:
    """See that a claim that is made now is heard of."""
    await eventually("watched", lambda: hub.open_watches)
    hub.put(on_the_wire(as_claim()))
    await eventually("heard", feed._state.claims.all)


async def test_what_happens_on_the_hub_is_heard_of():
    async with followed_hub() as hub, following(hub) as feed:
        await _is_heard(feed, hub)

        assert feed.stands


@pytest.mark.parametrize(
    "trouble",
    [
        answering(401, "Unauthorized"),
        answering(404, "NotFound"),
        answering(410, "Gone"),
        saying(b'{"type": "ERROR", "object": {"kind": "Status", "code": 500}}\n'),
        saying(b"no JSON\n"),
    ],
    ids=["401", "404", "410", "ERROR", "nonsense"],
)
async def test_a_watch_that_fails_is_begun_anew(trouble: Answer):
    async with followed_hub() as hub:
        hub.next_watch.append(trouble)
        async with following(hub) as feed:
            await eventually("tried", lambda: not hub.next_watch)

            await _is_heard(feed, hub)


async def test_a_watch_that_fails_leaves_no_other_behind():
    async with followed_hub() as hub:
        hub.next_watch.append(answering(404, "NotFound"))
        async with following(hub) as feed:
            await _is_heard(feed, hub)

            names = [task.get_name() for task in asyncio.all_tasks()]
            assert len([name for name in names if name.startswith("watcher")]) == len(KINDS) + 1
        assert len(asyncio.all_tasks()) < len(names) - len(KINDS)


async def test_a_list_whose_pages_expired_is_begun_anew():
    async with followed_hub() as hub:
        hub.next_list.append(answering(410, "Expired"))
        async with following(hub) as feed:
            await _is_heard(feed, hub)


async def test_a_hub_that_doesnt_serve_every_kind_isnt_followed_until_it_does():
    async with followed_hub() as hub:
        whole = hub.objects[SERVED]
        hub.objects[SERVED] = {"resources": [of_kind(k) for k in KINDS if k is not CLAIMS]}
        with capture_logs() as logs:
            async with following(hub) as feed:
                await eventually("said", lambda: logs)
                stood = feed.stands
                hub.objects[SERVED] = whole
                await _is_heard(feed, hub)

    assert not stood
    assert logs[0]["event"] == "the hub isn't followed"
    assert logs[0]["error"] == "LookupError: the hub doesn't serve gpuclaims"


async def test_few_objects_are_decoded_at_once_as_a_tenant_may_make_them_large():
    async with followed_hub() as hub, following(hub):
        await eventually("watched", lambda: hub.open_watches)

    lists = [r for r in hub.requests if r.path == CLAIMS.path() and "watch" not in r.query]
    assert [r.query["limit"] for r in lists] == ["10"]


async def test_what_was_deleted_while_nobody_followed_is_looked_for():
    async with followed_hub() as hub:
        hub.next_watch.append(answering(404, "NotFound"))
        async with following(hub) as feed:
            await eventually("looked for", feed._state.doubted.is_set)


async def test_each_request_shows_the_newest_token():
    tokens = iter(f"token-{i}" for i in range(1_000))

    async def refused(request: web.Request) -> web.StreamResponse:
        return await answering(401, "Unauthorized")(request)

    async with followed_hub() as hub:
        hub.next_watch.append(refused)
        endpoint = Endpoint(hub.url, token=lambda: next(tokens))
        async with following(hub, endpoint):
            await eventually("watched", lambda: hub.open_watches)

    shown = [r.headers["Authorization"] for r in hub.requests]
    assert len(set(shown)) == len(shown)


async def test_whom_we_act_as_is_said_with_each_request():
    async with followed_hub() as hub:
        endpoint = replace(hub.endpoint, acting_as=(("Impersonate-User", "jane"),))
        async with following(hub, endpoint):
            await eventually("watched", lambda: hub.open_watches)

    assert {r.headers.get("Impersonate-User") for r in hub.requests} == {"jane"}


async def test_a_hub_behind_a_proxy_is_followed_through_it():
    async with followed_hub() as hub:
        endpoint = replace(hub.endpoint, server="http://hub.example", proxy=hub.url)
        async with following(hub, endpoint) as feed:
            await _is_heard(feed, hub)

    assert {r.host for r in hub.requests} == {"hub.example"}


async def test_a_token_that_is_refused_is_renewed():
    tokens = ["token-1"]

    async def renew() -> None:
        tokens.append("token-2")

    async with followed_hub() as hub:
        hub.next_watch.append(answering(401, "Unauthorized"))
        endpoint = Endpoint(hub.url, token=lambda: tokens[-1], renew=renew)
        async with following(hub, endpoint) as feed:
            await _is_heard(feed, hub)

    assert hub.requests[-1].headers["Authorization"] == "Bearer token-2"
