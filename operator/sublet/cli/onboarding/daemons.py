"""DaemonSets and other pods that get in the way of leased nodes.

Onboarding sees the DaemonSets themselves. The operator's credential may list pods only, so doctor sees each DaemonSet
by its pods, which carry its tolerations.
"""

import re
from collections.abc import Collection, Iterable, Iterator
from typing import Final

import msgspec

from sublet.cli.onboarding.findings import Finding, warning
from sublet.cli.onboarding.pages import read_all
from sublet.fleet.nodebook import POOL_TAINT
from sublet.kube.errors import NotFound
from sublet.kube.session import ApiServer
from sublet.kube.wire import Named, Pod, PodSpec

_OTHER_PODS: Final = (
    "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/sublet-other-pods"
)
_CLAIM_NAMESPACE: Final = re.compile(
    r"sublet-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}-[1-9][0-9]*"
)


class Toleration(msgspec.Struct, gc=False):
    """What Sublet reads of a toleration."""

    key: str = ""
    operator: str = ""
    effect: str = ""


class _Owner(msgspec.Struct, gc=False):
    kind: str = ""
    name: str = ""


class _OwnedMeta(Named, rename="camel"):
    owner_references: list[_Owner] = msgspec.field(default_factory=list)


class _TolerantSpec(PodSpec, rename="camel"):
    tolerations: list[Toleration] = msgspec.field(default_factory=list)


class RunningPod(Pod):
    """A pod with its owners and its tolerations."""

    metadata: _OwnedMeta
    spec: _TolerantSpec = msgspec.field(default_factory=_TolerantSpec)


class _Template(msgspec.Struct):
    spec: _TolerantSpec = msgspec.field(default_factory=_TolerantSpec)


class _DaemonSetSpec(msgspec.Struct):
    template: _Template = msgspec.field(default_factory=_Template)


class _DaemonSet(msgspec.Struct):
    metadata: Named
    spec: _DaemonSetSpec = msgspec.field(default_factory=_DaemonSetSpec)


class _Expression(msgspec.Struct):
    operator: str = ""
    values: list[str] = []


class _Selector(msgspec.Struct, rename="camel"):
    match_expressions: list[_Expression] = []


class _Constraints(msgspec.Struct, rename="camel"):
    namespace_selector: _Selector = msgspec.field(default_factory=_Selector)


class _PolicySpec(msgspec.Struct, rename="camel"):
    match_constraints: _Constraints = msgspec.field(default_factory=_Constraints)


class _Policy(msgspec.Struct):
    spec: _PolicySpec = msgspec.field(default_factory=_PolicySpec)


async def daemon_sets(api: ApiServer) -> dict[str, list[Toleration]]:
    """Return the tolerations of all DaemonSets (namespace/name), for somebody who may list them."""
    items = await read_all(api, "/apis/apps/v1/daemonsets", _DaemonSet)
    return {each.metadata.key: each.spec.template.spec.tolerations for each in items}


async def running_pods(api: ApiServer) -> list[RunningPod]:
    """Return all pods of a cluster."""
    return await read_all(api, "/api/v1/pods", RunningPod)


def daemon_sets_of(pods: Iterable[RunningPod]) -> dict[str, list[Toleration]]:
    """Return the tolerations of the DaemonSets (namespace/name) that pods belong to."""
    return {
        f"{pod.metadata.namespace}/{owner.name}": pod.spec.tolerations
        for pod in pods
        for owner in pod.metadata.owner_references
        if owner.kind == "DaemonSet"
    }


def foreign_nodes(pods: Iterable[RunningPod]) -> set[str]:
    """Return the nodes whose GPUs are held by pods that aren't a claim's."""
    return {
        pod.spec.node_name
        for pod in pods
        if pod.spec.node_name
        and pod.asks_for_gpus
        and not _CLAIM_NAMESPACE.fullmatch(pod.metadata.namespace)
    }


async def open_namespaces(api: ApiServer) -> tuple[str, ...]:
    """Return the namespaces whose pods may tolerate the pool taint, as the installed policy lists them."""
    try:
        policy = await api.get_as(_OTHER_PODS, _Policy)
    except NotFound:
        return ()
    selector = policy.spec.match_constraints.namespace_selector
    listed = [each.values for each in selector.match_expressions if each.operator == "NotIn"]
    return tuple(name for names in listed for name in names)


def daemon_findings(
    tolerations: dict[str, list[Toleration]], open_to: Collection[str]
) -> Iterator[Finding]:
    """Say which DaemonSets the pool taint or the policy on other pods would hit."""
    for name, tolerated in sorted(tolerations.items()):
        everything = any(_opens(t) and not t.key and t.operator == "Exists" for t in tolerated)
        pool = any(_opens(t) and t.key == POOL_TAINT for t in tolerated)
        if (everything or pool) and name.split("/")[0] not in open_to:
            yield warning(
                f"DaemonSet {name} tolerates {'every taint' if everything else POOL_TAINT}, which only pods of system "
                f"namespaces may: onboard with --system-namespace {name.split('/')[0]}, or its pods won't come back"
            )
        elif "nvidia" in name and not everything and not pool:
            yield warning(
                f"DaemonSet {name} doesn't tolerate {POOL_TAINT}: its pods won't come back after a restart of the node"
            )


def _opens(toleration: Toleration) -> bool:
    """Say whether a toleration is good for NoSchedule, the effect of the pool taint."""
    return toleration.effect in ("", "NoSchedule")
