"""`sublet margin`: options and words."""

from pathlib import Path
from typing import Annotated

import typer

from sublet.cli.choices import Format, MarginOf
from sublet.cli.commands.options import (
    Context,
    Database,
    LedgerAdmin,
    OperatorNamespace,
    RowsFormatOption,
)


def margin(
    by: Annotated[MarginOf, typer.Option(help="What the margin is of.")] = MarginOf.LEASE,
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
    admin: LedgerAdmin = None,
    context: Context = None,
    operator_namespace: OperatorNamespace = "sublet-system",
    output: RowsFormatOption = Format.TABLE,
) -> None:
    """Show revenue, cost, margin, break-even, unsold and SLA credits of each lease, class or tenant.

    Rated from the ledger: the database, the operator's admin endpoint, or that through a port-forward. Prices of all
    parties are shown: for the platform team alone.
    """
    from sublet.cli import margin_command as rating
    from sublet.cli.ledger_source import Place

    wish = rating.Wish(by, month, start, end, currency, html)
    rating.command(wish, Place(database, admin, context, operator_namespace), output)
