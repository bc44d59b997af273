"""Nodes with the labels that NVIDIA's GPU feature discovery really sets, and the traps among them.

Products, counts and memory are those of real hardware (captures and label dumps, docs/decisions/0003).
"""

from dataclasses import dataclass
from typing import Any

Node = dict[str, Any]

KWOK = {"kwok.x-k8s.io/node": "fake"}


@dataclass(frozen=True)
class Hardware:
    """One kind of GPU node."""

    product: str
    gpus: int
    memory_mib: int
    family: str
    machine: str
    arch: str = "amd64"


H100 = Hardware("NVIDIA-H100-80GB-HBM3", 8, 81_559, "hopper", "HGX-H100")
H200 = Hardware("NVIDIA-H200", 8, 143_771, "hopper", "HGX-H200")
B200 = Hardware("NVIDIA-B200", 8, 183_359, "blackwell", "HGX-B200")
GB200 = Hardware("NVIDIA-GB200", 4, 189_471, "blackwell", "GB200-NVL72", arch="arm64")
A100 = Hardware("NVIDIA-A100-SXM4-80GB", 8, 81_920, "ampere", "HGX-A100")
L40S = Hardware("NVIDIA-L40S", 8, 46_068, "ada-lovelace", "L40S-server")
T4 = Hardware("Tesla-T4", 1, 15_360, "turing", "edge-box")


def gpu_node(
    name: str,
    hardware: Hardware = H100,
    *,
    zone: str = "z1",
    region: str = "r1",
    labels: dict[str, str] | None = None,
    allocatable: dict[str, str] | None = None,
    ready: bool = True,
) -> Node:
    """Return a node as the API shows it; kwok makes it Ready on a real plane."""
    resources = {
        "cpu": "192",
        "memory": "2000Gi",
        "pods": "250",
        "nvidia.com/gpu": str(hardware.gpus),
    }
    status = {**resources, **(allocatable or {})}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "annotations": dict(KWOK),
            "labels": {
                **gpu_labels(hardware),
                **place_labels(name, zone, region),
                **(labels or {}),
            },
        },
        "spec": {},
        "status": {
            "allocatable": status,
            "capacity": status,
            "conditions": [
                {"type": "Ready", "status": "True" if ready else "False", "reason": "Test"}
            ],
        },
    }


def gpu_labels(hardware: Hardware) -> dict[str, str]:
    """Return the labels of GPU feature discovery and the GPU operator."""
    return {
        "kubernetes.io/arch": hardware.arch,
        "kubernetes.io/os": "linux",
        "nvidia.com/cuda.driver-version.full": "580.95.05",
        "nvidia.com/gpu.count": str(hardware.gpus),
        "nvidia.com/gpu.deploy.device-plugin": "true",
        "nvidia.com/gpu.family": hardware.family,
        "nvidia.com/gpu.machine": hardware.machine,
        "nvidia.com/gpu.memory": str(hardware.memory_mib),
        "nvidia.com/gpu.mode": "compute",
        "nvidia.com/gpu.present": "true",
        "nvidia.com/gpu.product": hardware.product,
        "nvidia.com/gpu.replicas": "1",
        "nvidia.com/gpu.sharing-strategy": "none",
        "nvidia.com/mig.capable": "true",
        "nvidia.com/mig.strategy": "none",
    }


def place_labels(name: str, zone: str, region: str) -> dict[str, str]:
    """Return the well-known labels of a node's name and place."""
    return {
        "kubernetes.io/hostname": name,
        "topology.kubernetes.io/region": region,
        "topology.kubernetes.io/zone": zone,
    }


def mig_node(name: str) -> Node:
    """Return an H100 node cut into 1g.10gb slices by MIG strategy single: 56 "GPUs" of 9,856 MiB."""
    labels = {
        "nvidia.com/mig.strategy": "single",
        "nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3-MIG-1g.10gb",
        "nvidia.com/gpu.count": "56",
        "nvidia.com/gpu.memory": "9856",
    }
    return gpu_node(name, labels=labels, allocatable={"nvidia.com/gpu": "56"})


def sharing_node(name: str) -> Node:
    """Return a T4 node with time-slicing: one GPU shown four times."""
    labels = {
        "nvidia.com/gpu.replicas": "4",
        "nvidia.com/gpu.sharing-strategy": "time-slicing",
        "nvidia.com/gpu.product": "Tesla-T4-SHARED",
    }
    return gpu_node(name, T4, labels=labels, allocatable={"nvidia.com/gpu": "4"})


def bare_node(name: str) -> Node:
    """Return a node that has GPUs but no labels of GPU feature discovery, save that GPUs are present."""
    node = gpu_node(name)
    kept = place_labels(name, "z1", "r1") | {"nvidia.com/gpu.present": "true"}
    node["metadata"]["labels"] = kept
    return node
