"""`sublet top`: options and words."""

from typing import Annotated

import typer

from sublet.cli.choices import Format
from sublet.cli.commands.options import Context, FormatOption


def top(
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Again and again, in place.")
    ] = False,
    every_seconds: Annotated[
        float,
        typer.Option("--every", metavar="SECONDS", min=0.2, help="With --watch: how often."),
    ] = 2.0,
    context: Context = None,
    output: FormatOption = Format.TABLE,
) -> None:
    """Show all leases and claims with their counts and states."""
    from sublet.cli import top as overview

    overview.command(context, output, every_seconds if watch else None)
