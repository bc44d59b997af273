"""Checks an export as it stands in a directory: every file the one that its manifest names, and every rule between rows."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from sublet.api.times import parse_instant
from sublet.export.focus import checks, sums
from sublet.export.focus.manifest import NAME

_COST: Final = "Cost and Usage"


def audit(folder: Path) -> Iterator[str]:
    """Yield every fault of an export; files in Parquet are read, of others the content is compared with the manifest."""
    try:
        manifest = json.loads((folder / NAME).read_bytes())
        files = manifest["files"]
        as_of = parse_instant(manifest["asOf"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        yield f"{folder / NAME} can't be read: {error}"
        return
    tables: dict[str, pa.Table] = {}
    for entry in files:
        fault = _differs(folder, entry)
        if fault:
            yield fault
        elif entry["format"] == "parquet":
            tables[entry["dataset"]] = table = pq.read_table(folder / entry["name"])
            if table.num_rows != entry["rows"]:
                yield f"{entry['name']} has {table.num_rows} rows, the manifest says {entry['rows']}"
    rows = tables.get(_COST)
    if rows is None:
        return
    yield from checks.rows(rows)
    if "x_LeaseState" in rows.column_names:
        yield from sums.wholesale(rows)
    else:
        yield from sums.overlaps(rows)
    if "Contract Commitment" in tables:
        yield from sums.commitments(rows, tables["Contract Commitment"], as_of)
    if "Invoice Detail" in tables:
        yield from sums.invoice(rows, tables["Invoice Detail"])
    if "Billing Period" in tables:
        yield from sums.periods(rows, tables["Billing Period"])


def _differs(folder: Path, entry: dict[str, Any]) -> str | None:
    try:
        with (folder / entry["name"]).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return f"{entry['name']} can't be read: {error.strerror}"
    return None if digest == entry["sha256"] else f"{entry['name']} isn't the file that was written"
