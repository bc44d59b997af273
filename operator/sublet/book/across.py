"""What only a look across all leases tells: whose a node is, and how large nodes of a product usually are."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Final

from sublet.api.gpulease import GpuLease
from sublet.api.ids import LeaseUID
from sublet.book.holdings import NodeKey, cluster_of
from sublet.book.inventory import LeaseInventory, Unfit

NEVER_SOLD: Final = frozenset(
    {
        Unfit.NODE_OVERLAP,
        Unfit.WRONG_PRODUCT,
        Unfit.LABELS_MISSING,
        Unfit.MIG,
        Unfit.SHARING,
        Unfit.COUNT_MISMATCH,
        Unfit.GPUS_LOST,
    }
)
"""Nodes that don't show what was leased."""


def disputed_nodes(inventories: Collection[LeaseInventory]) -> set[NodeKey]:
    """Return nodes that stand sellable in more than one inventory of a cluster: nobody can say whose they are."""
    seen: Counter[NodeKey] = Counter()
    for inventory in inventories:
        cluster = cluster_of(inventory)
        seen.update((cluster, n.uid) for n in inventory.nodes.values() if n.unfit is None)
    return {key for key, count in seen.items() if count > 1}


def usual_sizes(
    leases: Iterable[GpuLease], inventories: Mapping[LeaseUID, LeaseInventory]
) -> dict[str, int]:
    """Return GPU product -> GPUs of most of its nodes, over all leases."""
    found: dict[str, Counter[int]] = {}
    for lease in leases:
        inventory = inventories.get(LeaseUID(lease.metadata.uid))
        nodes = inventory.nodes.values() if inventory is not None else ()
        sizes = found.setdefault(lease.spec.product, Counter())
        sizes.update(n.gpus for n in nodes if n.unfit not in NEVER_SOLD and n.gpus > 0)
    return {p: min(c, key=lambda s: (-c[s], s)) for p, c in found.items() if c}
