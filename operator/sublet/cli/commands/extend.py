"""`sublet extend`: options and words."""

from typing import Annotated

import typer

from sublet.cli.commands.options import Claim, Context, Namespace


def extend(
    claim: Claim,
    by: Annotated[
        str | None, typer.Option(metavar="DURATION", help="By so long: 90m, 4h, 7d.")
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="INSTANT", help="Until then: 2026-11-22T10:00:00Z.")
    ] = None,
    wait: Annotated[
        int, typer.Option(metavar="SECONDS", min=0, help="For the answer, at most so long.")
    ] = 10,
    namespace: Namespace = None,
    context: Context = None,
) -> None:
    """Ask for a later end of a claim, and say whether it is granted.

    Raises the claim's duration. It is granted as far as the GPUs aren't promised to others and there is money for it.
    """
    from sublet.cli import extend as extending

    extending.command(claim, (namespace, context), extending.Later(by, until), wait)
