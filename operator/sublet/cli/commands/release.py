"""`sublet release`: options and words."""

from typing import Annotated

import typer

from sublet.cli.commands.options import Claim, Context, Namespace


def release(
    claim: Claim,
    suspend: Annotated[
        bool, typer.Option("--suspend", help="Keep the claim, suspended, to resume it later.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    wait: Annotated[
        int,
        typer.Option(metavar="SECONDS", min=0, help="Until the GPUs are free, at most so long."),
    ] = 0,
    namespace: Namespace = None,
    context: Context = None,
) -> None:
    """Give a claim's GPUs back: says what ends and what it costs, asks, and deletes the claim.

    What its pods left in the leased cluster is deleted with it. The meter stops at once.
    """
    from sublet.cli import release as releasing

    releasing.command(claim, (namespace, context), wait, keep=suspend, agreed=yes)
