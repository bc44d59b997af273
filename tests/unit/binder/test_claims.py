"""Reads and writes of a claim that somebody made unreadable: in our own words, and only what is sure."""

import asyncio
from typing import Any

import pytest

from sublet.api.gpuclaim import GpuClaim
from sublet.api.kinds import RELEASE_FINALIZER
from sublet.api.relocation import ReleaseCause
from sublet.binder.binder import Binder
from sublet.binder.claims import Outrun, Unread
from sublet.binder.slots import Promises
from sublet.book.decisions import Take
from sublet.book.plan import plan
from sublet.kube.errors import Conflict
from tests.builders.api import as_claim, uid_of
from tests.builders.clusters import NotedApi, tools_of, writer_of
from tests.builders.fleet import inventory, nodes, reserve_of, view
from tests.builders.moves import leased, running
from tests.builders.restored import Body, on_the_wire
from tests.builders.unread import senseless, unread

WEST = leased("west")
LEASE_UID = WEST[0].metadata.uid
WAITING = as_claim(finalizers=[RELEASE_FINALIZER])
DELETED = {"deletionTimestamp": "2026-11-22T10:00:00Z", "finalizers": [RELEASE_FINALIZER]}


class Raw:
    """The hub, with one claim as it is on the wire; every write with an older version is refused."""

    def __init__(self, live: Body) -> None:
        self.live = live
        self.reads = 0
        self.patches: list[Any] = []

    async def get(self, _: str) -> Body:
        self.reads += 1
        return self.live

    async def replace(self, path: str, body: Body) -> Body:
        if body["metadata"]["resourceVersion"] != self.live["metadata"]["resourceVersion"]:
            raise Conflict(409, "Conflict", path)
        self.live = {**self.live, "status": body["status"]}
        return self.live

    async def patch(self, _: str, patch: Any) -> Body:
        self.patches.append(patch)
        return self.live


def binder_of(hub: Raw, told: list[GpuClaim | None], held_by: str | None = None) -> Binder:
    writer: Any = writer_of(hub)
    tools = tools_of(writer, {LEASE_UID: WEST[0]}, {LEASE_UID: NotedApi(WAITING.metadata.uid)})
    there = inventory(WEST[0], nodes(WEST[0], 1, held_by=held_by))
    tools.cluster(LEASE_UID).inventory = lambda: there
    tools.promises = Promises()
    return Binder(tools, on_claim=told.append, on_gone=told.append, on_idle=lambda _: None)


async def test_it_is_read_with_the_spec_that_could_be_read_last():
    bound = running(WEST)
    live = await writer_of(Raw(unread(bound))).get(bound)

    assert live is not None
    assert (live.spec, live.status) == (bound.spec, bound.status)
    assert live.metadata.fault


async def test_what_cant_be_read_at_all_is_our_own_error_and_names_the_claim():
    writer = writer_of(Raw(senseless(WAITING)))

    with pytest.raises(Unread, match="acme/train"):
        await writer.get(WAITING)
    assert await writer.get(as_claim(uid=uid_of("an earlier namesake"))) is None


async def test_a_reservation_that_was_outrun_shows_what_the_claim_is_now_and_ends():
    hub, told = Raw(unread(WAITING)), list[GpuClaim | None]()
    binder = binder_of(hub, told)

    assert binder.reserve(WAITING, reserve_of(plan(view([WAITING], [WEST])), WAITING))
    await asyncio.sleep(0.1)

    assert [claim.metadata.fault != "" for claim in told if claim is not None] == [True]


async def test_one_of_which_nothing_can_be_read_is_tried_again_slowly(capsys):
    hub, told = Raw(senseless(WAITING)), list[GpuClaim | None]()
    binder = binder_of(hub, told)
    assert binder.reserve(WAITING, reserve_of(plan(view([WAITING], [WEST])), WAITING))
    await asyncio.sleep(0.1)

    said = capsys.readouterr().out
    assert hub.reads == 1
    assert ("acme/train can't be read" in said, "Traceback" in said) == (True, False)
    await binder.close(1.0)


async def test_a_deleted_one_that_holds_nothing_may_go_as_it_is_now():
    hub, told = Raw(unread(WAITING, **DELETED)), list[GpuClaim | None]()
    binder = binder_of(hub, told)
    live = await writer_of(hub).get(WAITING)
    assert live is not None
    assert binder.tend(live)
    await asyncio.sleep(0.1)

    (patch,) = hub.patches
    tests = {each["path"]: each["value"] for each in patch if each["op"] == "test"}
    assert tests == {"/metadata/uid": WAITING.metadata.uid, "/metadata/resourceVersion": "999"}
    assert patch[-1]["value"] == []


async def test_a_node_that_holds_something_for_it_keeps_it():
    hub, told = Raw(unread(WAITING, **DELETED)), list[GpuClaim | None]()
    binder = binder_of(hub, told, held_by=WAITING.metadata.uid)
    live = await writer_of(hub).get(WAITING)
    assert live is not None
    assert binder.tend(live)
    await asyncio.sleep(0.1)

    assert hub.patches == []
    await binder.close(1.0)


def without_allocation() -> GpuClaim:
    """Return a deleted claim that was bound, and of whose status somebody took away what it holds."""
    each = running(WEST)
    meta = {"deletion_timestamp": 1, "finalizers": (RELEASE_FINALIZER,)}
    return each.model_copy(
        update={
            "metadata": each.metadata.model_copy(update=meta),
            "status": each.status.model_copy(update={"allocation": None, "access": None}),
        }
    )


@pytest.mark.parametrize("is_held", [True, False])
async def test_one_without_its_allocation_goes_once_no_node_names_it(is_held: bool):
    claim = without_allocation()
    hub, told = Raw(on_the_wire(claim)), list[GpuClaim | None]()
    binder = binder_of(hub, told, held_by=claim.metadata.uid if is_held else None)
    assert binder.tend(claim)
    await asyncio.sleep(0.1)

    assert bool(hub.patches) is not is_held
    await binder.close(1.0)


async def test_a_deleted_one_that_holds_something_is_released_like_any_other():
    bound = running(WEST)
    hub, told = Raw(unread(bound, **DELETED)), list[GpuClaim | None]()
    live = await writer_of(hub).get(bound)
    assert live is not None
    (taken,) = plan(view([live], [WEST])).decisions
    assert isinstance(taken, Take)
    binder_of(hub, told).take(live, taken)
    await asyncio.sleep(0.1)

    assert hub.live["status"]["release"]["cause"] == ReleaseCause.DELETED.value


async def test_a_write_decided_on_an_older_version_is_outrun():
    with pytest.raises(Outrun):
        await writer_of(Raw(unread(WAITING))).write_status(WAITING, running(WEST).status)
