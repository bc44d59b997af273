"""The three commands as a person sees them: their options, the words that explain them, and nothing else."""

from typing import Annotated

import typer

from sublet.cli.connect import checked_name, run
from sublet.cli.onboarding import doctor as diagnosing, offboard as leaving, onboard as preparing
from sublet.cli.onboarding.options import Allowed
from sublet.cli.onboarding.place import Place
from sublet.cli.onboarding.takeover import WAIT_SECONDS

Leased = Annotated[
    str,
    typer.Option(
        "--context", metavar="CONTEXT", help="The leased cluster; you must be cluster-admin there."
    ),
]
Hub = Annotated[
    str | None,
    typer.Option("--hub-context", metavar="CONTEXT", help="The hub, if not your current context."),
]
Name = Annotated[
    str, typer.Option("--name", metavar="NAME", help="The cluster's Secret on the hub.")
]
Namespace = Annotated[
    str, typer.Option("--namespace", metavar="NAME", help="The operator's namespace.")
]
InCluster = Annotated[
    bool, typer.Option("--in-cluster", help="The hub's own nodes are leased; CONTEXT is the hub.")
]
Texts = list[str] | None


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command()(onboard)
    app.command()(doctor)
    app.command()(offboard)


def onboard(
    context: Leased,
    name: Name,
    hub_context: Hub = None,
    namespace: Namespace = "sublet-system",
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
    ] = WAIT_SECONDS,
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
    allowed = Allowed(
        system_namespaces=_given(system_namespace),
        extra_resources=_given(extra_resource),
        capabilities=_given(capability),
        role_resources=_given(role_resource),
        priority_classes=_given(priority_class),
        audit_only=audit_only,
    )

    async def work() -> None:
        place = _place(context, name, hub_context, namespace, in_cluster)
        order = preparing.Order(
            place, allowed, rotate=rotate, take_over=take_over, wait_seconds=wait
        )
        await (preparing.print_manifests(order) if dry_run else preparing.onboard(order))

    run(work, what=f"onboarding {name}")


def doctor(
    lease: Annotated[
        str | None, typer.Argument(metavar="LEASE", help="A GpuLease; all if left out.")
    ] = None,
    hub_context: Hub = None,
    namespace: Namespace = "sublet-system",
) -> None:
    """Check leased clusters and say what to mend.

    Looks with the operator's own credentials, so it sees what the operator sees: address, credential, policies,
    DaemonSets, and how many nodes can be sold. Exit status 1 if something must be mended.
    """

    async def work() -> None:
        name = lease if lease is None else checked_name(lease, what="lease")
        where = checked_name(namespace, what="namespace", label=True)
        good = await diagnosing.diagnose_all(name, hub_context=hub_context, namespace=where)
        if not good:
            raise SystemExit(1)

    run(work, what=f"lease {lease}" if lease else "the leases")


def offboard(
    context: Leased,
    name: Name,
    hub_context: Hub = None,
    namespace: Namespace = "sublet-system",
    in_cluster: InCluster = False,
) -> None:
    """Take everything back from a leased cluster.

    Refused while a GpuLease refers to the cluster or a claim holds its nodes. Only what `onboard` made is deleted.
    """

    async def work() -> None:
        await leaving.offboard(_place(context, name, hub_context, namespace, in_cluster))

    run(work, what=f"offboarding {name}")


def _place(
    context: str, name: str, hub_context: str | None, namespace: str, in_cluster: bool
) -> Place:
    """Return what was said of the clusters; Problem if a name can't be one."""
    return Place(
        context=context,
        name=checked_name(name, what="lease", label=True),
        hub_context=hub_context,
        namespace=checked_name(namespace, what="namespace", label=True),
        in_cluster=in_cluster,
    )


def _given(texts: Texts) -> tuple[str, ...] | None:
    """Return None for an option that was left out; typer gives an empty list for it."""
    return tuple(texts) if texts else None
