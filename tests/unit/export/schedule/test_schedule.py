"""The schedule: what it asks for, what it does with a failure, and what it remembers."""

import asyncio

import pytest

from sublet.export.schedule.job import Done, Fault
from sublet.export.schedule.schedule import LONGEST_PAUSE_SECONDS, Schedule
from sublet.ledger.port import LedgerUnavailable
from sublet.store.sql import SqlLedger
from tests.builders.closing import closing_of
from tests.builders.lines import TEXTS, fact
from tests.builders.sold_month import sold_month
from tests.builders.wholesale import at
from tests.harness.fake_api import SteppedClock, eventually

DAY = 86_400.0
DONE = Done("tenant/acme", "2026-09", is_closed=False, rows={"parquet": 961, "csv": 961})
CLOSED = Done("tenant/acme", "2026-08", is_closed=True, rows={"parquet": 700})
AWAY = Fault("the target", "bucket finance refuses")
LACKING = Fault("tenant/globex 2026-09", "no rate from GBP", is_content=True)


class Heard:
    """Metrics that remember."""

    def __init__(self):
        self.rows, self.is_failing = [], None

    def exported(self, format_, rows, at_ms, *, is_closed):
        self.rows.append((format_, rows, is_closed))

    def export_failing(self, is_failing):
        self.is_failing = is_failing


class Stage:
    """A schedule with a worker that answers as it is told."""

    def __init__(self, ledger):
        self.ledger, self.clock, self.heard = ledger, SteppedClock(), Heard()
        self.clock.seconds = at("2026-10-02T05:00:00Z") / 1_000
        self.answers, self.jobs, self.leads = [], [], True
        self.begin()

    def begin(self, hour=4):
        """Begin anew, as after a restart."""
        self.schedule = Schedule(
            self.ledger, self.clock, self.work, leads=lambda: self.leads, told=self.heard, hour=hour, place="x"
        )  # fmt: skip

    def set_ahead(self, seconds):
        """Set the wall clock ahead of the right time by so much."""
        self.clock.set_back_seconds = -seconds

    async def work(self, job):
        self.jobs.append(job)
        return self.answers.pop(0) if self.answers else []

    async def step(self, *answers, after=0.0):
        """Take one step, some time later, and return the jobs that it asked for."""
        self.clock.seconds += after
        self.answers, before = list(answers), len(self.jobs)
        await self.schedule.step()
        return self.jobs[before:]


@pytest.fixture
async def stage(tmp_path):
    ledger = SqlLedger(f"sqlite:///{tmp_path}/ledger.sqlite")
    await ledger.append([fact("a"), fact("b")], TEXTS)
    yield Stage(ledger)
    await ledger.close()


async def test_each_day_is_exported_once_up_to_its_hour_and_the_ledgers_last_line(stage):
    (job,) = await stage.step([DONE])

    assert (job.as_of_ms, job.seq, job.is_daily) == (at("2026-10-02T04:00:00Z"), 2, True)
    assert await stage.step(after=3_600) == []
    (job,) = await stage.step([DONE], after=DAY)
    assert job.as_of_ms == at("2026-10-03T04:00:00Z")


async def test_what_was_written_is_told_by_format_and_state(stage):
    await stage.step([DONE, CLOSED])

    assert stage.heard.rows == [
        ("csv", 961, False),
        ("parquet", 961, False),
        ("parquet", 700, True),
    ]
    assert stage.heard.is_failing is False


async def test_who_doesnt_lead_exports_nothing(stage):
    stage.leads = False
    assert await stage.step() == []


async def test_a_day_that_was_done_is_done_after_a_restart_too(stage):
    await stage.step([DONE])
    stage.begin()

    (job,) = await stage.step([CLOSED])
    assert not job.is_daily  # whether closed periods are there, nobody remembers
    assert await stage.step() == []


async def test_after_a_failure_the_same_is_tried_again_later_without_what_is_there(stage):
    (first,) = await stage.step([DONE, AWAY])

    assert stage.heard.is_failing is True
    assert await stage.step(after=29.0) == []
    await stage.ledger.append([fact("c")], TEXTS)
    (second,) = await stage.step([], after=31.0)
    assert (second.seq, second.as_of_ms) == (first.seq, first.as_of_ms)
    assert second.skip == {"tenant/acme 2026-09"}
    assert stage.heard.is_failing is False


async def test_what_lacks_something_in_the_ledger_is_made_of_what_it_says_later(stage):
    await stage.step([DONE, LACKING])
    await stage.ledger.append([fact("c")], TEXTS)

    # the line was appended after the try that failed: it counts from the one after the next
    (second,) = await stage.step([LACKING], after=60.0)
    (third,) = await stage.step([], after=120.0)
    assert (second.seq, third.seq) == (2, 3)


async def test_pauses_grow_to_an_hour_and_never_longer(stage):
    pauses = []
    for _ in range(12):
        await stage.step([AWAY], after=LONGEST_PAUSE_SECONDS)
        pauses.append(stage.schedule._due - stage.clock.seconds)
    assert pauses[0] <= 60.0
    assert all(LONGEST_PAUSE_SECONDS / 2 <= pause <= LONGEST_PAUSE_SECONDS for pause in pauses[7:])


async def test_a_new_day_takes_the_place_of_one_that_failed(stage):
    await stage.step([AWAY])

    (job,) = await stage.step([DONE], after=DAY)
    assert job.as_of_ms == at("2026-10-03T04:00:00Z")
    assert job.skip == frozenset()


@pytest.mark.parametrize("restarts", [False, True], ids=["it goes on", "it restarts"])
async def test_a_clock_that_was_ahead_for_one_step_keeps_no_later_day_from_its_export(
    stage, restarts
):
    await stage.step([DONE])
    stage.set_ahead(180 * DAY)
    await stage.step([DONE])
    stage.set_ahead(0)
    if restarts:
        stage.begin()

    (again,) = await stage.step([DONE])
    assert (again.as_of_ms, again.is_daily) == (at("2026-10-02T04:00:00Z"), True)
    assert await stage.step() == []
    (job,) = await stage.step([DONE], after=DAY)
    assert job.as_of_ms == at("2026-10-03T04:00:00Z")


@pytest.mark.parametrize("is_failing", [False, True], ids=["it goes well", "it fails too"])
async def test_what_failed_while_the_clock_was_ahead_is_not_tried_again_for_that_day(
    stage, is_failing
):
    await stage.step([DONE])
    stage.set_ahead(180 * DAY)
    await stage.step([DONE, AWAY])
    stage.set_ahead(0)

    (job,) = await stage.step([AWAY] if is_failing else [DONE])
    assert (job.as_of_ms, job.skip) == (at("2026-10-02T04:00:00Z"), frozenset())
    assert stage.heard.is_failing is is_failing


async def test_an_earlier_hour_of_the_day_is_no_reason_to_export_the_day_again(stage):
    await stage.step([DONE])
    stage.begin(hour=2)

    assert [job.is_daily for job in await stage.step([DONE])] == [False]
    (job,) = await stage.step([DONE], after=DAY)
    assert job.as_of_ms == at("2026-10-03T02:00:00Z")


async def test_a_period_that_is_closed_is_exported_at_once(stage):
    await stage.step([DONE])
    books = sold_month().books()
    mark, text = closing_of(books)
    assert await stage.step(after=30.0) == []
    await stage.ledger.append([mark], {mark.price_hash: text})

    (job,) = await stage.step([CLOSED], after=30.0)
    assert (job.seq, job.is_daily) == (3, False)
    assert await stage.step(after=30.0) == []


async def test_closed_months_that_are_there_arent_looked_at_each_day(stage):
    await stage.step([DONE, CLOSED])

    (job,) = await stage.step([], after=DAY)
    assert job.skip == {"tenant/acme 2026-08"}


async def test_a_store_that_is_away_is_said_and_tried_again(stage, monkeypatch):
    async def away(_seq):
        raise LedgerUnavailable("the ledger's store is away")

    monkeypatch.setattr(stage.ledger, "position", away)
    assert await stage.step() == []
    assert stage.heard.is_failing is True
    monkeypatch.undo()
    assert len(await stage.step([DONE], after=60.0)) == 1


async def test_a_failure_is_logged_when_it_begins_and_when_it_is_over(stage, capsys):
    for answer in ([AWAY], [AWAY], []):
        await stage.step(answer, after=LONGEST_PAUSE_SECONDS)

    said = [line for line in capsys.readouterr().out.splitlines() if "export" in line]
    assert len(said) == 2
    assert "bucket finance refuses" in said[0]


async def test_without_a_target_nothing_is_ever_done(stage):
    idle = Schedule(stage.ledger, stage.clock, None, leads=lambda: True, told=stage.heard)
    await idle.step()
    await idle.run()
    assert stage.heard.is_failing is None


async def test_a_mistake_of_ours_is_a_failure_and_ends_nothing(stage, monkeypatch):
    async def broken(_job):
        raise KeyError("x")

    stage.schedule._worker = broken
    running = asyncio.create_task(stage.schedule.run())
    await eventually("it is said", lambda: stage.heard.is_failing is not None)
    assert not running.done()
    assert stage.heard.is_failing is True
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
