"""A scrape with 10,000 claims: books that were carried on, every series of every claim, both formats.

Each claim holds GPUs and has the conditions of a bound one; a hundred more end between two scrapes. Beside it, what the first
scrape after a start takes, which reads the whole ledger, and what prometheus_client takes to write as many samples.
"""

import asyncio
import gc
import resource
import time
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from sublet.api.times import MS_PER_HOUR, Millis
from sublet.serve.books import LedgerBooks
from sublet.serve.claims import ClaimSeries
from sublet.serve.families import gauge
from sublet.serve.server import Public
from sublet.serve.timings import Timings
from tests.bench.results import Row, most
from tests.builders.api import NOW, as_lease, lease
from tests.builders.ledgered import Lines, Memory
from tests.builders.sales import sold
from tests.builders.wholesale import Scribe
from tests.harness.fake_api import SteppedClock

CLAIMS, HISTORY, LEASES, ENDING = 10_000, 20_000, 20, 100
LIMIT_SECONDS, LIMIT_MB = 0.5, 250.0
_KIB_PER_MB = 1_024.0


def measure() -> list[Row]:
    """Return the rows."""
    pace = gc.get_threshold()
    gc.set_threshold(50_000, 20, 50)  # as the operator's process does
    try:
        return asyncio.run(_measure())
    finally:
        gc.set_threshold(*pace)


async def _measure() -> list[Row]:
    scribe, memory = Scribe(), _memory()
    _write(scribe, memory)
    lines, clock = Lines(scribe), SteppedClock()
    clock.seconds = NOW / 1_000
    before = _peak_mb()
    ledger: Any = lines
    seen: Any = memory
    public = Public(
        seen, LedgerBooks(ledger), Timings(), clock,
        opened=lambda: True, followed=lambda: True, gate=None, claims=ClaimSeries(retention_seconds=3_600),
    )  # fmt: skip
    first, _ = await _scrape(public, openmetrics=False)
    seconds, cpu, text = 0.0, 0.0, b""
    for turn in range(1, 4):
        clock.seconds += 30
        memory.seen_ms = clock.now_ms()
        for each in range(turn * ENDING, (turn + 1) * ENDING):
            scribe.held(f"old-{each}", f"l{each % LEASES}", 8, clock.now_ms() - 9_000, clock.now_ms() - 5_000)  # fmt: skip
        lines.write()
        await public.carry_on()
        before_cpu = time.process_time()
        took, text = await _scrape(public, openmetrics=False)
        seconds, cpu = max(seconds, took), max(cpu, time.process_time() - before_cpu)
    began = time.perf_counter()
    await public.carry_on()
    carried = time.perf_counter() - began
    opened, _ = await _scrape(public, openmetrics=True)
    peak = _peak_mb() - before
    samples = sum(not line.startswith(b"#") for line in text.splitlines())
    what = f"{CLAIMS:,} claims, {samples:,} samples, {len(text) / 1e6:.0f} MB"
    library = _library(samples)
    return [
        Row("scrape", seconds, "s", most(LIMIT_SECONDS), f"{what}; the slowest of three, {cpu:.2f} s of CPU; limit: the budget"),
        Row("scrape, OpenMetrics", opened, "s", most(LIMIT_SECONDS), f"{what}, and when counters began"),
        Row("scrape, carried on", carried, "s", None, "in the background, every 30 seconds"),
        Row("scrape, first after a start", first, "s", None, f"reads {len(lines.entries):,} lines"),
        Row("scrape, memory", peak, "MB", most(LIMIT_MB), f"{what}; books and text"),
        Row("scrape, prometheus_client", library, "s", None, f"writes {samples:,} samples, for comparison"),
    ]  # fmt: skip


def _memory() -> Memory:
    leases = [as_lease(lease(f"l{i}", committed=4_096), uid=f"l{i}") for i in range(LEASES)]
    claims = []
    for each in range(CLAIMS):
        found = sold(f"claim-{each}", leases[each % LEASES], 8, until_ms=Millis(NOW + MS_PER_HOUR))
        meta = found.metadata.model_copy(update={"uid": f"claim-{each}"})
        claims.append(found.model_copy(update={"metadata": meta}))
    return Memory(claims=claims, leases=leases, seen_ms=NOW)


def _write(scribe: Scribe, memory: Memory) -> None:
    for each_lease in memory.leases():
        scribe.lease(each_lease.metadata.name, committed=4_096)
        scribe.capacity(each_lease.metadata.name, NOW - 900 * MS_PER_HOUR, 4_096)
    for each in range(HISTORY):
        begin = NOW - (HISTORY - each) * 120_000
        scribe.held(f"past-{each}", f"l{each % LEASES}", 8, begin, begin + MS_PER_HOUR)
    for index, claim in enumerate(memory.claims()):
        scribe.reserved(claim.metadata.uid, "h100")
        scribe.held(claim.metadata.uid, f"l{index % LEASES}", 8, NOW - 1_000 * index)


async def _scrape(public: Public, *, openmetrics: bool) -> tuple[float, bytes]:
    began = time.perf_counter()
    text = await public._make(openmetrics=openmetrics)
    return time.perf_counter() - began, text


class _Many(Collector):
    def __init__(self, samples: int) -> None:
        self._samples = samples

    def collect(self) -> list[Metric]:
        """Return one family."""
        rows = (((f"{i}", "acme", "uid"), 1.0) for i in range(self._samples))
        return [gauge("x", "Text.", ["claim", "namespace", "uid"], rows)]


def _library(samples: int) -> float:
    registry = CollectorRegistry()
    registry.register(_Many(samples))
    began = time.perf_counter()
    generate_latest(registry)
    return time.perf_counter() - began


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _KIB_PER_MB
