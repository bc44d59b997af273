"""`sublet coverage`: options and words."""

from typing import Annotated

import typer

from sublet.cli.choices import Format
from sublet.cli.commands.options import Context, FormatOption


def coverage(
    at: Annotated[
        str | None,
        typer.Option(metavar="INSTANT", help="When, past or future; now if left out."),
    ] = None,
    context: Context = None,
    output: FormatOption = Format.TABLE,
) -> None:
    """Show what each lease has committed, used and unsold, and what it earns and costs in an hour.

    Worked out from leases and claims as they are now, for any instant. Instants are written as 2026-11-22T10:00:00Z.
    """
    from sublet.cli import coverage as covered

    covered.command(at, context, output)
