"""The health table: which conditions, taints and labels of a node mean that it can't be sold. Data, not code.

Sources of the names: NVSentinel's node conditions, node-problem-detector, GPU operator's upgrade states
(docs/decisions/0003). A condition that isn't listed says nothing; nothing here ever releases a tenant.
"""

from typing import Final

from sublet.kube.wire import Node

BAD_CONDITIONS: Final = frozenset(
    {
        *(f"Gpu{part}Watch" for part in (
            "Mem", "Thermal", "Pcie", "Power", "Inforom", "Sm", "Nvlink", "Mcu", "Pmu", "Driver", "Cpuset",
        )),
        "SysLogsXIDError", "SysLogsSXIDError", "SysLogsGPUFallenOff",
        "NVSwitchFatalError", "NVSwitchDown", "DCGMError", "CSPMaintenance",
        "KernelDeadlock", "ReadonlyFilesystem", "MemoryPressure", "DiskPressure", "PIDPressure",
    }
)  # fmt: skip
"""Conditions whose True is bad."""

BAD_TAINTS: Final = frozenset(
    {
        "nvidia.com/gpu-xid-error",
        "nvidia.com/gpu-nvlink-error",
        "nvidia.com/gpu-error",
        "node.kubernetes.io/out-of-service",
    }
)
"""Taint keys that a health agent or a person sets on a sick node."""

_UPGRADE_LABEL: Final = "nvidia.com/gpu-driver-upgrade-state"
_NO_UPGRADE: Final = ("", "upgrade-done")


def is_ready(node: Node) -> bool:
    """Say whether the kubelet is Ready."""
    return any(c.type == "Ready" and c.status == "True" for c in node.status.conditions)


def is_unhealthy(node: Node) -> bool:
    """Say whether the table calls the node sick."""
    return any(
        c.type in BAD_CONDITIONS and c.status == "True" for c in node.status.conditions
    ) or any(t.key in BAD_TAINTS for t in node.spec.taints)


def is_upgrading(node: Node) -> bool:
    """Say whether the GPU driver is being upgraded, or the device plugin switched off."""
    labels = node.metadata.labels
    return (
        labels.get(_UPGRADE_LABEL, "") not in _NO_UPGRADE
        or labels.get("nvidia.com/gpu.deploy.device-plugin") == "false"
    )
