"""What a new leader learns of the one before, until when it lived, and for how long it leads itself."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from sublet.clock import SystemClock
from sublet.hub.leader import Leadership
from sublet.kube.errors import Conflict
from tests.harness.fake_api import SteppedClock, eventually


class Hub:
    """Keeps one Lease."""

    def __init__(self, **spec: Any) -> None:
        self.lease: dict[str, Any] = {"metadata": {}, "spec": spec}

    async def get(self, _: str) -> dict[str, Any]:
        return {"metadata": {}, "spec": dict(self.lease["spec"])}

    async def replace(self, _: str, lease: dict[str, Any]) -> None:
        self.lease = lease


async def test_the_last_renewal_of_the_leader_before_is_known_once_we_lead():
    hub: Any = Hub(holderIdentity="", renewTime="2026-11-22T09:59:00.500000Z")
    leadership = Leadership(hub, SteppedClock(), namespace="n", identity="new", lease_seconds=15)

    assert leadership.lived_ms is None
    assert await leadership._try()
    leadership.gained.set()
    lived = leadership.lived_ms
    assert lived is not None
    assert lived % 60_000 == 500
    assert await leadership._try()  # our own renewals are no news of anybody before us
    assert leadership.lived_ms == lived


async def test_an_instant_that_is_none_keeps_nobody_from_leading():
    hub: Any = Hub(holderIdentity="", renewTime="0000-01-01T00:00:00.000000Z")
    leadership = Leadership(hub, SteppedClock(), namespace="n", identity="new", lease_seconds=15)

    assert await leadership._try()
    assert leadership.lived_ms is None


async def test_who_stumbles_once_tries_again():
    class Stumbling(Hub):
        falls = 1

        async def get(self, path: str) -> dict[str, Any]:
            self.falls -= 1
            if self.falls >= 0:
                raise AttributeError("an answer that nobody thought of")
            return await super().get(path)

    hub: Any = Stumbling(holderIdentity="")
    hub.date = ""
    leadership = Leadership(hub, SystemClock(), namespace="n", identity="new", lease_seconds=0.3)
    running = asyncio.create_task(leadership.run())
    await asyncio.wait_for(leadership.gained.wait(), 30)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_renewal_counts_from_when_it_was_asked_for():
    """A standby counts from when it was stored, however late we hear of that."""
    clock = SteppedClock()

    class Slow(Hub):
        async def replace(self, _: str, lease: dict[str, Any]) -> None:
            await super().replace(_, lease)
            clock.seconds += 12

    hub: Any = Slow(holderIdentity="")
    hub.date = ""
    leadership = Leadership(hub, clock, namespace="n", identity="new", lease_seconds=15)
    running = asyncio.create_task(leadership.run())
    await leadership.gained.wait()

    assert not leadership.leads
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_leader_whose_renewal_is_never_answered_knows_that_it_leads_no_more():
    class Silent(Hub):
        asked = 0

        async def replace(self, _: str, lease: dict[str, Any]) -> None:
            self.asked += 1
            if self.asked > 1:
                await asyncio.Event().wait()

    hub: Any = Silent(holderIdentity="")
    hub.date = ""
    leadership = Leadership(hub, SystemClock(), namespace="n", identity="new", lease_seconds=0.3)
    running = asyncio.create_task(leadership.run())
    await leadership.gained.wait()

    await asyncio.wait_for(leadership.lost.wait(), 20)
    await running


async def test_one_silent_connection_costs_no_leadership(monkeypatch: pytest.MonkeyPatch):
    class OnceSilent(Hub):
        asked = 0

        async def get(self, path: str) -> dict[str, Any]:
            self.asked += 1
            if self.asked == 2:
                await asyncio.Event().wait()
            return await super().get(path)

    clock = SteppedClock()
    monkeypatch.setattr(asyncio.get_running_loop(), "time", clock.monotonic)
    hub: Any = OnceSilent(holderIdentity="")
    hub.date = ""
    leadership = Leadership(hub, clock, namespace="n", identity="new", lease_seconds=15)
    running = asyncio.create_task(leadership.run())
    await leadership.gained.wait()

    for _ in range(30):
        clock.seconds += 0.5
        for _ in range(10):
            await asyncio.sleep(0)
        assert leadership.leads

    assert hub.asked > 4
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


class Contested(Hub):
    """Keeps a Lease that somebody else writes just before each renewal."""

    date = ""
    conflicts = 0

    async def replace(self, _: str, lease: dict[str, Any]) -> None:
        if not self.lease["spec"]["holderIdentity"]:
            await super().replace(_, lease)
            return
        self.conflicts += 1
        raise Conflict(409, "Conflict", "the object has been modified")


@asynccontextmanager
async def renewing(pause_seconds: float) -> AsyncIterator[tuple[Leadership, Contested]]:
    """Run a leader that gains a Lease and, after a pause, meets a conflict when it renews it."""
    clock, hub = SteppedClock(), Contested(holderIdentity="")
    served: Any = hub
    leadership = Leadership(served, clock, namespace="n", identity="new", lease_seconds=0.3)
    running = asyncio.create_task(leadership.run())
    await leadership.gained.wait()
    clock.seconds += pause_seconds
    await eventually("a conflict", lambda: hub.conflicts)
    yield leadership, hub
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_renewal_that_somebody_came_before_after_a_long_sleep_revives_nobody():
    async with renewing(pause_seconds=0.25) as (leadership, _):
        assert not leadership.leads
        await asyncio.wait_for(leadership.lost.wait(), 20)


async def test_a_lease_that_somebody_wrote_on_in_its_time_is_looked_at_again():
    async with renewing(pause_seconds=0.0) as (leadership, hub):
        await eventually("asked again", lambda: hub.conflicts > 1)
        assert leadership.leads
