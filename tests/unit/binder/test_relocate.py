"""What a claim is told while other nodes can't be made ready for it."""

import asyncio
from typing import Any

import pytest

from sublet.api import move_status
from sublet.api.common import find_condition
from sublet.api.gpuclaim import ClaimStatus, GpuClaim
from sublet.api.kinds import RELEASE_FINALIZER
from sublet.api.relocation import Move, MoveCause
from sublet.binder import relocate
from sublet.binder.access import SecretTaken
from sublet.binder.binder import Binder
from sublet.binder.claims import Outrun
from sublet.binder.dropped import FieldDropped
from sublet.binder.ports import ClusterRefuses, ClusterSilent
from sublet.binder.proof import IsolationFault
from tests.builders.api import NOW
from tests.builders.clusters import tools_of
from tests.builders.moves import leased, running
from tests.builders.replacing import Written

WEST, EAST = leased("west", 9), leased("east")
MAKING = "1 other node is being made ready (LeaseEnds)"


def moving() -> GpuClaim:
    """Return a claim on its way to the other lease."""
    busy = running(WEST, end=9)
    (there,) = running(EAST).status.allocation.placements
    move = Move(
        sequence=2, cause=MoveCause.LEASE_ENDS, decided_time=NOW, opened_time=NOW,
        cutover_time=NOW + 10**8, placements=(there,),
    )  # fmt: skip
    kept = busy.metadata.model_copy(update={"finalizers": (RELEASE_FINALIZER,)})
    return busy.model_copy(update={"status": move_status.moving(busy, move, NOW), "metadata": kept})


class Counting(Written):
    """The hub, which counts what is written."""

    written = 0

    async def write_status(self, claim: GpuClaim, status: ClaimStatus) -> GpuClaim:
        self.written += status != claim.status
        return await super().write_status(claim, status)


class World:
    """A claim on its way, of which the next step fails."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, fault: Exception) -> None:
        self.hub, self.fault = Counting(moving()), fault

        async def fails(*_: Any) -> None:
            raise self.fault

        monkeypatch.setattr(relocate, "_grow", fails)

    async def tend(self) -> None:
        """Try once to make the nodes ready."""
        binder = Binder(
            tools_of(self.hub, {}, {}),
            on_claim=lambda _: None,
            on_gone=lambda _: None,
            on_idle=lambda _: None,
        )
        assert self.hub.live is not None
        assert binder.tend(self.hub.live)
        await asyncio.gather(*(run.task for run in binder._runs.values() if run.task))

    @property
    def said(self) -> tuple[str, str]:
        """What Ready says."""
        assert self.hub.live is not None
        found = find_condition(self.hub.live.status.conditions, "Ready")
        assert found is not None
        return found.reason, found.message


@pytest.mark.parametrize(
    "fault",
    [
        IsolationFault("the tenant's pod is refused"),
        SecretTaken("Secret s is not this claim's: delete it"),
        ClusterSilent("east"),
        ClusterRefuses("east", "no"),
        FieldDropped("move.openedTime"),
    ],
    ids=lambda fault: type(fault).__name__,
)
async def test_what_a_move_waits_for_is_said(fault: Exception, monkeypatch: pytest.MonkeyPatch):
    world = World(monkeypatch, fault)
    await world.tend()
    assert world.said == ("Moving", f"{MAKING}; {fault}")


async def test_it_is_written_once_however_often_it_is_tried(monkeypatch: pytest.MonkeyPatch):
    world = World(monkeypatch, ClusterSilent("east"))
    for _ in range(5):
        await world.tend()
    assert world.hub.written == 1


async def test_what_a_move_waits_for_changes_nothing_else(monkeypatch: pytest.MonkeyPatch):
    world = World(monkeypatch, ClusterSilent("east"))
    before = {c.type: c.status for c in moving().status.conditions}
    await world.tend()
    assert world.hub.live is not None
    after = world.hub.live.status
    assert ({c.type: c.status for c in after.conditions}, after.move) == (
        before,
        moving().status.move,
    )


async def test_a_move_that_was_given_up_meanwhile_is_told_nothing(monkeypatch: pytest.MonkeyPatch):
    world = World(monkeypatch, ClusterSilent("east"))
    claim, live = moving(), moving()
    given_up = move_status.abandoning(live, "lost", NOW)
    world.hub.live = live.model_copy(update={"status": given_up})
    with pytest.raises(ClusterSilent):
        await relocate.grow(claim, tools_of(world.hub, {}, {}), lambda: None)
    assert world.hub.written == 0


async def test_a_message_that_cant_be_written_hides_no_reason(monkeypatch: pytest.MonkeyPatch):
    async def outrun(*_: Any) -> GpuClaim:
        raise Outrun("409")

    world = World(monkeypatch, ClusterSilent("east"))
    tools = tools_of(world.hub, {}, {})
    monkeypatch.setattr(tools.claims, "write_status", outrun)
    with pytest.raises(ClusterSilent):
        await relocate.grow(moving(), tools, lambda: None)
