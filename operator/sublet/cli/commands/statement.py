"""`sublet statement`: options and words."""

from typing import Annotated

import typer

from sublet.cli.choices import Format
from sublet.cli.commands.options import Context, RowsFormatOption


def statement(
    month: Annotated[
        str | None,
        typer.Argument(metavar="YYYY-MM", help="The billing period; a list of all if left out."),
    ] = None,
    namespace: Annotated[
        str | None,
        typer.Option(
            "-n", "--namespace", metavar="NAME", help="The namespace, if not your context's."
        ),
    ] = None,
    context: Context = None,
    output: RowsFormatOption = Format.TABLE,
) -> None:
    """Show what the claims of a namespace cost: each month, or one month line by line.

    An open month changes until it is closed; what comes later is corrected in the next one.
    """
    from sublet.cli import statement as statements

    statements.command(month, namespace, context, output)
