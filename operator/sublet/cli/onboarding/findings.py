"""What to know of a cluster before its GPUs are sold: each finding says what is wrong and what to do."""

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import msgspec

from sublet.fleet.cluster import GPU_PRESENT
from sublet.fleet.inventory import product_fault
from sublet.fleet.isolation import find_isolation_fault
from sublet.fleet.nodebook import GPU, POOL_TAINT
from sublet.kube.session import ApiServer
from sublet.kube.wire import HasMeta, Node

OLDEST_MINOR: Final = 30
"""ValidatingAdmissionPolicy is GA since Kubernetes 1.30."""


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found."""

    level: Level
    text: str


class _NodeList(HasMeta):
    items: list[Node] = msgspec.field(default_factory=list)


async def minor_version(api: ApiServer) -> int:
    """Return the API server's minor version."""
    version = await api.get("/version")
    return int("".join(c for c in str(version.get("minor", "0")) if c.isdigit()) or 0)


async def gpu_nodes(api: ApiServer) -> list[Node]:
    """Return the nodes that NVIDIA's GPU feature discovery marks as having GPUs."""
    found = await api.get_as("/api/v1/nodes", _NodeList, labelSelector=f"{GPU_PRESENT}=true")
    return found.items


async def inspect(api: ApiServer) -> list[Finding]:
    """Look at everything that can be seen before and after onboarding."""
    findings = [_version_finding(await minor_version(api))]
    findings += _node_findings(await gpu_nodes(api))
    findings += _daemon_set_findings(await api.get("/apis/apps/v1/daemonsets"))
    return findings


async def inspect_isolation(api: ApiServer) -> Finding:
    """Prove isolation as the operator will."""
    fault = await find_isolation_fault(api)
    return (
        Finding(Level.ERROR, fault)
        if fault
        else Finding(Level.OK, "isolation is live: the policies act")
    )


def _version_finding(minor: int) -> Finding:
    if minor < OLDEST_MINOR:
        text = f"Kubernetes 1.{minor} is too old: ValidatingAdmissionPolicy needs 1.{OLDEST_MINOR}"
        return Finding(Level.ERROR, text)
    return Finding(Level.OK, f"Kubernetes 1.{minor}")


def _node_findings(nodes: list[Node]) -> list[Finding]:
    if not nodes:
        text = f"no node has the label {GPU_PRESENT}=true; install NVIDIA's GPU feature discovery"
        return [Finding(Level.ERROR, text)]
    products = Counter(n.metadata.labels.get("nvidia.com/gpu.product", "?") for n in nodes)
    findings = [
        Finding(Level.OK, f"{count} nodes of {product}")
        for product, count in sorted(products.items())
    ]
    for node in nodes:
        product = node.metadata.labels.get("nvidia.com/gpu.product", "")
        fault = product_fault(node, (product,), int(node.status.allocatable.get(GPU, "0")))
        if fault is not None:
            findings.append(
                Finding(Level.WARNING, f"node {node.metadata.name} won't be sold: {fault}")
            )
    return findings


def _daemon_set_findings(answer: dict[str, Any]) -> list[Finding]:
    """Say which DaemonSets the pool taint or the policy on other pods would hit."""
    findings = []
    for item in answer.get("items", ()):
        meta, pod = item["metadata"], item["spec"]["template"]["spec"]
        name = f"{meta['namespace']}/{meta['name']}"
        tolerations = pod.get("tolerations") or []
        everything = any(not t.get("key") and t.get("operator") == "Exists" for t in tolerations)
        pool = any(t.get("key") == POOL_TAINT for t in tolerations)
        if everything:
            text = f"DaemonSet {name} tolerates every taint: name its namespace with --system-namespace"
            findings.append(Finding(Level.WARNING, text))
        elif "nvidia" in name and not pool:
            text = f"DaemonSet {name} must tolerate {POOL_TAINT}, or it won't come back after a restart"
            findings.append(Finding(Level.WARNING, text))
    return findings
