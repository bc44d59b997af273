"""The process that exports: what it makes, what it leaves alone, and how it says what it can't."""

import asyncio
import json
import os
import sys
from dataclasses import replace

import pytest

from sublet.export.focus.audit import audit
from sublet.export.focus.manifest import NAME, UNFINISHED
from sublet.export.schedule.job import (
    Done,
    Fault,
    Job,
    Task,
    read_order,
    read_result,
    write_order,
    write_result,
)
from sublet.export.schedule.process import WorkerProcess
from sublet.export.schedule.worker import perform
from sublet.export.sink.directory import Directory
from sublet.export.sink.port import SinkFailed
from sublet.ledger.terms import content_hash
from tests.builders.closing import LATER, closing_of
from tests.builders.lines import execute
from tests.builders.sold_month import database, sold_month
from tests.builders.wholesale import at
from tests.harness.fake_api import eventually

NOON = at("2026-10-02T12:00:00Z")
JOB = Job(NOON, 17, is_daily=True)


def task(folder, month=None, **fields):
    """Return a task on a month's ledger."""
    return replace(task_on(database(folder, month), folder), **fields)


def task_on(url, folder):
    return Task(
        database=url,
        target=str(folder / "out"),
        endpoint="",
        region="",
        seller="Sublet GmbH",
        version="1.4",
        formats=("parquet",),
        grid="day",
        shows_host=False,
    )


def closed_month(month=None):
    month = month or sold_month()
    for tenant in ("acme", "globex"):
        mark, text = closing_of(month.books(), tenant)
        month.facts.append(mark)
        month.texts[mark.price_hash] = text
    return month


def files(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_open_months_of_everybody_are_made_and_check_out(tmp_path):
    results = list(perform(task(tmp_path), JOB))

    assert [(r.name, r.is_closed) for r in results] == [
        (f"{audience} {month}", False)
        for audience in ("tenant/acme", "tenant/globex", "wholesale")
        for month in ("2026-09", "2026-10")
    ]
    folders = [p.parent for p in (tmp_path / "out").rglob("manifest.json")]
    assert len(folders) == 6
    assert [fault for folder in folders for fault in audit(folder)] == []


def test_the_same_job_gives_the_same_bytes_though_the_ledger_went_on(tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"
    for folder in (first, second):
        folder.mkdir()
    list(perform(task(first), JOB))
    later = sold_month()
    later.capacity("west", "2026-10-03T00:00:00Z", 9)
    list(perform(task(second, later), JOB))

    assert files(first / "out") == files(second / "out")


def test_what_is_there_is_skipped(tmp_path):
    given = task(tmp_path)
    done = {r.name for r in perform(given, JOB)}

    (last,) = perform(given, replace(JOB, skip=frozenset(done - {"wholesale 2026-09"})))
    assert last.name == "wholesale 2026-09"


def test_a_closed_month_is_made_once_more_and_then_left_alone(tmp_path):
    given = task(tmp_path, closed_month())
    job = Job(LATER, 19, is_daily=False)

    made = list(perform(given, job))
    assert [(r.name, r.is_closed) for r in made] == [
        ("tenant/acme 2026-09", True),
        ("tenant/globex 2026-09", True),
        ("wholesale 2026-09", True),
    ]
    assert all(r.rows for r in made)
    before = files(tmp_path / "out")
    assert [dict(r.rows) for r in perform(given, job)] == [{}, {}, {}]
    assert files(tmp_path / "out") == before


def test_what_a_closed_export_that_broke_off_at_its_end_left_is_cleared_up(tmp_path, monkeypatch):
    month = sold_month()
    list(perform(task(tmp_path, month), JOB))  # files of an open month

    def break_off(self, name):
        raise SinkFailed(f"{name} can't be deleted")

    (tmp_path / "closed").mkdir()
    closed = task_on(database(tmp_path / "closed", closed_month()), tmp_path)
    with monkeypatch.context() as then:
        then.setattr(Directory, "remove", break_off)
        list(perform(closed, JOB))
    assert [n for n in files(tmp_path / "out") if n.name == UNFINISHED]
    list(perform(closed, JOB))

    september = tmp_path / "out/tenants/acme/2026-09/focus-1.4"
    named = {f["name"] for f in json.loads((september / NAME).read_text())["files"]}
    assert {p.name for p in september.iterdir()} == named | {NAME}


def test_a_closed_month_is_made_anew_when_the_ledger_was_put_back_and_closed_it_otherwise(tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"
    for folder in (first, second):
        folder.mkdir()
    month = sold_month()
    month.held("late", "west", 1, "2026-09-05T00:00:00Z", "2026-09-06T00:00:00Z", tenant="acme")
    job = Job(LATER, 19, is_daily=False)
    list(perform(task_on(database(first, closed_month(month)), tmp_path), replace(job, seq=99)))
    other = task_on(database(second, closed_month()), tmp_path)

    assert all(r.rows for r in perform(other, job))
    assert [dict(r.rows) for r in perform(other, job)] == [{}, {}, {}]


def test_landlords_files_of_another_line_than_that_which_closed_their_month_are_made_anew(tmp_path):
    given = task(tmp_path, closed_month())
    list(perform(given, Job(LATER, 19, is_daily=False)))
    manifest = tmp_path / "out/wholesale/2026-09/focus-1.4" / NAME
    right = manifest.read_text()
    said = json.loads(right)
    said["ledger"] = {"seq": 17, "hash": closed_month().entries()[16].hash}
    manifest.write_text(json.dumps(said))

    made = list(perform(given, Job(LATER, 19, is_daily=False)))

    assert [r.name for r in made if r.rows] == ["wholesale 2026-09"]
    assert manifest.read_text() == right


def test_a_format_that_is_asked_for_later_is_made_of_closed_months_too(tmp_path):
    given = task(tmp_path, closed_month())
    job = Job(LATER, 19, is_daily=False)
    list(perform(given, job))

    both = list(perform(replace(given, formats=("parquet", "csv")), job))
    assert [set(r.rows) for r in both] == [{"parquet", "csv"}] * 3


def test_a_tenant_that_cant_be_billed_is_said_and_the_others_are_made(tmp_path):
    month = sold_month()
    month.tenant("initech", currency="GBP")
    month.held("claim", "west", 1, "2026-09-05T00:00:00Z", "2026-09-06T00:00:00Z", tenant="initech")

    results = list(perform(task(tmp_path, month), replace(JOB, seq=20)))
    faults = [r for r in results if isinstance(r, Fault)]
    assert [(f.what, f.is_content) for f in faults] == [("tenant/initech 2026-09", True)]
    assert len(results) == 8


def test_a_target_that_fails_ends_it_in_one_line(tmp_path):
    (fault,) = perform(task(tmp_path, target="/proc/out"), JOB)

    assert fault.what == "the target"
    assert "/proc/out" in fault.text


def test_of_a_ledger_with_a_gap_nothing_is_made(tmp_path):
    given = task(tmp_path)
    execute(given.database, "DELETE FROM entries WHERE seq = 7")

    (fault,) = perform(given, JOB)
    assert "doesn't follow line 6" in fault.text
    assert not (tmp_path / "out").exists()


def test_of_a_ledger_with_a_text_of_a_newer_version_nothing_is_made_and_one_line_says_so(tmp_path):
    month = sold_month()
    newer = json.dumps(
        {"kind": "reservation", "namespace": "acme", "name": "b", "pricing": "Tiered"}
    )
    month.texts[content_hash(newer)] = newer
    month.reserved("b", "h100")
    month.facts[-1] = replace(month.facts[-1], price_hash=content_hash(newer))

    (fault,) = perform(task(tmp_path, month), replace(JOB, seq=99))

    assert (fault.what, fault.is_content) == ("the ledger", False)
    assert "written by a newer" in fault.text
    assert not (tmp_path / "out").exists()


def test_an_order_and_a_result_are_read_as_they_were_written(tmp_path):
    given = task(tmp_path)
    job = replace(JOB, skip=frozenset({"b", "a"}))

    assert read_order(write_order(given, job)) == (given, job)
    for result in (
        Done("wholesale", "2026-09", True, {"csv": 7}),
        Fault("x", "y", is_content=True),
    ):
        assert read_result(write_result(result)) == result
    with pytest.raises(ValueError, match="no result"):
        read_result(b"[1]\n")


async def test_a_process_of_its_own_makes_the_same(tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"
    for folder in (first, second):
        folder.mkdir()
    given = [await asyncio.to_thread(task, folder) for folder in (first, second)]
    here = await asyncio.to_thread(lambda: list(perform(given[0], JOB)))

    assert await WorkerProcess(given[1])(JOB) == here
    assert files(first / "out") == files(second / "out")


@pytest.mark.parametrize(
    ("program", "says"),
    [
        ("import sys; sys.exit('no memory')", "it ended with status 1: no memory"),
        ("print('hello')", "no result of an export: b'hello"),
        ("import os; os.kill(os.getpid(), 9)", "it ended with status -9"),
    ],
)
async def test_a_process_that_breaks_down_is_a_fault(tmp_path, program, says):
    given = await asyncio.to_thread(task, tmp_path)
    results = await WorkerProcess(given, (sys.executable, "-c", program))(JOB)

    assert any(says in fault.text for fault in results)


async def test_a_process_ends_when_whoever_waits_for_it_does(tmp_path):
    file = tmp_path / "pid"
    program = f"import os,time; open({str(file)!r},'w').write(str(os.getpid())); print(flush=True); time.sleep(600)"
    given = await asyncio.to_thread(task, tmp_path)
    waiting = asyncio.create_task(WorkerProcess(given, (sys.executable, "-c", program))(JOB))
    await eventually("it runs", lambda: file.exists() and file.read_text())
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

    with pytest.raises(ProcessLookupError):
        os.kill(int(file.read_text()), 0)


async def test_a_process_whose_operator_is_gone_ends_by_itself(tmp_path):
    order = write_order(await asyncio.to_thread(task, tmp_path), JOB)
    pipe = asyncio.subprocess.PIPE
    # the ledger is read through a pipe that nobody writes to: it would wait for ever
    os.mkfifo(tmp_path / "fifo")
    order = order.replace(b"ledger.sqlite", b"fifo")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sublet.export.schedule", stdin=pipe, stdout=pipe
    )
    process.stdin.write(order)
    await process.stdin.drain()
    process.stdin.close()

    assert await process.wait() != 0


def test_what_goes_over_the_pipe_holds_no_password_on_a_command_line(tmp_path):
    given = task(tmp_path)

    assert given.database not in " ".join(WorkerProcess(given)._command)
    assert json.loads(write_order(given, JOB))["task"]["database"] == given.database
