"""A data set as one Parquet file, part by part: one row group each, so that memory holds one part. Deterministic bytes."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from sublet.export.focus.columns import Version, as_version


class ParquetFile:
    """Takes tables of one data set and writes them; at least one, if an empty one."""

    suffix = "parquet"

    def __init__(self, path: Path, version: Version) -> None:
        self._path, self._version = path, version
        self._writer: pq.ParquetWriter | None = None

    def write(self, table: pa.Table) -> None:
        """Write the next part."""
        part = as_version(table, self._version)
        if self._writer is None:
            # readers see plain texts, not how they were held in memory
            self._writer = pq.ParquetWriter(
                self._path, part.schema, compression="zstd", store_schema=False
            )
        if part.num_rows:
            self._writer.write_table(part, row_group_size=part.num_rows)

    def close(self) -> None:
        """End the file."""
        if self._writer is not None:
            self._writer.close()
