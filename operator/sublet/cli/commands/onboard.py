"""`sublet onboard`: options and words."""

from typing import Annotated, Final

import typer

from sublet.cli.commands.options import (
    ClusterName,
    HubContext,
    InCluster,
    LeasedContext,
    OperatorNamespace,
)

Texts = list[str] | None
_WAIT_SECONDS: Final = 60


def onboard(
    context: LeasedContext,
    name: ClusterName,
    hub_context: HubContext = None,
    namespace: OperatorNamespace = "sublet-system",
    system_namespace: Annotated[
        Texts,
        typer.Option(metavar="NAME", help="Its pods may run on leased nodes, as DaemonSets must."),
    ] = None,
    extra_resource: Annotated[
        Texts, typer.Option(metavar="RESOURCE", help="Leases may sell it, such as rdma/hca.")
    ] = None,
    capability: Annotated[
        Texts, typer.Option(metavar="NAME", help="Leases may sell it, such as IPC_LOCK.")
    ] = None,
    role_resource: Annotated[
        Texts,
        typer.Option(
            metavar="GROUP/KIND", help="Tenants may use it, such as kubeflow.org/pytorchjobs."
        ),
    ] = None,
    priority_class: Annotated[
        Texts, typer.Option(metavar="NAME", help="Tenants' pods may name it.")
    ] = None,
    pod_network: Annotated[
        Texts,
        typer.Option(
            metavar="NAMESPACE/NAME", help="Tenants' pods may join it beside their own network."
        ),
    ] = None,
    device_variable: Annotated[
        Texts,
        typer.Option(
            metavar="NAME",
            help="The cluster's device plugin sets it, such as NVIDIA_GDS: it is left on.",
        ),
    ] = None,
    audit_only: Annotated[
        bool | None,
        typer.Option(
            "--audit-only/--no-audit-only",
            help="Warn pods of other namespaces about leased nodes, don't refuse them yet.",
        ),
    ] = None,
    in_cluster: InCluster = False,
    rotate: Annotated[
        bool,
        typer.Option(
            "--rotate", help="Take a new credential; once the operator uses it, the old one dies."
        ),
    ] = False,
    take_over: Annotated[
        bool, typer.Option("--take-over", help="The hub that it was onboarded for is gone.")
    ] = False,
    wait: Annotated[
        int,
        typer.Option(
            metavar="SECONDS",
            min=0,
            help="For the operator to use a new credential, before the old one dies.",
        ),
    ] = _WAIT_SECONDS,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the manifests as YAML and change nothing.")
    ] = False,
) -> None:
    """Prepare a leased cluster and print a GpuLease to edit.

    Installs the operator's narrow rights and the admission policies that keep tenants apart, writes the operator's
    credential to the hub, and proves that isolation acts. It may be repeated at any time: it mends what was changed.
    Options may be given several times; one that is left out keeps what it was given the last time, and an empty
    text clears it.

    \b
    Example:
      sublet onboard --context west --name west --hub-context hub
    """  # noqa: D301  \b is for the help's layout
    from sublet.cli.onboarding import commands
    from sublet.cli.onboarding.options import Allowed

    allowed = Allowed(
        system_namespaces=_given(system_namespace),
        extra_resources=_given(extra_resource),
        capabilities=_given(capability),
        role_resources=_given(role_resource),
        priority_classes=_given(priority_class),
        pod_networks=_given(pod_network),
        device_variables=_given(device_variable),
        audit_only=audit_only,
    )
    named = commands.Named(context, name, hub_context, namespace, in_cluster)
    how = commands.How(rotate=rotate, take_over=take_over, wait_seconds=wait, dry_run=dry_run)
    commands.onboard(named, allowed, how)


def _given(texts: Texts) -> tuple[str, ...] | None:
    """Return None for an option that was left out; typer gives an empty list for it."""
    return tuple(texts) if texts else None
