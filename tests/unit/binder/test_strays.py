"""Work that comes too late, because another operator has released the claim meanwhile."""

import asyncio

import pytest

from sublet.api import claim_status
from sublet.api.gpuclaim import GpuClaim
from sublet.api.relocation import ReleaseCause
from sublet.binder import work
from sublet.binder.binder import Binder
from sublet.binder.ports import Interrupted
from sublet.book.decisions import Take
from sublet.kube.wire import Meta, Node
from tests.builders.api import NOW
from tests.builders.clusters import Hub, NotedApi, idle_binder, tools_of
from tests.builders.moves import leased, running

WEST = leased("west", count=2)


def binding() -> GpuClaim:
    """Return a claim that is reserved on a node and not bound yet."""
    bound = running(WEST, count=1)
    allocation = claim_status.allocation_of(bound).model_copy(update={"bound_time": None})
    return bound.model_copy(update={"status": claim_status.reserved(bound, allocation, NOW)})


def test_a_bind_that_is_asked_to_stop_takes_its_lock_off_a_claim_that_is_gone(
    monkeypatch: pytest.MonkeyPatch,
):
    claim = binding()
    (place,) = claim_status.allocation_of(claim).placements
    uid = claim.metadata.uid
    locked = Meta(
        name=place.node,
        uid=place.node_uid,
        labels={f"claim.sublet.dev/{uid}": "true"},
        annotations={"sublet.dev/allocation": f"{uid}={place.gpus}"},
    )
    path = f"/api/v1/nodes/{place.node}"
    api = NotedApi(uid, {path: Node(metadata=locked)})
    lease = WEST[0]
    tools = tools_of(Hub(None), {lease.metadata.uid: lease}, {lease.metadata.uid: api})

    async def stopped(*_: object) -> None:
        raise Interrupted("asked to stop")

    monkeypatch.setattr(work, "bind", stopped)

    async def run() -> None:
        binder, idle = idle_binder(tools)
        assert binder.tend(claim)
        await idle.wait()

    asyncio.run(run())
    assert path in api.sent("PATCH")


def test_a_release_that_comes_late_leaves_the_claims_next_reservation_alone():
    bound = running(WEST, count=1)
    allocation = claim_status.allocation_of(bound).model_copy(update={"sequence": 2})
    again = bound.model_copy(update={"status": claim_status.reserved(bound, allocation, NOW)})
    lease = WEST[0]
    api = NotedApi(bound.metadata.uid)
    tools = tools_of(Hub(again), {lease.metadata.uid: lease}, {lease.metadata.uid: api})
    told: list[GpuClaim | None] = []

    async def run() -> None:
        idle = asyncio.Event()
        binder = Binder(
            tools, on_claim=told.append, on_gone=told.append, on_idle=lambda _: idle.set()
        )
        assert binder.take(bound, Take(bound.metadata.uid, ReleaseCause.SUSPENDED, NOW))
        await idle.wait()

    asyncio.run(run())
    assert told == [again]
    assert api.calls == []
