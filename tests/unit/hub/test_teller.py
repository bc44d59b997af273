"""What a claim is told that nothing else is under way for."""

from typing import Any

from sublet.api.event_reasons import EventReason
from sublet.api.gpuclaim import ClaimStatus, GpuClaim
from sublet.api.reading import read_claim
from sublet.binder.claims import Outrun
from sublet.hub.state import HubState, Unread
from sublet.hub.teller import ClaimTeller
from sublet.hub.unread import told_claim
from sublet.kube.errors import KubeError, ServerError
from tests.builders.api import NOW
from tests.builders.moves import leased, running
from tests.builders.restored import on_the_wire, parsed
from tests.builders.unread import holds_by_newer, unread
from tests.harness.fake_api import SteppedClock

BOUND = running(leased("west"))


class Told:
    """Takes statuses and Events."""

    def __init__(self) -> None:
        self.written: list[ClaimStatus] = []
        self.events: list[tuple[EventReason, str]] = []
        self.fault: KubeError | Outrun | None = None
        self.shows: GpuClaim | None = None

    async def get(self, _: GpuClaim) -> GpuClaim | None:
        return self.shows

    async def write_status(self, claim: GpuClaim, status: ClaimStatus) -> GpuClaim:
        if self.fault is not None:
            raise self.fault
        self.written.append(status)
        return claim.model_copy(update={"status": status})

    def note(self, _: GpuClaim, reason: EventReason, message: str) -> None:
        self.events.append((reason, message))


def _changed() -> GpuClaim:
    """Return the bound claim after a change of its spec."""
    meta = BOUND.metadata.model_copy(update={"generation": BOUND.metadata.generation + 1})
    return BOUND.model_copy(update={"metadata": meta})


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
    changed = _changed()

    told.fault = ServerError(503, "ServiceUnavailable", "in trouble")
    assert not await teller.acknowledge([changed])
    told.fault = None
    assert await teller.acknowledge([changed])
    assert [status.observed_generation for status in told.written] == [changed.metadata.generation]


async def test_one_that_can_be_read_again_is_told_no_more_that_it_cant():
    told: Any = Told()
    teller = ClaimTeller(HubState(lambda: None), told, told, SteppedClock())
    body = holds_by_newer(BOUND)
    put = told_claim(Unread(BOUND.metadata.key, "fault", body), NOW)
    assert put is not None
    said = put["status"]["conditions"]
    known = body["status"] | {
        "conditions": said,
        "allocation": on_the_wire(BOUND)["status"]["allocation"],
    }

    await teller.acknowledge([parsed({**body, "status": known})])

    (status,) = told.written
    assert "Stalled" not in {c.type for c in status.conditions}


async def test_what_outran_a_word_is_read_as_no_watch_may_tell_of_it():
    told: Any = Told()
    state = HubState(lambda: None)
    state.claims.put(BOUND)
    told.fault = Outrun("it changed meanwhile")
    meta = BOUND.metadata.model_copy(update={"resource_version": "999"})
    told.shows = BOUND.model_copy(update={"metadata": meta})

    await ClaimTeller(state, told, told, SteppedClock()).acknowledge([_changed()])

    assert [each.metadata.resource_version for each in state.claims.all()] == ["999"]


async def test_a_claim_that_a_word_finds_gone_is_doubted():
    told: Any = Told()
    state = HubState(lambda: None)
    told.fault = Outrun("it is gone")

    await ClaimTeller(state, told, told, SteppedClock()).acknowledge([_changed()])

    assert state.doubted.is_set()
