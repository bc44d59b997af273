"""`sublet book`: options and words."""

from pathlib import Path
from typing import Annotated

import typer

from sublet.cli.choices import Format
from sublet.cli.commands.options import Context, FormatOption


def book(
    lease: Annotated[
        str | None, typer.Argument(metavar="LEASE", help="One GpuLease; all if left out.")
    ] = None,
    span: Annotated[
        str, typer.Option("--for", metavar="DURATION", help="How far ahead: 12h, 7d, 26w.")
    ] = "30d",
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a page with charts, too.")
    ] = None,
    context: Context = None,
    output: FormatOption = Format.TABLE,
) -> None:
    """Show supply and demand in time: a chart of GPUs that are held, free and committed, and who waits.

    From now on, as far as leases and claims tell. Each column of the chart shows the instant at which least is free.
    """
    from sublet.cli import book as booking

    booking.command(lease, span, html, context, output)
