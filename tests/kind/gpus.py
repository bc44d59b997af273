"""GPUs that aren't there: what NVIDIA's device plugin and feature discovery would write of them, on a real node.

The kubelet counts what it is told as any other resource, and forgets it when it starts without a device plugin: so it is told
again after each restart, as the plugin would.
"""

import json
from typing import Any

from tests.builders.nodes import Hardware, gpu_labels
from tests.harness.waiting import wait_for
from tests.kind.clusters import Clusters

GPU = "nvidia.com/gpu"


def fake_gpus(clusters: Clusters, name: str, hardware: Hardware, *, region: str) -> None:
    """Make a cluster's node one with GPUs: labels first, then what it can give."""
    discovered = {k: v for k, v in gpu_labels(hardware).items() if k.startswith("nvidia.com/")}
    place = {"topology.kubernetes.io/region": region, "topology.kubernetes.io/zone": f"{region}a"}
    labels = [f"{key}={value}" for key, value in (discovered | place).items()]
    clusters.kubectl(name, "label", "node", clusters.node(name), "--overwrite", *labels)
    report(clusters, name, hardware.gpus)


def report(clusters: Clusters, name: str, gpus: int) -> None:
    """Report so many GPUs as the device plugin does, and wait until the kubelet offers them to pods."""
    amount = {GPU: str(gpus)}
    status = json.dumps({"status": {"capacity": amount, "allocatable": amount}})
    patch = ("patch", "node", clusters.node(name), "--subresource=status", "--type=merge")
    clusters.kubectl(name, *patch, "-p", status)
    wait_for(f"{gpus} GPUs on {name}", lambda: offered(clusters, name) == gpus)


def offered(clusters: Clusters, name: str) -> int:
    """Return how many GPUs the node of a cluster offers."""
    status: dict[str, Any] = clusters.get(name, "node", clusters.node(name))["status"]
    return min(int(status[part].get(GPU, "0")) for part in ("capacity", "allocatable"))
