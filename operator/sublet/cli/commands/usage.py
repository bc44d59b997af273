"""`sublet usage`: options and words."""

from typing import Annotated

import typer

from sublet.cli.choices import Format
from sublet.cli.commands.options import Admin, Context, OperatorNamespace, RowsFormatOption
from sublet.ledger.usage import By


def usage(
    by: Annotated[By, typer.Option(help="What to add up by.")] = By.CLAIM,
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="INSTANT",
            help="From when; the first of this month (UTC) if left out.",
        ),
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", metavar="INSTANT", help="Until when; now if left out.")
    ] = None,
    context: Context = None,
    admin: Admin = None,
    operator_namespace: OperatorNamespace = "sublet-system",
    output: RowsFormatOption = Format.TABLE,
) -> None:
    """Show metered GPU time and what it costs.

    Exact to the millisecond. Asks the operator's admin endpoint through a port-forward: you need the right to
    pods/portforward there. Instants are written as 2026-11-22T10:00:00Z.
    """
    from sublet.cli import usage as metered

    metered.command(by, (start, end), context, admin, operator_namespace, output)
