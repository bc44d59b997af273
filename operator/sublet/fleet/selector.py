"""Which nodes of a cluster a lease asks for: GPU nodes by NVIDIA's label that have the labels of its spec. Pure.

The label comes and goes with GPU feature discovery, so a node without it isn't shown by the watch but is still the lease's;
one that the spec doesn't ask for any more isn't.
"""

from collections.abc import Mapping
from typing import Final

from sublet.api.gpulease import GpuLease

GPU_PRESENT: Final = "nvidia.com/gpu.present"


def selector_of(lease: GpuLease) -> Mapping[str, str]:
    """Return the labels of the nodes that are followed."""
    return {GPU_PRESENT: "true", **lease.spec.node_selector}


def is_followed(labels: Mapping[str, str], lease: GpuLease) -> bool:
    """Say whether the watch shows a node with these labels."""
    return selector_of(lease).items() <= labels.items()


def is_asked_for(labels: Mapping[str, str], lease: GpuLease) -> bool:
    """Say whether the lease's spec asks for a node with these labels, be it followed just now or not."""
    return lease.spec.node_selector.items() <= labels.items()
