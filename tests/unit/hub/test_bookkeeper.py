"""Lines reach the ledger apart from planning, also when its store was away."""

import asyncio

from structlog.testing import capture_logs

from sublet.api.ids import ClaimUID
from sublet.hub.bookkeeper import AWAY_RETRY_MS, CONFLICT_RETRY_MS, Bookkeeper
from sublet.hub.meter import ClaimMeter
from sublet.ledger.port import Disagreement, LedgerConflict, LedgerUnavailable
from tests.builders.api import as_claim
from tests.harness.fake_api import SteppedClock
from tests.unit.api.test_claim_status import bound
from tests.unit.hub.test_meter import Book


class Store(Book):
    """A ledger in memory that fails as it is told, and waits while it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.fault: Exception | None = None
        self.tries = 0
        self.open = asyncio.Event()
        self.open.set()

    async def append(self, facts, terms, records=(), past=None):
        self.tries += 1
        await self.open.wait()
        if self.fault is not None:
            raise self.fault
        return await super().append(facts, terms)


class Told:
    """A bookkeeper and what it told."""

    def __init__(self) -> None:
        self.store, self.clock, self.changes = Store(), SteppedClock(), 0
        self.keeper = Bookkeeper(ClaimMeter(self.store), self.clock, self.change)

    def change(self) -> None:
        self.changes += 1

    async def tend(self, *claims) -> None:
        self.keeper.tend(claims)
        await self.keeper.close()


async def test_what_a_claim_calls_for_is_written_once():
    told = Told()
    for _ in range(3):
        await told.tend(bound(), as_claim())

    assert (len(told.store.entries), told.store.tries, told.changes) == (2, 1, 1)


async def test_a_store_that_is_slow_is_asked_once_and_holds_nobody_up():
    told = Told()
    told.store.open.clear()
    for _ in range(5):
        told.keeper.tend([bound()])
        await asyncio.sleep(0)
    assert told.store.tries == 1

    told.store.open.set()
    await told.keeper.close()
    assert len(told.store.entries) == 2


async def test_a_store_that_is_away_is_tried_again_when_it_is_due_and_nothing_is_lost():
    told = Told()
    told.store.fault = LedgerUnavailable("away")
    await told.tend(bound())
    assert told.keeper.due_ms == told.clock.now_ms() + AWAY_RETRY_MS

    await told.tend(bound())
    assert told.store.tries == 1

    told.store.fault = None
    told.clock.seconds += AWAY_RETRY_MS / 1_000
    await told.tend(bound())
    assert len(told.store.entries) == 2
    assert told.keeper.due_ms is None


async def test_a_clock_that_is_set_back_holds_no_line_up():
    told = Told()
    told.store.fault = LedgerUnavailable("away")
    await told.tend(bound())
    told.clock.set_back_seconds = 600
    assert told.keeper.due_ms == told.clock.now_ms() + AWAY_RETRY_MS

    told.store.fault = None
    told.clock.seconds += AWAY_RETRY_MS / 1_000
    await told.tend(bound())
    assert len(told.store.entries) == 2
    assert told.keeper.due_ms is None


async def test_a_conflict_is_looked_at_again_later_and_not_in_a_loop():
    told = Told()
    told.store.fault = LedgerConflict("two records disagree")
    await told.tend(bound())

    assert told.keeper.due_ms == told.clock.now_ms() + CONFLICT_RETRY_MS


async def test_what_two_records_say_that_disagree_is_logged_once():
    told = Told()
    said = Disagreement(ClaimUID("u-1"), 7, '{"gpus":8}', '{"gpus":4}')
    told.store.fault = LedgerConflict("two records disagree", said)
    with capture_logs() as logs:
        for _ in range(2):
            await told.tend(bound())
            told.clock.seconds += CONFLICT_RETRY_MS / 1_000

    assert told.store.tries == 2
    assert [x for x in logs if x["event"] == "ledger conflict"] == [
        {
            "event": "ledger conflict",
            "log_level": "error",
            "claim_uid": "u-1",
            "line": 7,
            "there": '{"gpus":8}',
            "wanted": '{"gpus":4}',
        }
    ]
