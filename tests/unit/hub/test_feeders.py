"""All of the hub is read at the start, and what a watch lost is found by a list: now and then, and soon where a write found an object gone."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest

from sublet.api.kinds import CLAIMS, KINDS
from sublet.hub.feeders import first_list, sweep_forever
from sublet.hub.state import HubState
from sublet.kube.hub_lists import PAGE_SIZE
from sublet.kube.lists import ListPage, page_of
from sublet.kube.session import ApiServer, Limits
from tests.builders.api import as_claim, as_lease, claim, uid_of
from tests.builders.restored import on_the_wire
from tests.builders.unread import senseless
from tests.harness.fake_api import FakeApi, eventually, fake_api

_NEVER = 3_600.0
_PRIORITIES = "/apis/scheduling.k8s.io/v1/priorityclasses"


class EmptyHub:
    """Lists nothing but the claims that it is given, and says how often it was asked, and for one by name."""

    def __init__(self, *claims: dict[str, Any]) -> None:
        self.lists = 0
        self.reads = 0
        self.claims = claims

    async def list_page(self, path: str, *_: Any, limit: int, **__: Any) -> ListPage:
        self.lists += 1
        items = self.claims if path.endswith("gpuclaims") else []
        body = {"metadata": {"resourceVersion": "9"}, "items": items}
        return page_of(msgspec.json.encode(body), limit, path)

    async def get(self, _: str, **params: str) -> Any:
        self.reads += 1
        wanted = params["fieldSelector"].removeprefix("metadata.name=")
        return {"items": [c for c in self.claims if c["metadata"]["name"] == wanted]}


@contextmanager
def sweeping(hub: Any, state: HubState, every_seconds: float) -> Iterator[None]:
    task = asyncio.ensure_future(sweep_forever(hub, state, every_seconds, doubt_seconds=0.01))
    try:
        yield
    finally:
        task.cancel()


def _state(gone: asyncio.Event) -> HubState:
    """Return a state with a lease, and a word once it is dropped."""
    state = HubState(lambda: None if state.leases.all() else gone.set())
    state.leases.put(as_lease())
    return state


def _hub(fake: FakeApi) -> None:
    """Let a server have no object of any kind."""
    for path in (*(kind.path() for kind in KINDS), _PRIORITIES):
        fake.objects[path] = {"metadata": {"resourceVersion": "1"}, "items": []}


def _laden(name: str, size: int) -> dict[str, Any]:
    """Return a claim that its tenant made as large as it could."""
    body = claim(name)
    body["metadata"] |= {"uid": uid_of(name), "labels": {"a": "x" * size}}
    return body


def _suspended(version: str) -> dict[str, Any]:
    """Return the usual claim after its tenant has suspended it."""
    return on_the_wire(as_claim(claim(suspended=True), resourceVersion=version))


async def test_a_hub_whose_claims_are_larger_than_any_answer_may_be_is_read():
    """An object may have 1.5 MB, an answer 256: here a thousandth of each."""
    state = HubState(lambda: None)
    async with fake_api(CLAIMS.path()) as fake:
        _hub(fake)
        for i in range(300):
            fake.put(_laden(f"c{i:03}", 1_500))
        async with ApiServer(fake.endpoint, Limits(body_bytes=256_000)) as hub:
            await first_list(hub, state)

    assert len(state.claims.all()) == 300


async def test_a_page_of_the_largest_claims_takes_less_than_a_third_of_what_an_answer_may():
    assert Limits().body_bytes / 3 > PAGE_SIZE * 1_500_000


async def test_what_others_wrote_around_a_claim_isnt_kept():
    state = HubState(lambda: None)
    body = _laden("c", 10)
    body["metadata"]["annotations"] = {"note": "theirs", "sublet.dev/approved": "ours"}
    async with fake_api(CLAIMS.path()) as fake:
        _hub(fake)
        fake.put(body)
        async with ApiServer(fake.endpoint) as hub:
            await first_list(hub, state)

    (found,) = state.claims.all()
    assert found.metadata.annotations == {"sublet.dev/approved": "ours"}
    assert not hasattr(found.metadata, "labels")


async def test_a_sweep_reads_metadata_alone_page_by_page():
    gone = asyncio.Event()
    state = HubState(lambda: None if state.claims.all() else gone.set())
    state.claims.put(as_claim())
    async with fake_api(CLAIMS.path()) as fake:
        _hub(fake)
        for i in range(PAGE_SIZE + 1):
            fake.put(_laden(f"c{i:03}", 10))
        async with ApiServer(fake.endpoint) as hub:
            with sweeping(hub, state, 0.01):
                await asyncio.wait_for(gone.wait(), 30)

    swept = [r for r in fake.requests if "fieldSelector" not in r.query]
    assert all(
        r.headers["Accept"].startswith("application/json;as=PartialObjectMeta") for r in swept
    )
    assert all(r.query["limit"] == str(PAGE_SIZE) for r in swept)
    assert [r.query.get("continue") for r in swept if r.path == CLAIMS.path()][:2] == [None, str(PAGE_SIZE)]  # fmt: skip


async def test_an_object_whose_deletion_no_watch_told_is_dropped():
    gone = asyncio.Event()

    with sweeping(EmptyHub(), _state(gone), 0.01):
        await asyncio.wait_for(gone.wait(), 30)


async def test_an_object_of_which_no_watch_told_is_read():
    taken = asyncio.Event()
    state = HubState(taken.set)

    with sweeping(EmptyHub(on_the_wire(as_claim())), state, 0.01):
        await asyncio.wait_for(taken.wait(), 30)

    assert [c.metadata.uid for c in state.claims.all()] == [as_claim().metadata.uid]


async def test_a_change_of_which_no_watch_told_is_read():
    taken = asyncio.Event()
    state = HubState(taken.set)
    state.claims.put(as_claim())
    taken.clear()

    with sweeping(EmptyHub(_suspended("99")), state, 0.01):
        await asyncio.wait_for(taken.wait(), 30)

    (found,) = state.claims.all()
    assert (found.metadata.resource_version, found.spec.suspended) == ("99", True)


@pytest.mark.parametrize("version", ["7", "6"], ids=["known", "of a hub that was put back"])
async def test_what_is_known_or_older_isnt_read_again(version: str):
    state = HubState(lambda: None)
    state.claims.put(as_claim(resourceVersion="7"))
    hub = EmptyHub(_suspended(version))

    with sweeping(hub, state, 0.001):
        await eventually("several sweeps", lambda: hub.lists > 3 * len((*KINDS, _PRIORITIES)))

    (found,) = state.claims.all()
    assert (hub.reads, found.spec.suspended) == (0, False)


async def test_a_change_that_makes_a_claim_unreadable_is_read_once():
    state = HubState(lambda: None)
    state.claims.put(as_claim())
    hub = EmptyHub(senseless(as_claim()))

    with sweeping(hub, state, 0.001):
        await eventually("it is read", state.claims.untaken)
        lists = hub.lists
        await eventually("more sweeps", lambda: hub.lists > lists + 10)

    assert hub.reads == 1


async def test_no_labels_of_one_claim_keep_the_list_of_all_from_being_read():
    gone = asyncio.Event()
    state = HubState(lambda: None if state.claims.all() else gone.set())
    state.claims.put(as_claim())
    labels = {f"label-{i}": "x" for i in range(50_000)}
    hub = EmptyHub({"metadata": {"name": "other", "uid": uid_of("other"), "labels": labels}})

    with sweeping(hub, state, 0.01):
        await asyncio.wait_for(gone.wait(), 30)


async def test_a_priority_class_whose_deletion_no_watch_told_counts_no_more():
    gone = asyncio.Event()
    state = HubState(lambda: None if state.priorities else gone.set())
    state.set_priority("urgent", 1_000)

    with sweeping(EmptyHub(), state, 0.01):
        await asyncio.wait_for(gone.wait(), 30)


async def test_an_object_that_a_write_found_gone_is_dropped_soon():
    gone = asyncio.Event()
    state = _state(gone)

    with sweeping(EmptyHub(), state, _NEVER):
        state.doubted.set()
        await asyncio.wait_for(gone.wait(), 30)

    assert not state.doubted.is_set()


async def test_without_a_doubt_nobody_is_asked_before_the_time():
    gone, hub = asyncio.Event(), EmptyHub()

    with sweeping(hub, _state(gone), _NEVER):
        await asyncio.sleep(0.1)

    assert hub.lists == 0
