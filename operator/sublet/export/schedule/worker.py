"""The process that exports: takes one order on standard input, says each result on standard output, and ends.

It ends too when its standard input does, which is when the operator that started it is gone: of two leaders' processes one
is soon alone.
"""

import asyncio
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO

from sublet.export.focus.batch import Failed, Months, Style
from sublet.export.focus.columns import Version
from sublet.export.focus.manifest import NAME, UNFINISHED, Manifest
from sublet.export.focus.run import Layout
from sublet.export.schedule.due import Wanted, wanted
from sublet.export.schedule.job import Done, Fault, Job, Task, read_order, write_result
from sublet.export.sink.port import Sink, SinkFailed
from sublet.export.sink.target import sink_of
from sublet.ledger.entry import Entry
from sublet.ledger.interval import BrokenLedger
from sublet.ledger.port import LedgerUnavailable
from sublet.rating.grid import Grid
from sublet.store.reading import read_books
from sublet.store.sql import SqlLedger

_NICENESS = 10
_PATIENCE_SECONDS = 5.0


def perform(task: Task, job: Job) -> Iterator[Done | Fault]:
    """Yield each folder that is as it should be, and what couldn't be done; of the ledger or the sink, that ends it."""
    with asyncio.Runner() as runner:
        ledger = SqlLedger(task.database, read_only=True)
        try:
            yield from _all(task, job, ledger, runner)
        except (LedgerUnavailable, BrokenLedger) as error:
            yield Fault("the ledger", str(error))
        except SinkFailed as error:
            yield Fault("the target", str(error))
        finally:
            runner.run(ledger.close())


def main(source: IO[bytes], answers: IO[bytes]) -> int:
    """Carry out one order."""
    os.nice(_NICENESS)
    # drafts are taken away on the way out
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    task, job = read_order(source.readline())
    threading.Thread(target=_end_with, args=(source.fileno(),), daemon=True).start()
    for result in perform(task, job):
        answers.write(write_result(result))
        answers.flush()
    return 0


@dataclass(frozen=True, slots=True)
class _Kept:
    """What is there already."""

    sink: Sink
    layout: Layout
    hash_of: Callable[[int], str | None]
    """line of the ledger -> its hash, None if it isn't there"""

    def is_whole(self, folder: str, closing: Entry | None) -> bool:
        """Say whether a closed period's files are there, made of this ledger, and nothing of an export that broke off before them.

        Those of landlords are made of the line that closed their month.
        """
        manifest = self.sink.read(f"{folder}/{NAME}")
        line = _line_of(manifest) if _is_closed(manifest, self.layout) else None
        # a ledger that was put back to before the closing has other lines by now, and may have closed otherwise
        return (
            line is not None
            and (closing is None or line == (closing.seq, closing.hash))
            and self.hash_of(line[0]) == line[1]
            and self.sink.read(f"{folder}/{UNFINISHED}") is None
        )


def _all(task: Task, job: Job, ledger: SqlLedger, runner: asyncio.Runner) -> Iterator[Done | Fault]:
    books = runner.run(read_books(ledger, job.seq))
    layout = Layout(Version(task.version), task.formats)
    style = Style(task.seller, layout, Grid(task.grid), task.shows_host)
    sink = sink_of(task.target, endpoint=task.endpoint, region=task.region)
    months = Months(sink, books, style, job.as_of_ms)
    kept = _Kept(sink, layout, lambda seq: runner.run(ledger.position(seq))[2])
    due = wanted(months.tenancies, months.landlords, job.as_of_ms, with_open=job.is_daily)
    for each in due:
        result = _one(months, kept, each, job)
        if result is not None:
            yield result


def _one(months: Months, kept: _Kept, each: Wanted, job: Job) -> Done | Fault | None:
    audience = months.audience(each.tenancy)
    if f"{audience} {each.month}" in job.skip:
        return None
    folder = months.folder(each.tenancy, each.month)
    closing = months.landlords.closing(each.month) if each.tenancy is None else None
    if each.is_closed and kept.is_whole(folder, closing):
        return Done(audience, each.month, is_closed=True)
    if each.tenancy is None:
        made: Manifest | Failed | None = months.wholesale(each.month)
    else:
        made = months.tenant(each.tenancy, each.month)
    if made is None:
        return None
    if isinstance(made, Failed):
        return Fault(f"{audience} {each.month}", made.text, is_content=True)
    rows = {_format(f.format): f.rows for f in made.files if f.dataset == "Cost and Usage"}
    return Done(audience, each.month, made.period.is_closed, rows)


def _line_of(manifest: bytes | None) -> tuple[int, str] | None:
    """Return the line of the ledger that a manifest's files were made of, and its hash; None if it says none."""
    try:
        said = json.loads(manifest or b"{}")["ledger"]
        return int(said["seq"]), str(said["hash"])
    except (ValueError, TypeError, KeyError):
        return None


def _is_closed(manifest: bytes | None, layout: Layout) -> bool:
    """Say whether a manifest is that of a closed period, in every format that is wanted."""
    try:
        said = json.loads(manifest or b"{}")
        formats = {_format(str(f["format"])) for f in said["files"]}
        return said["period"]["status"] == "Closed" and formats >= set(layout.formats)
    except (ValueError, TypeError, KeyError, AttributeError):
        return False


def _format(suffix: str) -> str:
    """Return what a kind of file is called in settings; files have how they are packed in their names, too."""
    return suffix.partition(".")[0]


def _end_with(source: int) -> None:
    """End when the other side of the pipe is closed; read past any buffer, whose lock would be held when this process ends."""
    while os.read(source, 4_096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_PATIENCE_SECONDS)
    os._exit(1)  # something hangs that can't be asked to end
