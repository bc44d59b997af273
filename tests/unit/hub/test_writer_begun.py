"""Statuses are written beside planning: whoever begins it waits for none, and hears when what failed is due again."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs

from sublet.fleet.registry import Fleet
from sublet.hub.state import HubState
from sublet.hub.writer import StatusWriter
from sublet.kube.errors import ServerError
from tests.builders.api import as_tenant, tenant
from tests.builders.restored import on_the_wire
from tests.harness.fake_api import SteppedClock, eventually


class SlowHub:
    """Takes tenants' statuses once it is let."""

    def __init__(self) -> None:
        self.answers = asyncio.Event()
        self.answers.set()
        self.fault: Exception | None = None
        self.begun = 0
        self.reasons: list[str] = []

    async def patch(self, _: str, operations: list[dict[str, Any]]) -> dict[str, Any]:
        self.begun += 1
        await self.answers.wait()
        if self.fault is not None:
            raise self.fault
        conditions = operations[-1]["value"]["conditions"]
        self.reasons += [c["reason"] for c in conditions if c["type"] == "Ready"]
        return on_the_wire(as_tenant(resourceVersion="2"), "GpuTenant")


@asynccontextmanager
async def writing(
    changed: Callable[[], None] = lambda: None,
) -> AsyncIterator[tuple[StatusWriter, HubState, SlowHub]]:
    """Yield what writes the status of a tenant, the state, and the hub."""
    clock, state = SteppedClock(), HubState(changed)
    hub: Any = SlowHub()
    state.tenants.put(as_tenant())
    fleet = Fleet(clock=clock, on_change=lambda _: None, allow_local=True, hub_servers=[])
    writer = StatusWriter(hub, state, fleet, clock)
    yield writer, state, hub
    await writer.close(5)


async def test_whoever_begins_it_waits_for_no_write_and_what_changed_meanwhile_is_written_then():
    async with writing() as (writer, state, hub):
        hub.answers.clear()
        writer.tend()
        await eventually("a write is under way", lambda: hub.begun)
        state.tenants.put(as_tenant(tenant(suspended=True), resourceVersion="99"))
        writer.tend()
        await asyncio.sleep(0)
        assert hub.begun == 1
        hub.answers.set()

        await eventually("both are written", lambda: hub.reasons == ["Served", "Suspended"])


async def test_when_what_failed_is_due_again_whoever_begins_it_is_woken(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr("sublet.hub.writer._RETRY_SECONDS", 0.01)
    woken = asyncio.Event()
    async with writing(woken.set) as (writer, _, hub):
        hub.fault = ServerError(503, "ServiceUnavailable", "in trouble")
        woken.clear()
        with capture_logs():
            writer.tend()
            await asyncio.wait_for(woken.wait(), 30)


async def test_a_surprise_is_logged_and_keeps_no_later_write_back():
    async with writing() as (writer, _, hub):
        hub.fault = RuntimeError("an answer that nobody thought of")
        with capture_logs() as logged:
            writer.tend()
            await eventually("it is logged", lambda: logged)
        hub.fault = None
        writer.tend()
        await eventually("it is written", lambda: hub.reasons)


async def test_a_status_that_is_being_written_ends_before_the_operator_does():
    async with writing() as (writer, _, hub):
        hub.answers.clear()
        writer.tend()
        await eventually("a write is under way", lambda: hub.begun)
        closing = asyncio.create_task(writer.close(5))
        await asyncio.sleep(0)
        hub.answers.set()
        await closing

        assert hub.reasons == ["Served"]
