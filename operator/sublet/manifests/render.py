"""Fills the manifests in for one cluster. Pure but for reading the package's own files."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

import yaml

from sublet.fleet.isolation import PROBE_NAMESPACE, PROBE_UID
from sublet.fleet.networks import NEVER_V4, NEVER_V6, NODE_LOCAL_DNS
from sublet.manifests import devices
from sublet.settings import LONGEST_TOKEN_SECONDS

Manifest = dict[str, Any]

_PLAIN: Final = re.compile(r"[A-Za-z0-9/*._:-]*")

MUTATING_SINCE_MINOR: Final = 36
"""MutatingAdmissionPolicy is GA since Kubernetes 1.36."""

_LEASED: Final = (
    "node-invariants",
    "claim-pods",
    "claim-size",
    "claim-objects",
    "other-pods",
    "node-metadata",
    "namespace-metadata",
    "operator-fence",
    "operator-nodes",
)
_HUB: Final = ("metadata", "newborn", "objects", "requested-by", "secrets", "size", "word")


@dataclass(frozen=True, slots=True)
class LeasedOptions:
    """What differs from one leased cluster to the next."""

    namespace: str = "sublet-system"
    account: str = "sublet"
    """The ServiceAccount of the lease's credential; another one on the hub itself, where the operator has its own."""
    kubernetes_minor: int = MUTATING_SINCE_MINOR
    system_namespaces: Sequence[str] = ("kube-system", "gpu-operator")
    """Namespaces whose pods may tolerate the pool taint: the landlord's own DaemonSets."""
    extra_resources: Sequence[str] = ()
    """The most extended resources that any lease here may sell, such as rdma/*."""
    capabilities: Sequence[str] = ()
    """The most Linux capabilities that any lease here may sell."""
    role_resources: Sequence[str] = ()
    """The most kinds that tenants may be given, as group/resource."""
    runtime_classes: Sequence[str] = ("nvidia",)
    priority_classes: Sequence[str] = ()
    """The cluster's global default PriorityClass: the server writes its name into every pod."""
    pod_networks: Sequence[str] = ()
    """Secondary networks that every tenant's pods may join, as namespace/name: NetworkPolicies don't hold there."""
    device_variables: Sequence[str] = ()
    """Variables of NVIDIA's toolkit that the cluster's own device plugin sets in every container with a GPU."""
    audit_only: bool = False
    """Other namespaces' pods are warned, not refused, until the landlord has looked."""

    @property
    def operator(self) -> str:
        """Return the user name of the lease's credential."""
        return f"system:serviceaccount:{self.namespace}:{self.account}"


@dataclass(frozen=True, slots=True)
class HubOptions:
    """What differs from one hub to the next."""

    operator: str = "system:serviceaccount:sublet-system:sublet"
    namespace: str = "sublet-system"
    argocd_namespace: str = ""
    """Where alone the operator's Secrets may be clusters of Argo CD; nowhere if empty."""
    kubernetes_minor: int = MUTATING_SINCE_MINOR


def leased_cluster(options: LeasedOptions) -> list[Manifest]:
    """Return everything for a leased cluster, in the order in which it is applied."""
    words = {
        "OPERATOR": options.operator,
        "NAMESPACE": options.namespace,
        "ACCOUNT": options.account,
        "EXTRA_RESOURCES": _cel_list(options.extra_resources),
        "CAPABILITIES": _cel_list(options.capabilities),
        "ROLE_RESOURCES": _cel_list(options.role_resources),
        "RUNTIME_CLASSES": _cel_list(("", *options.runtime_classes)),
        "PRIORITY_CLASSES": _cel_list(options.priority_classes),
        "POD_NETWORKS": _cel_list(("", *options.pod_networks)),
        "TOKEN_SECONDS": str(LONGEST_TOKEN_SECONDS),
        "NEVER_V4": _cel_list(NEVER_V4),
        "NEVER_V6": _cel_list(NEVER_V6),
        "NODE_LOCAL_DNS": NODE_LOCAL_DNS,
        **devices.words(options.device_variables),
    }
    names = list(_LEASED)
    if options.kubernetes_minor >= MUTATING_SINCE_MINOR:
        names.append("mutating")
    policies = [m for name in names for m in _load(f"leased/{name}.yaml", words)]
    for policy in policies:
        _fill_namespaces(policy, options.system_namespaces)
    soft = {"sublet-other-pods"} if options.audit_only else set()
    bindings = [_binding(p, warn=p["metadata"]["name"] in soft) for p in policies]
    # the probe namespace first: once the policies act, nobody but the operator makes a claim namespace
    return [*_load("leased/rbac.yaml", words), probe_namespace(), *policies, *bindings]


def hub(options: HubOptions) -> list[Manifest]:
    """Return everything for the hub but the CRDs, in the order in which it is applied."""
    words = {
        "OPERATOR": options.operator,
        "NAMESPACE": options.namespace,
        "ARGOCD": options.argocd_namespace,
    }
    names = list(_HUB)
    if options.kubernetes_minor >= MUTATING_SINCE_MINOR:
        names.append("mutating")
    policies = [m for name in names for m in _load(f"hub/{name}.yaml", words)]
    return [*_load("hub/rbac.yaml", words), *policies, *(_binding(p) for p in policies)]


def probe_namespace() -> Manifest:
    """Return the claim namespace that belongs to no claim, in which isolation is proven."""
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": PROBE_NAMESPACE,
            "labels": {
                "sublet.dev/claim": PROBE_UID,
                "pod-security.kubernetes.io/enforce": "restricted",
            },
        },
    }


def to_yaml(manifests: Iterable[Manifest]) -> str:
    """Write manifests as one YAML stream."""
    return yaml.safe_dump_all(manifests, sort_keys=False, width=120)


def _load(name: str, words: dict[str, str]) -> list[Manifest]:
    text = files("sublet.manifests").joinpath(name).read_text()
    for word, value in words.items():
        text = text.replace(f"@{word}@", value)
    return [document for document in yaml.safe_load_all(text) if document]


def _binding(policy: Manifest, *, warn: bool = False) -> Manifest:
    name = policy["metadata"]["name"]
    spec: Manifest = {"policyName": name}
    if policy["kind"].startswith("Validating"):
        spec["validationActions"] = ["Audit", "Warn"] if warn else ["Deny"]
    return {
        "apiVersion": policy["apiVersion"],
        "kind": f"{policy['kind']}Binding",
        "metadata": {"name": name},
        "spec": spec,
    }


def _fill_namespaces(policy: Manifest, namespaces: Sequence[str]) -> None:
    selector = policy["spec"].get("matchConstraints", {}).get("namespaceSelector", {})
    for expression in selector.get("matchExpressions", ()):
        if expression.get("values") == ["@SYSTEM_NAMESPACES@"]:
            expression["values"] = list(namespaces)


def _cel_list(items: Sequence[str]) -> str:
    """Write texts as a CEL list; JSON strings with single quotes would break on quotes, so they are checked."""
    for item in items:
        if _PLAIN.fullmatch(item) is None:
            raise ValueError(f"{item!r} can't stand in a policy")
    return json.dumps(list(items)).replace('"', "'")
