"""The proxy: what it passes on, what it notes, and each kind of trouble that it makes."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from sublet.kube.errors import (
    Conflict,
    Gone,
    KubeError,
    ServerError,
    TooManyRequests,
    Unreachable,
)
from sublet.kube.session import ApiServer, Endpoint
from tests.faults.journal import Entry, Journal
from tests.faults.plan import MUTE, Place, Plan
from tests.faults.proxy import Proxy
from tests.faults.trouble import Trouble
from tests.harness.fake_api import FakeApi, eventually, fake_api
from tests.planes.certificates import write_certificates

NODE = "/api/v1/nodes/n0"
LOCK = Place("west patch nodes *")
PATCH: list[dict[str, Any]] = [{"op": "add", "path": "/metadata/labels/x", "value": "y"}]


class Way:
    """An operator's connection, the proxy in it, and the API server behind it."""

    def __init__(self, fake: FakeApi, proxy: Proxy, api: ApiServer) -> None:
        self.fake, self.proxy, self.api = fake, proxy, api
        self.trouble, self.journal = proxy._trouble, proxy._journal

    @property
    def arrived(self) -> list[str]:
        return [r.method for r in self.fake.requests]


@pytest.fixture
async def way(tmp_path: Path) -> AsyncIterator[Way]:
    write_certificates(tmp_path)
    async with fake_api() as fake:
        fake.objects[NODE] = {"metadata": {"name": "n0"}}
        proxy = Proxy(
            "west", fake.url, None, journal=Journal(), trouble=Trouble(),
            pids=list, writing=asyncio.Lock(),
        )  # fmt: skip
        await proxy.start(tmp_path)
        ca = (tmp_path / "ca.crt").read_text()
        async with ApiServer(Endpoint(f"https://127.0.0.1:{proxy.port}", ca_pem=ca)) as api:
            yield Way(fake, proxy, api)
        await proxy.close()


async def test_a_request_goes_through_and_is_noted(way: Way):
    assert await way.api.patch(NODE, PATCH) == {"metadata": {"name": "n0"}}

    noted = list(way.journal)
    assert [(e.key, e.status, e.body) for e in noted] == [("west patch nodes *", 200, PATCH)]


async def test_the_one_of_two_processes_that_sent_a_request_is_noted(way: Way):
    way.proxy._pids = lambda: [1, os.getpid()]
    await way.api.patch(NODE, PATCH)
    await way.api.patch(NODE, PATCH)

    assert [e.pid for e in way.journal] == [os.getpid()] * 2


async def test_what_fails_in_the_proxy_itself_is_told(way: Way):
    def broken() -> list[int]:
        raise ZeroDivisionError("no such table")

    way.proxy._pids = broken
    with pytest.raises(KubeError):
        await way.api.patch(NODE, PATCH)

    assert way.journal.failures == ["PATCH /api/v1/nodes/n0: ZeroDivisionError: no such table"]


async def test_an_answer_that_is_planned_never_reaches_the_server_and_comes_once(way: Way):
    way.trouble.arm(LOCK, "409")
    with pytest.raises(Conflict):
        await way.api.patch(NODE, PATCH)
    assert way.arrived == []

    await way.api.patch(NODE, PATCH)
    assert way.arrived == ["PATCH"]


async def test_the_second_write_is_another_place_than_the_first(way: Way):
    way.trouble.arm(Place(LOCK.key, 2), "429")
    await way.api.patch(NODE, PATCH)
    with pytest.raises(TooManyRequests) as found:
        await way.api.patch(NODE, PATCH)
    assert found.value.retry_after_seconds == 1


async def test_an_unknown_result_is_applied_and_the_connection_cut(way: Way):
    way.trouble.arm(LOCK, "unknown")
    with pytest.raises(Unreachable):
        await way.api.patch(NODE, PATCH)
    assert way.arrived == ["PATCH"]


async def test_a_partition_lets_nothing_through_until_it_heals(way: Way):
    way.trouble.partition("west")
    with pytest.raises(Unreachable):
        await way.api.get(NODE)
    assert way.arrived == []

    way.trouble.heal("west")
    assert await way.api.get(NODE)


async def test_every_write_is_looked_at_before_its_answer_goes_on(way: Way):
    looked: list[str] = []

    async def look(entry: Entry) -> None:
        looked.append(entry.key)

    way.trouble.on_commit = look
    await way.api.get(NODE)
    await way.api.patch(NODE, PATCH)
    assert looked == ["west patch nodes *"]


async def test_a_frozen_collection_is_listed_at_its_revision(way: Way):
    way.trouble.views["west", "nodes"].freeze(7)
    await way.api.get("/api/v1/nodes", resourceVersion="0", limit="5")

    query = way.fake.requests[-1].query
    assert dict(query) == {"limit": "5", "resourceVersion": "7", "resourceVersionMatch": "Exact"}


async def test_a_frozen_watch_waits_and_an_expired_one_is_refused(way: Way):
    view = way.trouble.views["west", "nodes"]
    view.freeze(1)
    async with way.api.stream("GET", "/api/v1/nodes", params={"watch": "1"}) as response:
        await eventually("open", lambda: way.fake.open_watches)
        way.fake.put({"metadata": {"name": "n1"}})
        await eventually("held back", lambda: any(s._held for s in view.streams))
        await view.thaw(coalesce=False)
        assert b'"n1"' in await response.content.readline()

    await view.expire()
    with pytest.raises(Gone):
        async with way.api.stream("GET", "/api/v1/nodes", params={"watch": "1"}):
            raise AssertionError("it was opened")


async def test_whoever_was_served_an_old_list_and_kept_from_an_event_was_shown_an_old_view(
    way: Way,
):
    way.proxy._pids = lambda: [7]
    view = way.trouble.views["west", "nodes"]
    view.freeze(1, [6])
    await way.api.get("/api/v1/nodes")
    async with way.api.stream("GET", "/api/v1/nodes", params={"watch": "1"}):
        await eventually("open", lambda: way.fake.open_watches)
        way.fake.put({"metadata": {"name": "n1"}})
        await eventually("held back", lambda: view.was_shown("stale"))


async def test_a_plan_of_an_old_view_happened_only_where_somebody_met_it(way: Way):
    plan = Plan("bind-one", "gone", Place("west nodes"))
    way.trouble.forget()
    way.trouble.views["west", "nodes"].shown.refused = 1
    assert way.trouble.has_happened(plan)

    way.trouble.forget()
    assert not way.trouble.has_happened(plan)


async def test_a_partition_of_the_workloads_own_is_no_plans_fault(way: Way):
    way.trouble.arm(LOCK, "409")
    way.trouble.partition("west")
    way.trouble.heal("west")
    assert not way.trouble.has_happened(Plan("bind-one", "409", LOCK))


async def test_what_is_only_told_is_refused_if_that_is_the_plan_and_nothing_else(way: Way):
    events = "/apis/events.k8s.io/v1/namespaces/default/events"
    way.trouble.arm(None, MUTE)
    with pytest.raises(ServerError):
        await way.api.create(events, {"metadata": {"name": "e"}})
    assert way.arrived == []

    await way.api.patch(NODE, PATCH)
    assert way.arrived == ["PATCH"]


async def test_a_request_into_a_blackhole_is_never_answered(way: Way):
    way.trouble.arm(LOCK, "blackhole")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(way.api.patch(NODE, PATCH), 0.3)
    assert way.arrived == []


async def test_what_fails_upstream_is_a_cut_connection(way: Way):
    way.proxy._upstream = "http://127.0.0.1:1"
    with pytest.raises(KubeError):
        await way.api.get(NODE)
