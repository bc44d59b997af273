"""Which nodes carry a lease's mark, by a live list of the whole cluster, and which of them it has no claim to any more.

Asked for while a lease ends or after its selector may have changed: the watch shows only what the selector asks for, and that a
node isn't in it says nothing of the node's marks. Read by `sublet.hub.returns`, which hands the nodes back.
"""

from dataclasses import dataclass
from typing import Final

from sublet.api.gpulease import GpuLease
from sublet.api.ids import NodeName
from sublet.binder.identity import confirm
from sublet.binder.nodes import is_bare
from sublet.fleet.cluster import LeasedCluster
from sublet.fleet.nodebook import LEASE_LABEL
from sublet.fleet.selector import is_asked_for
from sublet.kube.paging import items
from sublet.kube.wire import HasMeta, Meta

_MOST_PAGES: Final = 40
"""20,000 nodes; a server whose list has no end is not believed."""


@dataclass(frozen=True, slots=True)
class Marked:
    """What carries a lease's mark; of each node no more is kept than this, whatever a stranger lists."""

    count: int
    to_return: tuple[NodeName, ...]
    """Those to be handed back."""


async def read_marked(cluster: LeasedCluster, lease: GpuLease, *, is_over: bool) -> Marked:
    """Look at all nodes with the lease's label; Unreachable if this is another cluster now."""
    count, names = 0, list[NodeName]()
    of_lease = {"labelSelector": f"{LEASE_LABEL}={cluster.lease_uid}"}
    found = items(
        cluster.api, "/api/v1/nodes", HasMeta, of_lease, most=_MOST_PAGES, metadata_only=True
    )
    async for node in found:
        count += 1
        if wants_return(node.metadata, lease, is_over=is_over):
            names.append(NodeName(node.metadata.name))
    # an empty list is believed only of the cluster that was confirmed
    await confirm(cluster)
    return Marked(count, tuple(names))


def wants_return(meta: Meta, lease: GpuLease, *, is_over: bool) -> bool:
    """Say whether a node with the lease's mark is to be handed back: no claim is on it, and the lease has no use for it.

    While the lease lives that is by the labels of its spec alone: a node without GPU feature discovery's comes back.
    """
    is_ours = meta.labels.get(LEASE_LABEL) == lease.metadata.uid
    return is_ours and is_bare(meta) and (is_over or not is_asked_for(meta.labels, lease))
