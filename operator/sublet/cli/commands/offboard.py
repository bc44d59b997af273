"""`sublet offboard`: options and words."""

from sublet.cli.commands.options import (
    ClusterName,
    HubContext,
    InCluster,
    LeasedContext,
    OperatorNamespace,
)


def offboard(
    context: LeasedContext,
    name: ClusterName,
    hub_context: HubContext = None,
    namespace: OperatorNamespace = "sublet-system",
    in_cluster: InCluster = False,
) -> None:
    """Take everything back from a leased cluster.

    Refused while a GpuLease refers to the cluster or a claim holds its nodes. Only what `onboard` made is deleted.
    """
    from sublet.cli.onboarding import commands

    commands.offboard(commands.Named(context, name, hub_context, namespace, in_cluster))
