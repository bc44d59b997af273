"""`sublet margin` as a command: which time, which side, which format, and the page."""

import asyncio
import os
import re
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from sublet.cli.connect import checked_name, run
from sublet.cli.ledger import Admin, Context, Database, OperatorNamespace
from sublet.cli.ledger_source import open_books
from sublet.cli.margin import By, show
from sublet.cli.margin_page import margin_page
from sublet.cli.output import Format, RowsFormatOption
from sublet.cli.problems import Problem
from sublet.cli.spans import parse_span
from sublet.clock import SystemClock
from sublet.rating.report import Report, report
from sublet.rating.reporting import reporting


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command()(margin)


def margin(
    by: Annotated[By, typer.Option(help="What the margin is of.")] = By.LEASE,
    month: Annotated[
        str | None,
        typer.Option(metavar="YYYY-MM", help="A month of UTC; this one if no time is given."),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option("--from", metavar="INSTANT", help="From when: 2026-11-22T10:00:00Z."),
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", metavar="INSTANT", help="Until when; now if left out.")
    ] = None,
    currency: Annotated[
        str | None,
        typer.Option(
            metavar="CODE",
            help="Say everything in this currency, by the ledger's dated rates; without, each amount in its own.",
        ),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a page with charts and all three sides, too."),
    ] = None,
    database: Database = None,
    admin: Admin = None,
    context: Context = None,
    operator_namespace: OperatorNamespace = "sublet-system",
    output: RowsFormatOption = Format.TABLE,
) -> None:
    """Show revenue, cost, margin, break-even, unsold and SLA credits of each lease, class or tenant.

    Rated from the ledger: the database, the operator's admin endpoint, or that through a port-forward. Prices of all
    parties are shown: for the platform team alone.
    """

    async def work() -> None:
        now_ms = SystemClock().now_ms()
        span = parse_span(month, start, end, now_ms)
        checked_currency(currency)
        where = checked_name(operator_namespace, what="namespace", label=True)
        books = await open_books(database, admin, context=context, namespace=where)

        def rated() -> Report:
            return report(books, span, now_ms, reporting(books, currency), currency)

        found = await asyncio.to_thread(rated)
        if html is not None:
            write_whole(html.expanduser(), margin_page(found))
        show(found, by, output)
        if html is not None and output in (Format.TABLE, Format.WIDE):
            print(f"written to {html}")

    run(work, what="margins")


def checked_currency(code: str | None) -> None:
    """Raise Problem on what can be no currency."""
    if code is not None and not re.fullmatch("[A-Z]{3}", code):
        raise Problem(f"{code!r} is no currency; give its three letters, as EUR")


def write_whole(path: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all; Problem if that can't be."""
    try:
        handle, name = tempfile.mkstemp(dir=path.resolve().parent, prefix=f".{path.name}-")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise Problem(f"{path} can't be written: {error.strerror or error}") from error
