"""A data set as one CSV file, compressed with gzip, without any time of writing in it. Deterministic bytes.

Decimals have a point, also whole ones, and no exponent; instants are RFC 3339 in UTC; null is an empty field.
"""

import gzip
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv

from sublet.api.times import Millis, format_instant
from sublet.export.focus.amounts import plain
from sublet.export.focus.columns import Version, as_version


class CsvFile:
    """Takes tables of one data set and writes them."""

    suffix = "csv.gz"

    def __init__(self, path: Path, version: Version) -> None:
        self._version = version
        self._raw = path.open("wb")
        self._packed = gzip.GzipFile(filename="", fileobj=self._raw, mode="wb", mtime=0)
        self._writer: pa_csv.CSVWriter | None = None

    def write(self, table: pa.Table) -> None:
        """Write the next part."""
        part = as_version(table, self._version)
        words = pa.table([_words(c) for c in part.columns], names=part.column_names)
        if self._writer is None:
            self._writer = pa_csv.CSVWriter(self._packed, words.schema)
        self._writer.write_table(words)

    def close(self) -> None:
        """End the file."""
        if self._writer is not None:
            self._writer.close()
        self._packed.close()
        self._raw.close()


def _words(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column as text, each different value written once."""
    kind = column.type
    if pa.types.is_string(kind):
        return column
    if pa.types.is_dictionary(kind):
        return column.cast(pa.string())
    if pa.types.is_integer(kind):
        return column.cast(pa.string())
    is_time = pa.types.is_timestamp(kind)
    encoded = (column.cast(pa.int64()) if is_time else column).combine_chunks().dictionary_encode()
    write: Any = (lambda v: format_instant(Millis(v))) if is_time else plain
    written = pa.array([write(v.as_py()) for v in encoded.dictionary], pa.string())
    return pa.chunked_array([written.take(encoded.indices)])
