"""When what claims left behind is cleaned: by one task per lease, and after a failure again, whatever the wall clock says.

A claim that holds nodes in the cluster keeps what it has there, whether it can be read or not.
"""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from sublet.api.gpuclaim import GpuClaim
from sublet.api.gpulease import GpuLease
from sublet.api.last_word import Leftover
from sublet.binder.ports import ClusterRefuses, ClusterSilent, StillThere
from sublet.book.inventory import Reach
from sublet.hub import aftermath
from sublet.hub.aftermath import Aftermath
from sublet.hub.state import HubState
from tests.builders.clusters import CLUSTER
from tests.builders.moves import leased, running
from tests.builders.restored import Body, adopted, on_the_wire, restored
from tests.builders.unread import holds_by_newer
from tests.harness.fake_api import SteppedClock
from tests.unit.hub.test_leftovers import left, lost

LEASE = lost("ann", (left(),))


class Cleaned:
    """An aftermath whose cluster answers as it is told; notes of which claims it was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *leases: GpuLease) -> None:
        self.clock, self.asked = SteppedClock(), list[str]()
        self.faults: dict[str, Exception] = {}
        self.fault: Exception | None = None
        self.state = HubState(lambda: None)
        self._leases = {x.metadata.uid: x for x in leases or (LEASE,)}
        cluster: Any = SimpleNamespace(writable=True, facts=SimpleNamespace(reach=Reach.REACHABLE))
        tools: Any = SimpleNamespace(clock=self.clock, lease=self._leases.get)
        self.aftermath = Aftermath(tools, self.state.claims, lambda _: cluster, lambda: None)
        monkeypatch.setattr(aftermath, "clear", self._clear)

    @property
    def tries(self) -> int:
        return len(self.asked)

    async def tend(self) -> None:
        self.aftermath.tend(self._leases.values())
        for task in list(self.aftermath._tasks.values()):
            await asyncio.wait([task])
        self.aftermath.tend(self._leases.values())

    async def _clear(self, _: GpuLease, left: Leftover, *__: Any) -> None:
        self.asked.append(left.claim_uid)
        if (fault := self.faults.get(left.claim_uid, self.fault)) is not None:
            raise fault


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


THREE = tuple(left(number) for number in range(3))
FIRST, *OTHERS = (each.claim_uid for each in THREE)


@pytest.mark.parametrize("fault", [ClusterRefuses("west", "a webhook's no"), ValueError("odd")])
async def test_what_is_wrong_with_one_claims_leftovers_holds_up_no_others(monkeypatch, fault):
    world = Cleaned(monkeypatch, lost("ann", THREE))
    world.faults[FIRST] = fault
    with capture_logs():
        await world.tend()

    assert world.asked == [FIRST, *OTHERS]
    assert world.aftermath.due_ms == world.clock.now_ms() + 5_000


async def test_after_a_silence_those_behind_come_first_as_it_may_be_about_one_alone(monkeypatch):
    world = Cleaned(monkeypatch, lost("ann", THREE))
    world.faults[FIRST] = ClusterSilent("west")
    await world.tend()
    assert world.asked == [FIRST]

    world.clock.seconds += 5
    await world.tend()
    assert world.asked == [FIRST, *OTHERS, FIRST]


async def test_a_silence_is_asked_about_soon_although_what_was_tried_before_it_rests(monkeypatch):
    world = Cleaned(monkeypatch, lost("ann", THREE))
    world.faults = {FIRST: StillThere("rests", 30.0), OTHERS[0]: ClusterSilent("west")}
    await world.tend()

    assert world.aftermath.due_ms == world.clock.now_ms() + 5_000


def beside(cluster_uid: str) -> tuple[GpuClaim, GpuLease, GpuLease]:
    """Return a claim on a lease that is there, that lease, and a lost one of the west that lists it."""
    east = leased("east")
    there = east[0].status.model_copy(update={"cluster_uid": cluster_uid})
    holder = running(east)
    west = lost("ann", (left(claim_uid=holder.metadata.uid),))
    here = west.status.model_copy(update={"cluster_uid": CLUSTER})
    leases = (
        east[0].model_copy(update={"status": there}),
        west.model_copy(update={"status": here}),
    )
    return holder, *leases


def awaiting(claim: GpuClaim) -> Body:
    return restored(on_the_wire(claim))


def adopted_by_newer(claim: GpuClaim) -> Body:
    """Return a claim that was restored and adopted, and that only a newer version can read."""
    body = adopted(awaiting(claim))
    newer = holds_by_newer(claim)["status"]["allocation"]
    return {**body, "status": {**body["status"], "allocation": newer}}


@pytest.mark.parametrize("shown", [on_the_wire, holds_by_newer, awaiting, adopted_by_newer])
async def test_a_claim_that_holds_nodes_in_the_cluster_keeps_what_it_has_there(monkeypatch, shown):
    holder, east, west = beside(CLUSTER)
    world = Cleaned(monkeypatch, west, east)
    with capture_logs():
        world.state.claims.take(shown(holder))
    await world.tend()

    assert world.asked == []


@pytest.mark.parametrize("shown", [on_the_wire, holds_by_newer])
async def test_what_a_claim_holds_in_another_cluster_is_none_of_this_ones(monkeypatch, shown):
    holder, east, west = beside("00000000-0000-4000-8000-00000000ea57")
    world = Cleaned(monkeypatch, west, east)
    with capture_logs():
        world.state.claims.take(shown(holder))
    await world.tend()

    assert world.asked == [holder.metadata.uid]
