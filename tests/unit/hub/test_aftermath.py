"""When what claims left behind is cleaned: by one task per lease, and after a failure again, whatever the wall clock says."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from sublet.binder.ports import ClusterSilent
from sublet.book.inventory import Reach
from sublet.hub import aftermath
from sublet.hub.aftermath import Aftermath
from tests.harness.fake_api import SteppedClock
from tests.unit.hub.test_leftovers import left, lost

LEASE = lost("ann", (left(),))


class Cleaned:
    """An aftermath whose cluster answers as it is told; counts how often it was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock, self.tries = SteppedClock(), 0
        self.fault: Exception | None = None
        cluster: Any = SimpleNamespace(writable=True, facts=SimpleNamespace(reach=Reach.REACHABLE))
        tools: Any = SimpleNamespace(clock=self.clock)
        self.aftermath = Aftermath(tools, lambda _: None, lambda _: cluster, lambda: None)
        monkeypatch.setattr(aftermath, "clear", self._clear)

    async def tend(self) -> None:
        self.aftermath.tend([LEASE])
        for task in list(self.aftermath._tasks.values()):
            await asyncio.wait([task])
        self.aftermath.tend([LEASE])

    async def _clear(self, *_: Any) -> None:
        self.tries += 1
        if self.fault is not None:
            raise self.fault


async def test_what_failed_is_tried_again_later_also_by_a_clock_that_is_set_back(monkeypatch):
    world = Cleaned(monkeypatch)
    world.fault = ClusterSilent("west")
    await world.tend()
    assert (world.tries, world.aftermath.due_ms) == (1, world.clock.now_ms() + 5_000)

    world.clock.set_back_seconds = 600
    await world.tend()
    assert (world.tries, world.aftermath.due_ms) == (1, world.clock.now_ms() + 5_000)
    world.clock.seconds += 5
    await world.tend()
    assert world.tries == 2


async def test_a_fault_of_ours_is_logged_and_tried_again_as_any_other(monkeypatch):
    world = Cleaned(monkeypatch)
    world.fault = ValueError("a node shows 99,999 GPUs")
    with capture_logs() as logs:
        await world.tend()

    assert [x["event"] for x in logs if x["log_level"] == "error"] == ["leftovers not cleaned"]
    assert world.aftermath.due_ms == world.clock.now_ms() + 5_000
