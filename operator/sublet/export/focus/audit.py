"""Checks an export as it stands in a directory: every file the one that its manifest names, and every rule between rows.

Rows are read part by part; of what must hold between them only the columns that say it.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from sublet.api.times import Millis, parse_instant
from sublet.export.focus import checks, sums
from sublet.export.focus.manifest import NAME, FileEntry

_ROWS: Final = "Cost and Usage"


class _Said(msgspec.Struct, rename="camel"):
    """What is read of a manifest; no export is without files."""

    as_of: str
    files: Annotated[tuple[FileEntry, ...], msgspec.Meta(min_length=1)]


def audit(folder: Path) -> Iterator[str]:
    """Yield every fault of an export; files in Parquet are read, of others the content is compared with the manifest."""
    try:
        manifest = msgspec.json.decode((folder / NAME).read_bytes(), type=_Said)
        as_of = parse_instant(manifest.as_of)
    except (OSError, ValueError, RecursionError) as error:
        yield f"{folder / NAME} can't be read: {error}"
        return
    found: dict[str, pq.ParquetFile] = {}
    for entry in manifest.files:
        fault = _differs(folder, entry)
        if fault:
            yield fault
        elif entry.format == "parquet":
            found[entry.dataset] = file = pq.ParquetFile(folder / entry.name)
            if file.metadata.num_rows != entry.rows:
                yield f"{entry.name} has {file.metadata.num_rows} rows, the manifest says {entry.rows}"
    if _ROWS in found:
        rows = found.pop(_ROWS)
        yield from _single(rows)
        yield from _together(rows, {name: file.read() for name, file in found.items()}, as_of)


def _single(file: pq.ParquetFile) -> Iterator[str]:
    for group in range(file.num_row_groups):
        yield from checks.rows(file.read_row_group(group))


def _together(file: pq.ParquetFile, others: dict[str, pa.Table], as_of_ms: Millis) -> Iterator[str]:
    if "x_LeaseState" in file.schema_arrow.names:
        table = file.read(sums.OF_WHOLESALE)
        yield from sums.wholesale(table)
        if "Contract Commitment" in others:
            yield from sums.commitments(table, others["Contract Commitment"], as_of_ms)
    else:
        yield from sums.overlaps(file.read(sums.OF_CLAIMS))
    if "Invoice Detail" in others:
        yield from sums.invoice(file.read(sums.OF_INVOICE), others["Invoice Detail"])
    if "Billing Period" in others:
        yield from sums.periods(file.read(sums.OF_PERIODS), others["Billing Period"])


def _differs(folder: Path, entry: FileEntry) -> str | None:
    try:
        with (folder / entry.name).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return f"{entry.name} can't be read: {error.strerror}"
    return None if digest == entry.sha256 else f"{entry.name} isn't the file that was written"
