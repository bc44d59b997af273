"""A whole export of one audience and period: data sets written, checked, kept in a sink, the manifest last.

If anything fails, what stood there before is still whole, and its manifest still names it.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final, Protocol

import pyarrow as pa

from sublet.export.focus.account import Account, Period
from sublet.export.focus.columns import WHOLESALE, Version, schema
from sublet.export.focus.contracts import Profile, contract_commitments
from sublet.export.focus.csv_file import CsvFile
from sublet.export.focus.landlords import LeasePeriod
from sublet.export.focus.manifest import (
    NAME,
    UNFINISHED,
    FileEntry,
    Manifest,
    describe,
    names_in,
    names_text,
)
from sublet.export.focus.parquet_file import ParquetFile
from sublet.export.focus.periods import billing_periods
from sublet.export.focus.rows import TenantRows
from sublet.export.focus.wholesale import WholesaleRows
from sublet.export.sink.port import Sink, SinkFailed
from sublet.rating.books import Books
from sublet.rating.model import Charge

PART: Final = 262144
"""Rows that are held at once."""


class Format(Protocol):
    """A file being written."""

    suffix: str

    def write(self, table: pa.Table) -> None:
        """Write the next part."""

    def close(self) -> None:
        """End the file."""


FORMATS: Final[dict[str, Callable[[Path, Version], Format]]] = {
    "parquet": ParquetFile,
    "csv": CsvFile,
}


@dataclass(frozen=True, slots=True)
class Layout:
    """How files are written."""

    version: Version = Version.V1_4
    formats: tuple[str, ...] = ("parquet",)
    profile: Profile = Profile.CAPACITY_RESERVATION


def folder_of(whose: str, month: str, version: Version) -> str:
    """Return where the files of one audience and month are kept."""
    return f"{whose}/{month}/focus-{version.value}"


class Export:
    """Writes the data sets of one audience and period."""

    def __init__(self, sink: Sink, layout: Layout, folder: str) -> None:
        self._sink, self.layout = sink, layout
        self._folder = folder
        self._open: list[Path] = []
        self._drafts: list[tuple[Path, FileEntry]] = []

    def add(self, dataset: str, parts: Iterable[pa.Table], version: Version = Version.V1_4) -> None:
        """Write a data set in every format, part by part."""
        drafts = []
        for _ in self.layout.formats:
            drafts.append(self._sink.draft())
            self._open.append(drafts[-1])
        kinds = [FORMATS[name] for name in self.layout.formats]
        files = [kind(draft, version) for kind, draft in zip(kinds, drafts, strict=True)]
        try:
            rows = _write(files, parts)
        except OSError as error:
            raise _unwritable(drafts[0], error) from error
        stem = dataset.lower().replace(" ", "-")
        for draft, file in zip(drafts, files, strict=True):
            entry = describe(draft, stem=stem, dataset=dataset, suffix=file.suffix, rows=rows)
            self._drafts.append((draft, entry))

    def finish(self, manifest: Manifest) -> None:
        """Keep every file, then the manifest, then take away what it doesn't name.

        All names go into a list first: where this breaks off, the next export knows from it what was left behind.
        """
        made = {e.name for e in self.entries}
        there = made | self._names_in(NAME) | self._names_in(UNFINISHED)
        self._keep_text(UNFINISHED, names_text(there))
        for draft, entry in self._drafts:
            self._sink.keep(draft, self._path(entry.name))
        self._keep_text(NAME, manifest.text)
        for name in [*sorted(there - made), UNFINISHED]:
            self._sink.remove(self._path(name))

    def _names_in(self, name: str) -> set[str]:
        return names_in(self._sink.read(self._path(name)))

    def _keep_text(self, name: str, text: str) -> None:
        draft = self._sink.draft()
        try:
            try:
                draft.write_text(text)
            except OSError as error:
                raise _unwritable(draft, error) from error
            self._sink.keep(draft, self._path(name))
        finally:
            self._sink.drop(draft)

    def _path(self, name: str) -> str:
        return f"{self._folder}/{name}"

    def drop(self) -> None:
        """Forget what was not kept."""
        for draft in self._open:
            self._sink.drop(draft)

    @property
    def entries(self) -> tuple[FileEntry, ...]:
        """Return what was written."""
        return tuple(entry for _, entry in self._drafts)


def _unwritable(draft: Path, error: OSError) -> SinkFailed:
    return SinkFailed(f"{draft.parent} can't be written to: {error.strerror}")


def export_tenant(
    sink: Sink, books: Books, account: Account, charges: Iterable[Charge], layout: Layout
) -> Manifest:
    """Write one tenant's files of one period and return their manifest; SinkFailed, NoRate, TooLarge.

    Charges are best given by claim and time: files of sorted rows are several times smaller.
    """
    rows = TenantRows(books, account)
    period, terms = account.period, account.terms
    export = Export(sink, layout, folder_of(f"tenants/{terms.name}", period.month, layout.version))
    try:
        export.add("Cost and Usage", _parts(charges, rows.table), layout.version)
        if layout.version is Version.V1_4:
            export.add("Invoice Detail", [rows.lines.table()])
            export.add("Billing Period", [billing_periods([(account.seller.name, period)])])
        manifest = _manifest(f"tenant/{terms.name}", export, period, books)
        export.finish(manifest)
    finally:
        export.drop()
    return manifest


def export_wholesale(
    sink: Sink, books: Books, period: Period, leases: Iterable[LeasePeriod], layout: Layout
) -> Manifest:
    """Write the wholesale files of one month over all leases and return their manifest; SinkFailed, TooLarge.

    `period` is the month that files are called by; each lease's rows name its own, which may be cut elsewhere.
    """
    periods: list[tuple[str, Period]] = []

    def parts() -> Iterator[pa.Table]:
        for each in leases:
            terms = books.leases[each.lease_uid]
            periods.append((terms.provider, each.period))
            yield WholesaleRows(terms, each.period, layout.profile).table(
                each.cells, each.extras, each.corrections
            )
        yield schema(WHOLESALE).empty_table()

    export = Export(sink, layout, folder_of("wholesale", period.month, layout.version))
    try:
        export.add("Cost and Usage", parts(), layout.version)
        if layout.version is Version.V1_4:
            table = contract_commitments(books.leases, period.as_of_ms, layout.profile)
            export.add("Contract Commitment", [table])
            export.add("Billing Period", [billing_periods(periods)])
        manifest = _manifest("wholesale", export, period, books)
        export.finish(manifest)
    finally:
        export.drop()
    return manifest


def _manifest(audience: str, export: Export, period: Period, books: Books) -> Manifest:
    return Manifest(audience, export.layout.version, period, books.seq, books.head, export.entries)


def _parts(
    charges: Iterable[Charge], make: Callable[[list[Charge]], pa.Table]
) -> Iterator[pa.Table]:
    """Yield tables of so many charges as are held at once; of none at all, one that is empty."""
    given = iter(charges)
    yield make(list(islice(given, PART)))
    while part := list(islice(given, PART)):
        made = make(part)
        part.clear()  # what is written needs no charges any more
        yield made


def _write(files: Sequence[Format], parts: Iterable[pa.Table]) -> int:
    """Write parts into every file, one while the next is made, and return how many rows they have."""
    rows = 0
    with contextlib.ExitStack() as ends:
        for file in files:
            ends.callback(file.close)
        hand = ends.enter_context(ThreadPoolExecutor(1, "focus-writer"))
        under_way: Future[None] | None = None
        for part in parts:
            rows += part.num_rows
            if under_way is not None:
                under_way.result()
            under_way = hand.submit(_write_part, files, part)
        if under_way is not None:
            under_way.result()
    return rows


def _write_part(files: Sequence[Format], part: pa.Table) -> None:
    for file in files:
        file.write(part)
