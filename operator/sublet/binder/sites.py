"""A claim's placements by leased cluster: one namespace, one token, one kubeconfig context for each."""

from dataclasses import dataclass

from sublet.api.gpuclaim import Allocation, GpuClaim, PlacedNode
from sublet.api.gpulease import GpuLease
from sublet.api.ids import ClaimUID, LeaseUID
from sublet.binder.namespace import Home
from sublet.binder.ports import ClusterSilent, Tools
from sublet.binder.slots import Slots
from sublet.fleet.cluster import LeasedCluster


@dataclass(frozen=True, slots=True)
class Site:
    """One leased cluster's share of a claim."""

    alias: str
    lease: GpuLease
    cluster: LeasedCluster
    slots: Slots
    places: tuple[PlacedNode, ...]
    home: Home


def sites_of(claim: GpuClaim, tools: Tools) -> list[Site]:
    """Return the claim's sites, by alias; ClusterSilent if one can't be written to now."""
    allocation = claim.status.allocation
    if allocation is None:
        return []
    by_cluster: dict[
        str, list[tuple[LeasedCluster, GpuLease, PlacedNode]]
    ] = {}  # cluster UID -> places
    for place in sorted(allocation.placements, key=lambda p: (p.lease, p.node)):
        cluster, lease = (
            tools.cluster(LeaseUID(place.lease_uid)),
            tools.lease(LeaseUID(place.lease_uid)),
        )
        if cluster is None or lease is None:
            raise ClusterSilent(place.lease)
        by_cluster.setdefault(str(cluster.facts.cluster_uid), []).append((cluster, lease, place))
    return [_site(claim, allocation, tools, group) for group in by_cluster.values()]


def _site(
    claim: GpuClaim,
    allocation: Allocation,
    tools: Tools,
    group: list[tuple[LeasedCluster, GpuLease, PlacedNode]],
) -> Site:
    cluster, lease, first = group[0]
    places = tuple(place for _, _, place in group)
    gpus = sum(p.gpus for p in places)
    class_ = tools.class_(claim.spec.class_name)
    is_part = any(_is_part(cluster, p) for p in places)
    return Site(
        alias=first.lease,
        lease=lease,
        cluster=cluster,
        slots=tools.slots(LeaseUID(first.lease_uid)),
        places=places,
        home=Home(
            claim_uid=ClaimUID(claim.metadata.uid),
            sequence=allocation.sequence,
            gpus=gpus,
            access=lease.spec.tenant_access,
            server=cluster.endpoint.server,
            host_share=class_.spec.host_share if class_ is not None and is_part else None,
        ),
    )


def _is_part(cluster: LeasedCluster, place: PlacedNode) -> bool:
    state = next((n for n in cluster.inventory().nodes.values() if n.name == place.node), None)
    return state is not None and place.gpus < state.gpus
