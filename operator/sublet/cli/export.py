"""`sublet export focus`: a month's FOCUS files on demand.

What writes Parquet takes half a second to load, so nothing but the command itself imports this module.
"""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sublet.api.ids import TenantUID
from sublet.api.times import Millis, format_instant
from sublet.cli.choices import FileFormat, FocusVersion, Format, GridOption, Side
from sublet.cli.connect import run
from sublet.cli.ledger_source import Place, open_books
from sublet.cli.output import show_rows
from sublet.cli.problems import Problem, fail
from sublet.cli.spans import parse_month
from sublet.cli.tenants import tenants_named
from sublet.clock import SystemClock
from sublet.export.focus import batch
from sublet.export.focus.columns import Version
from sublet.export.focus.manifest import Manifest
from sublet.export.focus.run import Layout
from sublet.export.sink.port import SinkFailed
from sublet.export.sink.target import sink_of
from sublet.rating.books import Books
from sublet.rating.grid import Grid

_COLUMNS = ("audience", "month", "period", "as-of", "files", "rows", "bytes", "ledger")


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person asked for."""

    month: str | None
    side: Side
    tenants: tuple[str, ...]
    target: str
    endpoint: str
    region: str
    seller: str
    shows_host: bool
    version: FocusVersion
    formats: tuple[FileFormat, ...]
    grid: GridOption


def command(wish: Wish, place: Place, output: Format) -> None:
    """Make the month's files and show which; exit status 1 if some couldn't be made."""

    async def work() -> None:
        now_ms = SystemClock().now_ms()
        month = parse_month(wish.month, now_ms)
        seller = checked_seller(wish.seller, wish.side)
        books = await open_books(place)
        whole = replace(wish, month=month, seller=seller)
        done, failed = await asyncio.to_thread(_made, books, whole, month, now_ms)
        if done or not failed:
            _show(done, output)
        for each in failed:
            complain(each)
        if failed:
            raise SystemExit(1)

    run(work, what="the export")


def checked_seller(seller: str, side: Side) -> str:
    """Return who sells; Problem if tenants' files are wanted and nobody does."""
    if side is not Side.WHOLESALE and not seller.strip():
        raise Problem("say who sells to tenants: --seller NAME, or SUBLET_EXPORT_SELLER")
    return seller.strip()


def complain(failed: batch.Failed) -> None:
    """Print what failed as one line on standard error, and go on."""
    try:
        fail(f"{failed.audience}: {failed.text}")
    except SystemExit:
        return


def _made(
    books: Books, wish: Wish, month: str, now_ms: Millis
) -> tuple[list[Manifest], list[batch.Failed]]:
    """Make the files, in a thread; a sink that fails ends it."""
    layout = Layout(Version(wish.version.value), tuple(f.value for f in wish.formats))
    style = batch.Style(wish.seller, layout, Grid(wish.grid.value), wish.shows_host)
    sink = sink_of(wish.target, endpoint=wish.endpoint, region=wish.region)
    only = tenants_named(books, wish.tenants) if wish.tenants else None
    months = batch.Months(sink, books, style, now_ms)
    done: list[Manifest] = []
    failed: list[batch.Failed] = []
    try:
        for each in _each(months, wish, month, only):
            if isinstance(each, batch.Failed):
                failed.append(each)
            else:
                done.append(each)
    except SinkFailed as error:
        failed.append(batch.Failed(month, str(error)))
    if not done and not failed:
        raise Problem(f"nothing was owed in {month} or before: there is nothing to export")
    return done, failed


def _each(
    months: batch.Months, wish: Wish, month: str, only: Sequence[TenantUID] | None
) -> Iterator[Manifest | batch.Failed]:
    side = Side.TENANTS if only is not None and wish.side is Side.BOTH else wish.side
    return months.export(month, batch.Side(side.value), only)


def _show(done: Sequence[Manifest], form: Format) -> None:
    data = [_item(manifest) for manifest in done]
    keys = ("audience", "month", "period", "asOf", "files", "rows", "bytes")
    rows = [(*(item[key] for key in keys), item["ledger"]["seq"]) for item in data]
    show_rows(data, form, _COLUMNS, rows)


def _item(manifest: Manifest) -> dict[str, Any]:
    period = manifest.period
    usage = {f.format: f.rows for f in manifest.files if f.dataset == "Cost and Usage"}
    return {
        "audience": manifest.audience,
        "month": period.month,
        "period": "Closed" if period.is_closed else "Open",
        "asOf": format_instant(period.as_of_ms),
        "focusVersion": manifest.version.value,
        "files": len(manifest.files),
        "rows": next(iter(usage.values()), 0),
        "bytes": sum(f.bytes for f in manifest.files),
        "ledger": {"seq": manifest.ledger_seq, "hash": manifest.ledger_hash},
    }
