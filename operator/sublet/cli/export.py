"""`sublet export focus`: a month's FOCUS files on demand. What writes Parquet is loaded when it is wanted, and not before."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sublet.api.ids import TenantUID
from sublet.api.times import Millis, format_instant
from sublet.cli.connect import checked_name, run
from sublet.cli.ledger import Admin, Context, Database, OperatorNamespace
from sublet.cli.ledger_source import open_books
from sublet.cli.output import Format, RowsFormatOption, show_rows
from sublet.cli.problems import Problem, fail
from sublet.cli.spans import parse_month
from sublet.clock import SystemClock
from sublet.rating.books import Books

if TYPE_CHECKING:
    from sublet.export.focus.batch import Failed, Months
    from sublet.export.focus.manifest import Manifest

_COLUMNS = ("audience", "month", "period", "as-of", "files", "rows", "bytes", "ledger")


class Side(StrEnum):
    """Whose files."""

    TENANTS = "tenants"
    WHOLESALE = "wholesale"
    BOTH = "both"


class FocusVersion(StrEnum):
    """Of FOCUS."""

    V1_4 = "1.4"
    V1_2 = "1.2"


class FileFormat(StrEnum):
    """Of files."""

    PARQUET = "parquet"
    CSV = "csv"


class GridOption(StrEnum):
    """How fine rows are cut."""

    HOUR = "hour"
    DAY = "day"


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person asked for."""

    month: str
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


exports = typer.Typer(
    name="export", help="Files for finance, out of the ledger.", no_args_is_help=True
)


@exports.callback()
def _group() -> None:
    """Files for finance, out of the ledger."""


@exports.command()
def focus(
    target: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="DIR|s3://BUCKET/PREFIX",
            help="Where files go.",
            envvar="SUBLET_EXPORT_TARGET",
        ),
    ],
    month: Annotated[
        str | None,
        typer.Option(metavar="YYYY-MM", help="The billing period; this month if left out."),
    ] = None,
    side: Annotated[Side, typer.Option(help="Whose files.")] = Side.BOTH,
    tenant: Annotated[
        list[str] | None,
        typer.Option(metavar="TENANT", help="Of this tenant alone, by name or UID. Repeatable."),
    ] = None,
    version: Annotated[FocusVersion, typer.Option(help="Of FOCUS.")] = FocusVersion.V1_4,
    format_: Annotated[
        list[FileFormat] | None,
        typer.Option("--format", help="Of files; Parquet if left out. Repeatable."),
    ] = None,
    grid: Annotated[GridOption, typer.Option(help="How fine rows are cut.")] = GridOption.HOUR,
    seller: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Who sells to tenants; stands on their rows.",
            envvar="SUBLET_EXPORT_SELLER",
        ),
    ] = "",
    shows_host: Annotated[
        bool,
        typer.Option(
            "--shows-host",
            help="Tenants' files name whose hardware it is.",
            envvar="SUBLET_EXPORT_SHOWS_HOST",
        ),
    ] = False,
    endpoint: Annotated[
        str,
        typer.Option(
            metavar="URL", help="The S3 server, if not AWS.", envvar="SUBLET_EXPORT_ENDPOINT"
        ),
    ] = "",
    region: Annotated[
        str, typer.Option(metavar="NAME", help="Of the bucket.", envvar="SUBLET_EXPORT_REGION")
    ] = "",
    database: Database = None,
    admin: Admin = None,
    context: Context = None,
    operator_namespace: OperatorNamespace = "sublet-system",
    output: RowsFormatOption = Format.TABLE,
) -> None:
    """Write a month's files in FOCUS, the format for cost and usage: tenants' files, and wholesale files of landlords.

    A tenant's folder can be handed to that tenant; the wholesale folder is for the platform team alone. Exit status 1
    if anything could not be made; what stood there before still does.
    """  # fmt: skip
    formats = tuple(dict.fromkeys(format_ or [FileFormat.PARQUET]))

    async def work() -> None:
        now_ms = SystemClock().now_ms()
        wish = Wish(
            parse_month(month, now_ms), side, tuple(tenant or ()), target, endpoint, region,
            checked_seller(seller, side), shows_host, version, formats, grid,
        )  # fmt: skip
        where = checked_name(operator_namespace, what="namespace", label=True)
        books = await open_books(database, admin, context=context, namespace=where)
        done, failed = await asyncio.to_thread(_made, books, wish, now_ms)
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


def tenants_named(books: Books, names: Sequence[str]) -> list[TenantUID]:
    """Return the tenants that are meant, each by name or UID; Problem if the ledger knows none, or several, of that name."""
    found = []
    for name in names:
        uids = [uid for uid, terms in books.tenants.items() if name in (uid, terms.name)]
        if not uids:
            raise Problem(f"the ledger knows no tenant {name!r}; known are: {_known(books)}")
        if len(uids) > 1:
            raise Problem(
                f"the ledger knows several tenants {name!r}; give a UID: {', '.join(sorted(uids))}"
            )
        found += uids
    return found


def complain(failed: "Failed") -> None:
    """Print what failed as one line on standard error, and go on."""
    try:
        fail(f"{failed.audience}: {failed.text}")
    except SystemExit:
        return


def _made(books: Books, wish: Wish, now_ms: Millis) -> "tuple[list[Manifest], list[Failed]]":
    """Make the files, in a thread; a sink that fails ends it."""
    from sublet.export.focus import batch  # noqa: PLC0415  pyarrow takes half a second
    from sublet.export.focus.columns import Version  # noqa: PLC0415  likewise
    from sublet.export.focus.run import Layout  # noqa: PLC0415  likewise
    from sublet.export.sink.port import SinkFailed  # noqa: PLC0415  likewise
    from sublet.export.sink.target import sink_of  # noqa: PLC0415  likewise
    from sublet.rating.grid import Grid  # noqa: PLC0415  likewise

    layout = Layout(Version(wish.version.value), tuple(f.value for f in wish.formats))
    style = batch.Style(wish.seller, layout, Grid(wish.grid.value), wish.shows_host)
    sink = sink_of(wish.target, endpoint=wish.endpoint, region=wish.region)
    only = tenants_named(books, wish.tenants) if wish.tenants else None
    months = batch.Months(sink, books, style, now_ms)
    done: list[Manifest] = []
    failed: list[Failed] = []
    try:
        for each in _each(months, wish, only):
            (failed if isinstance(each, batch.Failed) else done).append(each)  # type: ignore[arg-type]
    except SinkFailed as error:
        failed.append(batch.Failed(wish.month, str(error)))
    if not done and not failed:
        raise Problem(f"nothing was owed in {wish.month} or before: there is nothing to export")
    return done, failed


def _each(
    months: "Months", wish: Wish, only: Sequence[TenantUID] | None
) -> "Iterator[Manifest | Failed]":
    from sublet.export.focus.batch import Side as Of  # noqa: PLC0415  pyarrow takes half a second

    side = Side.TENANTS if only is not None and wish.side is Side.BOTH else wish.side
    return months.export(wish.month, Of(side.value), only)


def _show(done: "Sequence[Manifest]", form: Format) -> None:
    data = [_item(manifest) for manifest in done]
    keys = ("audience", "month", "period", "asOf", "files", "rows", "bytes")
    rows = [(*(item[key] for key in keys), item["ledger"]["seq"]) for item in data]
    show_rows(data, form, _COLUMNS, rows)


def _item(manifest: "Manifest") -> dict[str, Any]:
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


def _known(books: Books) -> str:
    return ", ".join(sorted(t.name for t in books.tenants.values())) or "none"
