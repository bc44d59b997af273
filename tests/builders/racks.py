"""Leases of racks: GB200 NVL72 trays of 4 GPUs, 18 to an NVLink domain when the rack is whole."""

from dataclasses import replace
from typing import Any

from sublet.api.gpulease import GpuLease
from sublet.api.ids import ClusterUID
from sublet.book.inventory import LeaseInventory
from tests.builders.api import as_lease, lease
from tests.builders.fleet import inventory, nodes

GB200 = "NVIDIA-GB200"
_FABRIC = "6ff4b6d7-3a8c-4f2e-9b1d-5c0e7a9d2f41"


def rack(number: int) -> str:
    """Return the NVLink domain of a rack, as nodes show it."""
    return f"{_FABRIC}.{number}"


def racks(
    name: str,
    *trays: int,
    plain: int = 0,
    first: int = 0,
    cluster: ClusterUID | None = None,
    **spec: Any,
) -> tuple[GpuLease, LeaseInventory]:
    """Return a lease with so many trays in each rack, numbered from `first`, and `plain` ones that show no domain."""
    each = as_lease(lease(name, product=GB200, committed=4_000, **spec))
    found = [
        replace(node, clique=rack(first + number))
        for number, count in enumerate(trays)
        for node in nodes(each, count, gpus=4, prefix=f"{name}-{number}")
    ]
    found += nodes(each, plain, gpus=4, prefix=f"{name}-plain")
    return each, inventory(each, found, cluster_uid=cluster)
