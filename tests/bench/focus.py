"""The FOCUS export of one day of 100,000 claims by the hour: 2.4 million rows into one Parquet file.

Charges come in lists, as rating gives them; making them is not measured. A tenth of the hours is used in part, each with an
amount of its own. Memory is the process's peak less what it was before, so it counts the charges of one list too. The same
rows are then written by pyarrow alone, as they are: less than that no export takes, and it tells the machine from the program.
"""

import resource
import tempfile
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from sublet.api.ids import ClaimUID
from sublet.api.times import MS_PER_HOUR
from sublet.export.focus.audit import audit
from sublet.export.focus.run import Layout, export_tenant
from sublet.export.sink.directory import Directory
from sublet.rating.model import Charge
from tests.bench.results import Row, most
from tests.builders.charges import ACME, WEST, account, books, charge, hour

CLAIMS, HOURS, AT_ONCE = 100_000, 24, 5_000
LIMIT_SECONDS, LIMIT_MB = 10.0, 1_000.0
_KIB_PER_MB = 1_024.0


class Day:
    """A day's charges, and how long it took to make them."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def charges(self) -> Iterator[Charge]:
        """Yield the charges by claim and hour."""
        for first in range(0, CLAIMS, AT_ONCE):
            began = time.perf_counter()
            made = [
                _charge(claim, at) for claim in range(first, first + AT_ONCE) for at in range(HOURS)
            ]
            self.seconds += time.perf_counter() - began
            yield from made


def measure() -> list[Row]:
    """Return the rows."""
    before, day = _peak_mb(), Day()
    with tempfile.TemporaryDirectory() as folder:
        sink, root = Directory(Path(folder)), Path(folder)
        month = root / "tenants/acme/2026-09/focus-1.4"
        began, cpu = time.perf_counter(), time.process_time()
        made = export_tenant(sink, books(), account(), day.charges(), Layout())
        seconds = time.perf_counter() - began - day.seconds
        cpu = time.process_time() - cpu
        size = sum(f.bytes for f in made.files) / 1e6
        peak = _peak_mb() - before
        began = time.perf_counter()
        faults = list(audit(month))
        checked = time.perf_counter() - began
        raw = _plainly_written(month, root / "plain.parquet")
    assert not faults, faults[:3]
    what = f"{CLAIMS * HOURS:,} rows, Parquet, {size:.0f} MB"
    making = (
        f"{what}; besides, {day.seconds:.0f} s went into making charges; CPU in all {cpu:.0f} s"
    )
    return [
        Row(
            "FOCUS export",
            seconds,
            "s",
            most(LIMIT_SECONDS),
            f"{making}; {seconds / raw:.1f} times the row below; limit: the budget",
        ),
        Row(
            "FOCUS export, pyarrow alone",
            raw,
            "s",
            None,
            "the same rows, made already, written by one thread: the raw limit",
        ),
        Row("FOCUS export, memory", peak, "MB", most(LIMIT_MB), f"{what}; limit: the budget"),
        Row("FOCUS export, checked", checked, "s", None, f"{what}; every check of ours"),
    ]


def _plainly_written(made: Path, draft: Path) -> float:
    """Return how many seconds pyarrow takes to write the rows of an export again, in the same parts, reading not counted."""
    (path,) = made.glob("cost-and-usage*.parquet")
    names = [f.name for f in pq.read_schema(path) if pa.types.is_string(f.type)]
    file = pq.ParquetFile(path, read_dictionary=names)
    seconds = 0.0
    with pq.ParquetWriter(
        draft, file.schema_arrow, compression="zstd", store_schema=False
    ) as plain:
        for part in range(file.num_row_groups):
            rows = file.read_row_group(part)
            began = time.perf_counter()
            plain.write_table(rows, row_group_size=rows.num_rows)
            seconds += time.perf_counter() - began
    return seconds


def _charge(claim: int, at: int) -> Charge:
    unused = (claim * 7_919 + at * 13) % MS_PER_HOUR if at % 10 == 0 else 0
    milliseconds = 8 * (MS_PER_HOUR - unused)
    return Charge(
        tenant_uid=ACME,
        namespace="team-a",
        claim_uid=ClaimUID(f"{claim:08x}-0000-4000-8000-000000000000"),
        claim_name=f"claim-{claim}",
        sequence=1,
        class_name="h100",
        lease_uid=WEST,
        lease_alias="pool-w",
        product=_LIKE.product,
        tags_hash=_LIKE.tags_hash,
        category=_LIKE.category,
        from_ms=hour(at),
        to_ms=hour(at + 1),
        gpu_milliseconds=milliseconds,
        list_price=_LIKE.list_price,
        price=_LIKE.price,
        currency="USD",
        list_amount=Fraction(3 * milliseconds, MS_PER_HOUR),
        amount=Fraction(14 * milliseconds, 5 * MS_PER_HOUR),
        first_seq=2 * claim + 1,
        last_seq=2 * claim + 2,
    )


_LIKE = charge()


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _KIB_PER_MB
