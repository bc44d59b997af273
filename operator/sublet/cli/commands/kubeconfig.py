"""`sublet kubeconfig`: options and words."""

from pathlib import Path
from typing import Annotated

import typer

from sublet.cli.commands.options import Claim, Context, Namespace


def kubeconfig(
    claim: Claim,
    namespace: Namespace = None,
    context: Context = None,
    into: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Merge into this kubeconfig instead of printing."),
    ] = None,
) -> None:
    """Print a bound claim's kubeconfig, or merge it into a file.

    Each leased cluster is one context, named by what the platform team calls the cluster. An entry of that name that
    isn't this claim's stays as it is; the claim's then gets a longer name.
    """
    from sublet.cli import kubeconfig as access

    access.command(claim, namespace, context, into)
