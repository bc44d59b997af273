"""What a watch lost is found by a list: now and then, and soon where a write found an object gone."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from sublet.hub.feeders import sweep_forever
from sublet.hub.state import HubState
from tests.builders.api import as_claim, as_lease, uid_of
from tests.builders.restored import on_the_wire

_NEVER = 3_600.0


class EmptyHub:
    """Lists nothing but the claims that it is given, and says how often it was asked."""

    def __init__(self, *claims: dict[str, Any]) -> None:
        self.lists = 0
        self.claims = claims

    async def get_as(self, path: str, model: type[Any]) -> Any:
        self.lists += 1
        items = self.claims if path.endswith("gpuclaims") else []
        body = {"metadata": {"resourceVersion": "9"}, "items": items}
        return msgspec.json.decode(msgspec.json.encode(body), type=model)

    async def get(self, _: str, **params: str) -> Any:
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


async def test_an_object_whose_deletion_no_watch_told_is_dropped():
    gone = asyncio.Event()

    with sweeping(EmptyHub(), _state(gone), 0.01):
        await asyncio.wait_for(gone.wait(), 10)


async def test_an_object_of_which_no_watch_told_is_read():
    taken = asyncio.Event()
    state = HubState(taken.set)

    with sweeping(EmptyHub(on_the_wire(as_claim())), state, 0.01):
        await asyncio.wait_for(taken.wait(), 10)

    assert [c.metadata.uid for c in state.claims.all()] == [as_claim().metadata.uid]


async def test_no_labels_of_one_claim_keep_the_list_of_all_from_being_read():
    gone = asyncio.Event()
    state = HubState(lambda: None if state.claims.all() else gone.set())
    state.claims.put(as_claim())
    labels = {f"label-{i}": "x" for i in range(50_000)}
    hub = EmptyHub({"metadata": {"name": "other", "uid": uid_of("other"), "labels": labels}})

    with sweeping(hub, state, 0.01):
        await asyncio.wait_for(gone.wait(), 10)


async def test_a_priority_class_whose_deletion_no_watch_told_counts_no_more():
    gone = asyncio.Event()
    state = HubState(lambda: None if state.priorities else gone.set())
    state.set_priority("urgent", 1_000)

    with sweeping(EmptyHub(), state, 0.01):
        await asyncio.wait_for(gone.wait(), 10)


async def test_an_object_that_a_write_found_gone_is_dropped_soon():
    gone = asyncio.Event()
    state = _state(gone)

    with sweeping(EmptyHub(), state, _NEVER):
        state.doubted.set()
        await asyncio.wait_for(gone.wait(), 10)

    assert not state.doubted.is_set()


async def test_without_a_doubt_nobody_is_asked_before_the_time():
    gone, hub = asyncio.Event(), EmptyHub()

    with sweeping(hub, _state(gone), _NEVER):
        await asyncio.sleep(0.1)

    assert hub.lists == 0
