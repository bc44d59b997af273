"""`sublet doctor`: options and words."""

from typing import Annotated

import typer

from sublet.cli.commands.options import HubContext, OperatorNamespace


def doctor(
    lease: Annotated[
        str | None, typer.Argument(metavar="LEASE", help="A GpuLease; all if left out.")
    ] = None,
    hub_context: HubContext = None,
    namespace: OperatorNamespace = "sublet-system",
) -> None:
    """Check leased clusters and say what to mend.

    Looks with the operator's own credentials, so it sees what the operator sees: address, credential, policies,
    DaemonSets, and how many nodes can be sold. Exit status 1 if something must be mended.
    """
    from sublet.cli.onboarding import commands

    commands.doctor(lease, hub_context, namespace)
