"""Two operators that differ don't write against each other without end."""

from typing import Any

import pytest

from sublet.api.gputenant import GpuTenant, TenantStatus
from sublet.fleet.registry import Fleet
from sublet.hub.contest import Contest
from sublet.hub.state import HubState
from sublet.hub.writer import StatusWriter
from tests.builders.api import as_tenant
from tests.builders.moves import leased, running
from tests.builders.restored import Body
from tests.builders.unread import holds_by_newer
from tests.harness.fake_api import SteppedClock

OURS = TenantStatus(observed_generation=1)
THEIRS = TenantStatus(observed_generation=2)
MINUTE = 60


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


def test_what_stands_as_we_wrote_it_is_written_anew_at_once(clock: SteppedClock):
    contest = Contest(clock)
    assert contest.wait_seconds("a", THEIRS) == 0

    contest.wrote("a", THEIRS, OURS)

    assert contest.wait_seconds("a", OURS) == 0


def test_between_words_that_another_overwrites_more_time_passes_each_time_and_ten_seconds_at_most(
    clock: SteppedClock,
):
    contest = Contest(clock)
    contest.wrote("a", THEIRS, OURS)
    waits = []
    for _ in range(6):
        waits.append(contest.wait_seconds("a", THEIRS))
        clock.seconds += waits[-1]
        assert contest.wait_seconds("a", THEIRS) == 0
        contest.wrote("a", THEIRS, OURS)

    assert waits == [1, 2, 4, 8, 10, 10]


def test_a_contest_of_a_day_is_still_one(clock: SteppedClock):
    contest = Contest(clock)
    for _ in range(5_000):
        contest.wrote("a", THEIRS, OURS)

    assert contest.wait_seconds("a", THEIRS) == 10


def test_what_is_written_over_an_old_word_is_put_right_at_once(clock: SteppedClock):
    contest = Contest(clock)
    contest.wrote("a", THEIRS, OURS)
    clock.seconds += 1

    assert contest.wait_seconds("a", THEIRS) == 0


def test_a_contest_is_over_after_a_calm_minute_whatever_is_written_in_it(clock: SteppedClock):
    contest = Contest(clock)
    for _ in range(3):
        contest.wrote("a", THEIRS, OURS)
    assert contest.wait_seconds("a", THEIRS) == 4

    for _ in range(59):
        clock.seconds += 1
        contest.wrote("a", OURS, OURS)
    assert contest.wait_seconds("a", THEIRS) == 4

    clock.seconds += 1
    contest.wrote("a", OURS, OURS)
    assert contest.wait_seconds("a", THEIRS) == 1


def test_after_a_write_without_an_answer_nothing_that_is_found_is_anothers(clock: SteppedClock):
    contest = Contest(clock)
    contest.wrote("a", THEIRS, OURS)
    contest.doubt("a")
    assert contest.wait_seconds("a", THEIRS) == 0

    contest.wrote("a", THEIRS, OURS)

    assert contest.wait_seconds("a", THEIRS) == 1


def test_an_object_that_is_gone_is_forgotten(clock: SteppedClock):
    contest = Contest(clock)
    contest.wrote("a", THEIRS, OURS)
    contest.wrote("b", THEIRS, OURS)

    contest.keep({"b"})

    assert contest.wait_seconds("a", THEIRS) == 0
    assert contest.wait_seconds("b", THEIRS) == 1


class Hub:
    """Stores statuses of one tenant, and has another operator that writes its own over each at once."""

    def __init__(self, state: HubState) -> None:
        self.writes = 0
        self._state = state
        self.others()

    def others(self) -> None:
        theirs = as_tenant().model_copy(update={"status": THEIRS})
        meta = theirs.metadata.model_copy(update={"resource_version": str(100 + self.writes)})
        self._state.tenants.put(theirs.model_copy(update={"metadata": meta}))

    async def patch(self, _: str, operations: list[dict[str, Any]]) -> dict[str, Any]:
        (status,) = (op["value"] for op in operations if op["path"] == "/status")
        self.writes += 1
        answer = GpuTenant.model_dump(as_tenant(), mode="json", by_alias=True, exclude_none=True)
        self.others()
        return {**answer, "status": status}


async def test_an_operator_beside_another_writes_a_few_times_a_minute_and_says_when_it_looks_again(
    clock: SteppedClock,
):
    state = HubState(lambda: None)
    fleet = Fleet(clock=clock, on_change=lambda _: None, allow_local=True, hub_servers=[])
    hub = Hub(state)
    writer = StatusWriter(hub, state, fleet, clock)
    for _ in range(10 * MINUTE):
        await writer.write_all()
        clock.seconds += 0.1

    assert 6 < hub.writes < 12
    assert writer.due_ms is not None
    assert clock.now_ms() - 100 < writer.due_ms <= clock.now_ms() + 10_000


class NewerBeside:
    """Stores a claim that this version can't read, and has one beside it that can and takes back at once what it is told."""

    def __init__(self, state: HubState) -> None:
        self.told = 0
        self._state = state
        self._body = holds_by_newer(running(leased("west")))
        self._state.claims.take(self._body)

    async def replace(self, _: str, body: Body) -> Body:
        self.told += 1
        answer = {**self._body, "metadata": self._stamp(), "status": body["status"]}
        self._state.claims.take({**self._body, "metadata": self._stamp(1)})
        return answer

    def _stamp(self, later: int = 0) -> Body:
        return {**self._body["metadata"], "resourceVersion": str(1_000 + 2 * self.told + later)}


async def test_a_claim_that_another_version_can_read_is_told_a_few_times_a_minute_that_this_one_cant(
    clock: SteppedClock,
):
    state = HubState(lambda: None)
    fleet = Fleet(clock=clock, on_change=lambda _: None, allow_local=True, hub_servers=[])
    hub: Any = NewerBeside(state)
    writer = StatusWriter(hub, state, fleet, clock)
    for _ in range(10 * MINUTE):
        await writer.write_all()
        clock.seconds += 0.1

    assert 6 < hub.told < 12
    assert writer.due_ms is not None
