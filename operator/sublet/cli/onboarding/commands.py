"""The three commands: their options, their order of steps, what they print."""

import asyncio
import base64
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
import typer
import yaml

from sublet.api.kinds import LEASES
from sublet.cli.onboarding import apply as applying
from sublet.cli.onboarding.credential import CREDENTIALS_LABEL, hub_secret, kubeconfig, take_token
from sublet.cli.onboarding.findings import (
    Finding,
    Level,
    gpu_nodes,
    inspect,
    inspect_isolation,
    minor_version,
)
from sublet.cli.onboarding.lease_draft import draft
from sublet.cli.problems import Problem, describe, fail
from sublet.fleet.kubeconfig import parse_kubeconfig
from sublet.fleet.nodebook import BOOK
from sublet.kube.errors import KubeError
from sublet.kube.hub import hub_endpoint
from sublet.kube.session import ApiServer
from sublet.manifests.render import LeasedOptions, leased_cluster, to_yaml

Leased = Annotated[
    str, typer.Option("--context", help="Context of the leased cluster (cluster-admin).")
]
Hub = Annotated[str | None, typer.Option("--hub-context", help="Context of the hub.")]
Namespace = Annotated[str, typer.Option(help="The operator's namespace.")]
Names = Annotated[list[str] | None, typer.Option(help="May be given several times.")]
_ISOLATION_TRIES = 20


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command()(onboard)
    app.command()(doctor)
    app.command()(offboard)


def onboard(
    context: Leased,
    name: Annotated[
        str, typer.Option(help="Name of the Secret on the hub and of the lease draft.")
    ],
    hub_context: Hub = None,
    namespace: Namespace = "sublet-system",
    system_namespace: Names = None,
    extra_resource: Names = None,
    capability: Names = None,
    role_resource: Names = None,
    priority_class: Names = None,
    audit_only: Annotated[
        bool, typer.Option(help="Warn other namespaces' pods, don't refuse them.")
    ] = False,
    rotate: Annotated[bool, typer.Option(help="Take a new credential; the old one dies.")] = False,
    dry_run: Annotated[
        bool, typer.Option(help="Print the manifests as YAML and change nothing.")
    ] = False,
) -> None:
    """Prepare a leased cluster for Sublet and print a GpuLease to edit."""

    async def run() -> None:
        async with ApiServer(await hub_endpoint(context=context)) as leased:
            options = LeasedOptions(
                namespace=namespace,
                operator=f"system:serviceaccount:{namespace}:sublet",
                kubernetes_minor=await minor_version(leased),
                system_namespaces=("kube-system", "gpu-operator", *(system_namespace or ())),
                extra_resources=tuple(extra_resource or ()),
                capabilities=tuple(capability or ()),
                role_resources=tuple(role_resource or ()),
                priority_classes=(*(priority_class or ()), *await _default_priority(leased)),
                audit_only=audit_only,
            )
            if dry_run:
                print(to_yaml(leased_cluster(options)), end="")
                return
            _show(await inspect(leased), stop=True)
            count = await applying.apply_all(leased, leased_cluster(options))
            print(f"  applied   {count} objects")
            token = await take_token(leased, namespace, rotate=rotate)
            async with ApiServer(await hub_endpoint(context=hub_context)) as hub:
                secret = hub_secret(name, namespace, kubeconfig(leased, token))
                await hub.apply(applying.path_of(secret), secret)
            print(f"  written   Secret {namespace}/{name} on the hub")
            _show([await _isolation(leased, token)], stop=True)
            print("\nEdit this and apply it to the hub:\n")
            print(draft(name, await gpu_nodes(leased), datetime.now(UTC)), end="")

    _run(run, f"onboarding {name}")


def doctor(
    lease: Annotated[str | None, typer.Argument(help="Name of a lease; all if left out.")] = None,
    hub_context: Hub = None,
    namespace: Namespace = "sublet-system",
) -> None:
    """Check leased clusters with the operator's own credentials and say what to mend."""

    async def run() -> None:
        async with ApiServer(await hub_endpoint(context=hub_context)) as hub:
            names = (
                [lease]
                if lease
                else [i["metadata"]["name"] for i in (await hub.get(LEASES.path()))["items"]]
            )
            worst = [await _diagnose(hub, each, namespace) for each in names]
        if Level.ERROR in worst:
            raise SystemExit(1)

    _run(run, "doctor")


def offboard(
    context: Leased,
    name: Annotated[str, typer.Option(help="Name that `onboard` was given.")],
    hub_context: Hub = None,
    namespace: Namespace = "sublet-system",
) -> None:
    """Take everything back from a leased cluster; refused while claims hold its nodes."""

    async def run() -> None:
        async with ApiServer(await hub_endpoint(context=context)) as leased:
            held = [
                n.metadata.name for n in await gpu_nodes(leased) if n.metadata.annotations.get(BOOK)
            ]
            if held:
                raise Problem(
                    f"claims hold {len(held)} nodes ({', '.join(held[:5])} …); release them first"
                )
            options = LeasedOptions(namespace=namespace)
            policies = [m for m in leased_cluster(options) if "admission" in m["apiVersion"]]
            others = [m for m in leased_cluster(options) if "admission" not in m["apiVersion"]]
            # policies first: they guard what is deleted after them
            count = await applying.delete_all(leased, policies) + await applying.delete_all(
                leased, others
            )
            print(f"  deleted   {count} objects")
        async with ApiServer(await hub_endpoint(context=hub_context)) as hub:
            await applying.delete_all(hub, [hub_secret(name, namespace, "")])
            print(f"  deleted   Secret {namespace}/{name} on the hub")

    _run(run, f"offboarding {name}")


async def _isolation(leased: ApiServer, token: str) -> Finding:
    """Prove isolation with the operator's own token; new policies need up to a second to act."""
    finding = Finding(Level.ERROR, "isolation wasn't tried")
    async with leased.with_token(token) as operator:
        for _ in range(_ISOLATION_TRIES):
            finding = await inspect_isolation(operator)
            if finding.level is Level.OK:
                break
            await asyncio.sleep(0.25)
    return finding


async def _diagnose(hub: ApiServer, name: str, namespace: str) -> Level:
    lease = await hub.get(LEASES.path(name=name))
    print(f"lease {name}")
    ref = lease["spec"]["clusterRef"]["kubeconfigSecretRef"]
    path = f"/api/v1/namespaces/{namespace}/secrets/{ref['name']}"
    secret = await applying.read_or_none(hub, path)
    labels = (secret or {}).get("metadata", {}).get("labels") or {}
    data: dict[str, Any] = (secret or {}).get("data") or {}
    if (
        secret is None
        or CREDENTIALS_LABEL not in labels
        or ref.get("key", "kubeconfig") not in data
    ):
        text = f"Secret {namespace}/{ref['name']} with its key and label isn't there; run `sublet onboard`"
        return _show([Finding(Level.ERROR, text)])
    raw = base64.b64decode(data[ref.get("key", "kubeconfig")])
    try:
        endpoint = parse_kubeconfig(raw, allow_local=True, hub_servers=[hub.endpoint.server])
    except ValueError as refusal:
        return _show([Finding(Level.ERROR, f"the kubeconfig is refused: {refusal}")])
    async with ApiServer(endpoint) as leased:
        try:
            version = Finding(Level.OK, f"Kubernetes 1.{await minor_version(leased)}")
            return _show([version, await inspect_isolation(leased)])
        except KubeError as error:
            return _show([Finding(Level.ERROR, str(error))])


async def _default_priority(api: ApiServer) -> tuple[str, ...]:
    """Return the global default PriorityClass: its name is in every pod before the policy looks."""
    classes = await api.get("/apis/scheduling.k8s.io/v1/priorityclasses")
    return tuple(c["metadata"]["name"] for c in classes["items"] if c.get("globalDefault"))


def _show(findings: list[Finding], *, stop: bool = False) -> Level:
    for finding in findings:
        print(f"  {finding.level:<9} {finding.text}")
    levels = {f.level for f in findings}
    if stop and Level.ERROR in levels:
        raise Problem("mend the errors above and run it again; every step may be repeated")
    return Level.ERROR if Level.ERROR in levels else Level.OK


def _run(run: Callable[[], Awaitable[None]], what: str) -> None:
    async def wrapped() -> None:
        await run()

    try:
        asyncio.run(wrapped())
    except Problem as problem:
        fail(str(problem))
    except (KubeError, OSError, ValueError, yaml.YAMLError, msgspec.MsgspecError) as error:
        fail(describe(error, what=what))
