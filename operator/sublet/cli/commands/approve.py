"""`sublet approve`: options and words."""

from typing import Annotated

import typer

from sublet.cli.commands.options import Context


def approve(
    claim: Annotated[str, typer.Argument(metavar="NAMESPACE/NAME", help="The GpuClaim.")],
    withdraw: Annotated[
        bool, typer.Option("--withdraw", help="Take the approval back; what it has it keeps.")
    ] = False,
    context: Context = None,
) -> None:
    """Approve a claim that its class gives so many GPUs only with somebody's approval.

    You need the right to `approve` gpuclaims (ClusterRole sublet-claims-approve). It counts for this very claim, up to
    the number of GPUs that it asks for now.
    """
    from sublet.cli import approve as approving

    approving.command(claim, context, withdraw=withdraw)
