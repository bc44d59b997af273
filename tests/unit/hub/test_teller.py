"""What a claim is told that nothing else is under way for."""

from typing import Any

from sublet.api.event_reasons import EventReason
from sublet.api.gpuclaim import ClaimStatus, GpuClaim
from sublet.api.reading import read_claim
from sublet.hub.state import HubState
from sublet.hub.teller import ClaimTeller
from sublet.kube.errors import KubeError, ServerError
from tests.builders.moves import leased, running
from tests.builders.unread import unread
from tests.harness.fake_api import SteppedClock

BOUND = running(leased("west"))


class Told:
    """Takes statuses and Events."""

    def __init__(self) -> None:
        self.written: list[ClaimStatus] = []
        self.events: list[tuple[EventReason, str]] = []
        self.fault: KubeError | None = None

    async def write_status(self, claim: GpuClaim, status: ClaimStatus) -> GpuClaim:
        if self.fault is not None:
            raise self.fault
        self.written.append(status)
        return claim.model_copy(update={"status": status})

    def note(self, _: GpuClaim, reason: EventReason, message: str) -> None:
        self.events.append((reason, message))


async def test_a_spec_that_cant_be_read_is_told_and_never_called_seen():
    told: Any = Told()
    teller = ClaimTeller(HubState(lambda: None), told, told, SteppedClock())

    await teller.acknowledge([read_claim(unread(BOUND), BOUND)])

    ((reason, message),) = told.events
    assert (reason, told.written) == (EventReason.SPEC_UNREAD, [])
    assert "schedule.startTime" in message


async def test_whoever_has_claims_acknowledged_hears_whether_they_were():
    told: Any = Told()
    teller = ClaimTeller(HubState(lambda: None), told, told, SteppedClock())
    meta = BOUND.metadata.model_copy(update={"generation": BOUND.metadata.generation + 1})
    changed = BOUND.model_copy(update={"metadata": meta})

    told.fault = ServerError(503, "ServiceUnavailable", "in trouble")
    assert not await teller.acknowledge([changed])
    told.fault = None
    assert await teller.acknowledge([changed])
    assert [status.observed_generation for status in told.written] == [meta.generation]
