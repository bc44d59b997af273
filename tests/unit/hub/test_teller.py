"""What a claim is told that nothing else is under way for."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs

from sublet.api.event_reasons import EventReason
from sublet.api.gpuclaim import ClaimStatus, GpuClaim
from sublet.api.ids import ClaimUID
from sublet.api.pending import PendingReason
from sublet.api.reading import read_claim
from sublet.binder.claims import Outrun
from sublet.book.decisions import Degrade, Refuse
from sublet.hub.state import HubState, Unread
from sublet.hub.teller import ClaimTeller, wait_seconds
from sublet.hub.unread import told_claim
from sublet.kube.errors import Forbidden, ServerError, TooManyRequests, Unreachable
from tests.builders.api import NOW, as_claim, claim
from tests.builders.moves import leased, running
from tests.builders.restored import on_the_wire, parsed
from tests.builders.unread import holds_by_newer, unread
from tests.harness.fake_api import SteppedClock, eventually

BOUND = running(leased("west"))
_DENIED = Forbidden(403, "Forbidden", "an admission webhook denied the request")


class Told:
    """Takes statuses and Events. A write waits while its claim's name is among `held`."""

    def __init__(self, state: HubState) -> None:
        self.state = state
        self.written: list[ClaimStatus] = []
        self.names: list[str] = []
        self.begun: list[str] = []
        self.events: list[tuple[EventReason, str]] = []
        self.faults: list[Exception] = []
        self.shows: GpuClaim | None = None
        self.held: dict[str, asyncio.Event] = {}

    async def get(self, _: GpuClaim) -> GpuClaim | None:
        return self.shows

    async def write_status(self, claim: GpuClaim, status: ClaimStatus) -> GpuClaim:
        name = claim.metadata.name
        self.begun.append(name)
        if name in self.held:
            await self.held[name].wait()
        if self.faults:
            raise self.faults.pop(0)
        self.written.append(status)
        self.names.append(name)
        return newer(claim).model_copy(update={"status": status})

    def hold(self, *names: str) -> None:
        self.held = {name: asyncio.Event() for name in names}

    def let_go(self) -> None:
        for each in self.held.values():
            each.set()
        self.held = {}

    def note(self, _: GpuClaim, reason: EventReason, message: str) -> None:
        self.events.append((reason, message))


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what wasn't taken be told again at once."""
    monkeypatch.setattr("sublet.hub.teller.wait_seconds", lambda *_: 0.01)


def newer(claim: GpuClaim, **meta: Any) -> GpuClaim:
    """Return the next version of a claim."""
    version = str(int(claim.metadata.resource_version) + 1)
    update = {"resource_version": version, **meta}
    return claim.model_copy(update={"metadata": claim.metadata.model_copy(update=update)})


def changed(claim: GpuClaim = BOUND) -> GpuClaim:
    """Return a claim after a change of its spec."""
    return newer(claim, generation=claim.metadata.generation + 1)


def refused(claim: GpuClaim, message: str = "no room") -> tuple[GpuClaim, Refuse]:
    uid = ClaimUID(claim.metadata.uid)
    return claim, Refuse(uid, PendingReason.WAITING_FOR_CAPACITY, message)


@asynccontextmanager
async def telling(
    *claims: GpuClaim, patience: float = 5.0
) -> AsyncIterator[tuple[ClaimTeller, Any]]:
    """Yield a teller of the claims that a hub has, and who takes what it writes; at last all must have been told."""
    state = HubState(lambda: None)
    for each in claims:
        state.claims.put(each)
    told: Any = Told(state)
    teller = ClaimTeller(state, told, told, SteppedClock())
    yield teller, told
    await teller.close(patience)


async def test_a_spec_that_cant_be_read_is_told_and_never_called_seen():
    unseen = read_claim(unread(BOUND), BOUND)
    async with telling(unseen) as (teller, told):
        teller.acknowledge([unseen])

    ((reason, message),) = told.events
    assert (reason, told.written) == (EventReason.SPEC_UNREAD, [])
    assert "schedule.startTime" in message


@pytest.mark.usefixtures("soon")
async def test_an_acknowledgement_that_a_hub_in_trouble_didnt_take_is_written_again():
    async with telling(changed()) as (teller, told):
        told.faults = [ServerError(503, "ServiceUnavailable", "in trouble")]
        teller.acknowledge(told.state.claims.all())
        with capture_logs():
            await eventually("it is written", lambda: told.written)

    assert [status.observed_generation for status in told.written] == [
        BOUND.metadata.generation + 1
    ]


async def test_one_that_can_be_read_again_is_told_no_more_that_it_cant():
    body = holds_by_newer(BOUND)
    put = told_claim(Unread(BOUND.metadata.key, "fault", body), NOW)
    assert put is not None
    said = put["status"]["conditions"]
    known = body["status"] | {
        "conditions": said,
        "allocation": on_the_wire(BOUND)["status"]["allocation"],
    }
    mended = parsed({**body, "status": known})

    async with telling(mended) as (teller, told):
        teller.acknowledge([mended])
        await eventually("it is written", lambda: told.written)

    (status,) = told.written
    assert "Stalled" not in {c.type for c in status.conditions}


async def test_what_outran_a_word_is_read_as_no_watch_may_tell_of_it():
    async with telling(changed()) as (teller, told):
        told.faults = [Outrun("it changed meanwhile")]
        told.shows = newer(changed(), resource_version="999")
        teller.acknowledge(told.state.claims.all())
        await eventually("it is tried", lambda: told.begun)

    assert [c.metadata.resource_version for c in told.state.claims.all()] == ["999"]


async def test_a_claim_that_a_word_finds_gone_is_doubted():
    async with telling(changed()) as (teller, told):
        told.faults = [Outrun("it is gone")]
        teller.acknowledge(told.state.claims.all())
        with capture_logs():
            await eventually("it is tried", lambda: told.begun)

    assert told.state.doubted.is_set()


@pytest.mark.usefixtures("soon")
async def test_what_isnt_taken_is_logged_once_and_told_again_until_it_is():
    waits = as_claim(claim("a"))
    async with telling(waits) as (teller, told):
        told.faults = [ServerError(500, "InternalError", "failed calling webhook")] * 2
        with capture_logs() as logged:
            teller.tell([refused(waits)], is_all=True)
            await eventually("it is told", lambda: told.written)

    assert (told.begun, len(logged)) == (["a"] * 3, 1)


@pytest.mark.parametrize(
    ("error", "seconds"),
    [(_DENIED, [1, 2, 4, 8, 16, 32, 60, 60]), (Unreachable("away"), [1, 2, 4, 5, 5])],
    ids=["refused", "away"],
)
def test_a_word_that_isnt_taken_waits_longer_each_time_and_less_for_a_hub_that_is_away(
    error: Exception, seconds: list[float]
):
    assert [wait_seconds(error, i + 1) for i in range(len(seconds))] == seconds


def test_a_word_waits_as_long_as_the_hub_says():
    error = TooManyRequests(429, "TooManyRequests", "later")
    error.retry_after_seconds = 20.0
    assert [wait_seconds(error, failures) for failures in (1, 6)] == [20.0, 32.0]


@pytest.mark.usefixtures("soon")
async def test_a_claim_is_told_its_newest_word_and_never_two_at_once():
    waits = as_claim(claim("a"))
    async with telling(waits) as (teller, told):
        told.hold("a")
        told.faults = [_DENIED]
        teller.tell([refused(waits, "first")], is_all=True)
        await eventually("it is tried", lambda: told.begun)
        for message in ("second", "third"):
            teller.tell([refused(waits, message)], is_all=True)
        await asyncio.sleep(0)
        assert told.begun == ["a"]
        told.let_go()
        with capture_logs():
            await eventually("it is told", lambda: told.written)

    (status,) = told.written
    assert status.pending.message == "third"


async def test_a_word_that_came_while_another_was_written_is_decided_anew():
    waits = as_claim(claim("a"))
    async with telling(waits) as (teller, told):
        told.hold("a")
        teller.tell([refused(waits, "first")], is_all=True)
        await eventually("it is begun", lambda: told.begun)
        teller.tell([refused(waits, "second")], is_all=True)
        assert not teller.missed()
        told.let_go()
        await eventually("it is told", lambda: told.written)

        assert [teller.missed(), teller.missed()] == [True, False]
    assert len(told.written) == 1


async def test_a_word_that_is_said_again_while_it_is_written_is_told_once():
    waits = as_claim(claim("a"))
    async with telling(waits) as (teller, told):
        told.hold("a")
        teller.tell([refused(waits)], is_all=True)
        await eventually("it is begun", lambda: told.begun)
        teller.tell([refused(waits)], is_all=True)
        told.let_go()
        await eventually("it is told", lambda: told.written)

        assert not teller.missed()
    assert len(told.written) == 1


async def test_a_claim_that_changed_before_it_was_told_is_decided_anew():
    waits = as_claim(claim("a"))
    async with telling(waits) as (teller, told):
        teller.tell([refused(waits)], is_all=True)
        told.state.claims.put(newer(waits))

        assert [teller.missed(), teller.missed()] == [True, False]
    assert told.begun == []


async def test_a_claim_that_is_gone_before_it_was_told_is_nobodys_decision():
    waits = as_claim(claim("a"))
    async with telling(waits) as (teller, told):
        teller.tell([refused(waits)], is_all=True)
        told.state.claims.drop(waits.metadata.uid)

        assert not teller.missed()
    assert told.begun == []


async def test_what_the_book_says_no_more_is_told_no_more():
    waits, other = as_claim(claim("a")), as_claim(claim("b"))
    async with telling(waits, other) as (teller, told):
        teller.tell([refused(waits)], is_all=True)
        teller.tell([refused(other)], is_all=True)
        await eventually("the other is told", lambda: told.written)

    assert told.names == ["b"]


async def test_what_was_decided_of_one_claim_leaves_the_words_for_others():
    waits, other = as_claim(claim("a")), as_claim(claim("b"))
    async with telling(waits, other) as (teller, told):
        teller.tell([refused(waits)], is_all=True)
        teller.tell([refused(other)], is_all=False)
        await eventually("both are told", lambda: len(told.written) == 2)


async def test_the_books_word_goes_before_any_other():
    uid = ClaimUID(BOUND.metadata.uid)
    async with telling(BOUND) as (teller, told):
        teller.tell([(BOUND, Degrade(uid, "NodeFailed", "of the book"))], is_all=True)
        teller.mention([(BOUND, Degrade(uid, "Repaired", "of drift"))])
        teller.acknowledge([changed()])
        await eventually("it is told", lambda: told.written)

    assert told.events == [(EventReason("NodeFailed"), "of the book")]


@pytest.mark.usefixtures("soon")
async def test_what_drift_says_no_more_is_told_no_more():
    other = as_claim(claim("b"))
    said = Degrade(ClaimUID(BOUND.metadata.uid), "Repaired", "of drift")
    async with telling(BOUND, other) as (teller, told):
        told.faults = [_DENIED]
        with capture_logs():
            teller.mention([(BOUND, said)])
            await eventually("it is refused", lambda: not told.faults)
        teller.tell([refused(other)], is_all=False)
        teller.mention([])
        await eventually("the other is told", lambda: told.written)
        await asyncio.sleep(0.03)

    assert (told.names, told.events) == (["b"], [])


async def test_what_drift_says_in_each_pass_is_told_once():
    said = Degrade(ClaimUID(BOUND.metadata.uid), "Repaired", "of drift")
    async with telling(BOUND) as (teller, told):
        told.slow = {BOUND.metadata.name}
        teller.mention([(BOUND, said)])
        await eventually("it is begun", lambda: told.begun)
        teller.tell([], is_all=False)
        teller.mention([(BOUND, said)])
        told.slow = set()
        await eventually("it is told", lambda: told.written)

        assert not teller.missed()
    assert told.events == [(EventReason.REPAIRED, "of drift")]


async def test_no_claim_is_told_anything_while_other_work_on_it_is_under_way():
    state = HubState(lambda: None)
    waits = as_claim(claim("a"))
    state.claims.put(waits)
    told: Any = Told(state)
    busy = set[str]()
    teller = ClaimTeller(state, told, told, SteppedClock(), is_busy=busy.__contains__)
    teller.tell([refused(waits)], is_all=True)
    busy.add(waits.metadata.uid)
    await asyncio.sleep(0.01)

    assert (told.begun, teller.missed()) == ([], True)


async def test_a_word_whose_turn_came_during_other_work_that_is_over_is_decided_anew_once():
    state = HubState(lambda: None)
    waits = as_claim(claim("a"))
    state.claims.put(waits)
    told: Any = Told(state)
    busy = {waits.metadata.uid}
    teller = ClaimTeller(state, told, told, SteppedClock(), is_busy=busy.__contains__)
    teller.tell([refused(waits)], is_all=True)
    await asyncio.sleep(0.01)
    busy.clear()

    assert [teller.missed(), teller.missed()] == [True, False]


async def test_a_word_that_still_waits_for_its_turn_makes_nothing_be_decided_anew():
    waits = as_claim(claim("a"))
    async with telling(waits) as (teller, told):
        teller.tell([refused(waits)], is_all=True)
        assert not teller.missed()
        await eventually("it is told", lambda: told.written)


async def test_where_nothing_is_taken_claims_hold_up_no_words_for_others():
    sick = [as_claim(claim(f"a{i}", "sick")) for i in range(20)]
    well = as_claim(claim("b", "well"))
    async with telling(*sick, well, patience=0) as (teller, told):
        told.faults = [_DENIED]
        with capture_logs():
            teller.tell([refused(sick[0])], is_all=True)
            await eventually("one is refused", lambda: not told.faults)
        told.hold(*(c.metadata.name for c in sick))
        teller.tell([refused(each) for each in (*sick, well)], is_all=True)
        await eventually("the other is told", lambda: told.names == ["b"])


async def test_a_word_that_is_being_written_ends_before_the_operator_does(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr("sublet.hub.teller.wait_seconds", lambda *_: 3_600)
    one, other = as_claim(claim("a")), as_claim(claim("b"))
    async with telling(one, other) as (teller, told):
        told.faults = [_DENIED]
        with capture_logs():
            teller.tell([refused(one)], is_all=False)
            await eventually("one is refused", lambda: not told.faults)
        told.hold("b")
        teller.tell([refused(other)], is_all=False)
        await eventually("the other is begun", lambda: "b" in told.begun)
        closing = asyncio.create_task(teller.close(600))
        await asyncio.sleep(0)
        told.let_go()
        await asyncio.wait_for(closing, 30)

    assert told.names == ["b"]
