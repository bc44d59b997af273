"""The ledger's store: lines appended durably, beside what SQLite does with the same rows at once; proving and backing up a million of them."""

import asyncio
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sublet.api.ids import ClaimUID, LeaseUID, TenantUID
from sublet.api.times import Millis
from sublet.ledger.entry import EntryKind, EntryType, Fact
from sublet.store.database import migrate, open_engine
from sublet.store.sql import SqlLedger
from tests.bench.results import Limit, Row, least, most
from tests.builders.api import uid_of
from tests.builders.lines import PRICE, TEXTS
from tests.harness.postgres import postgres_server
from tests.planes.binaries import ROOT

LINES, BATCH = 50_000, 2_000
LINES_PER_SECOND = 10_000
PROVEN = 1_000_000
_TAGS = next(h for h in TEXTS if h != PRICE.hash)
_PROVE = """
import sys, time
from pathlib import Path
from sublet.store.database import open_engine
from sublet.store.keeping import backup
from sublet.store.sql import begin, prove
url, file = sys.argv[1:]
def peak():
    # what getrusage says counts the process that this one was forked from
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1_024
begun = time.perf_counter()
with begin(open_engine(url, read_only=True), snapshot=True) as connection:
    proof = prove(connection)
proven = time.perf_counter()
assert proof.fault is None, proof.fault
peak_proven = peak()
backup(url, Path(file))
print(proof.entries, proven - begun, peak_proven, time.perf_counter() - proven, peak())
"""
"""In a process of its own, whose peak memory is that of the work."""


def measure() -> list[Row]:
    """Return the rows."""
    with tempfile.TemporaryDirectory() as folder:
        rows = _appends(
            f"sqlite:///{folder}/ledger.sqlite", "SQLite, synchronous FULL", least(LINES_PER_SECOND)
        )
        rows += _proofs(Path(folder))
    with postgres_server() as server:
        rows += _appends(server.url, "PostgreSQL, synchronous_commit on")
    return rows


def facts(count: int, first: int = 0) -> list[Fact]:
    """Return lines of claims that are bound and released again."""
    found = []
    for index in range(first, first + count):
        claim, closes = divmod(index, 2)
        type_ = EntryType.CLOSE if closes else EntryType.OPEN
        found.append(
            Fact(ClaimUID(uid_of(str(claim))), 1, TenantUID(uid_of("tenant")), LeaseUID(uid_of("lease")), EntryKind.BOUND, type_, 8, Millis(index), PRICE.hash, _TAGS, "1")
        )  # fmt: skip
    return found


def _appends(url: str, what: str, limit: Limit | None = None) -> list[Row]:
    """Append in batches, and many callers at once with one line each."""

    async def run() -> tuple[float, float]:
        ledger = SqlLedger(url)
        await ledger.append([], TEXTS)
        lines = facts(2 * LINES)
        begun = time.perf_counter()
        for start in range(0, LINES, BATCH):
            await ledger.append(lines[start : start + BATCH], {})
        batches = LINES / (time.perf_counter() - begun)
        begun = time.perf_counter()
        for start in range(LINES, 2 * LINES, BATCH):
            await asyncio.gather(*(ledger.append([f], {}) for f in lines[start : start + BATCH]))
        singles = LINES / (time.perf_counter() - begun)
        await ledger.close()
        return batches, singles

    batches, singles = asyncio.run(run())
    note = "limit: the least that is asked for" if limit else ""
    return [
        Row(
            f"ledger lines, {BATCH:,} a call", batches, "1/s", limit, f"{what}; {note}".strip("; ")
        ),
        Row(f"ledger lines, {BATCH:,} callers", singles, "1/s", None, f"{what}, group commit"),
    ]


def _proofs(folder: Path) -> list[Row]:
    """Prove and back up a long ledger in a process of its own."""
    url = f"sqlite:///{folder}/long.sqlite"

    async def fill() -> None:
        migrate(open_engine(url))
        ledger = SqlLedger(url)
        await ledger.append([], TEXTS)
        for start in range(0, PROVEN, 20_000):
            await ledger.append(facts(20_000, start), {})
        await ledger.close()

    asyncio.run(fill())
    command = [sys.executable, "-c", _PROVE, url, str(folder / "backup")]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    _, seconds, peak, saved, peak_saved = map(float, done.stdout.split())
    size = (folder / "backup").stat().st_size / 1_000_000
    return [
        Row(
            "ledger of 1,000,000 lines proven: time",
            seconds,
            "s",
            None,
            "chain, ids, intervals, texts",
        ),
        Row(
            "ledger of 1,000,000 lines proven: memory",
            peak,
            "MB",
            most(300.0),
            "the process's peak",
        ),
        Row("ledger of 1,000,000 lines saved: time", saved, "s", None, f"a file of {size:.0f} MB"),
        Row(
            "ledger of 1,000,000 lines saved: memory",
            peak_saved,
            "MB",
            most(300.0),
            "the process's peak",
        ),
    ]
