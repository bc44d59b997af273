"""Reads all leased clusters side by side, each lease's by its own credential, and tells which leases share one.

A cluster says itself who it is, and a hostile one may say another's name: two that say the same are one only if they show
the same nodes. Whoever doesn't is unknown, and so is the other.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from sublet.api.gpuclaim import GpuClaim
from sublet.api.gpulease import GpuLease
from sublet.api.ids import ClusterUID, LeaseUID
from sublet.fleet.pin import other_pin
from sublet.kube.errors import KubeError
from sublet.verify.clusters import Reading, Source, read_cluster
from sublet.verify.world import ClusterSeen, Leak, NodeKey, Unknown


@dataclass(slots=True)
class FleetSeen:
    """All that came of reading leased clusters."""

    clusters: tuple[ClusterSeen, ...] = ()
    leaks: list[Leak] = field(default_factory=list)
    unknown: list[Unknown] = field(default_factory=list)
    unchecked: dict[str, str] = field(default_factory=dict)


async def read_fleet(
    sources: Mapping[LeaseUID, Source],
    leases: Sequence[GpuLease],
    claims: Sequence[GpuClaim],
    missing: Mapping[LeaseUID, str],
    most: dict[NodeKey, int],
) -> FleetSeen:
    """Read every lease's cluster; what goes wrong with one is unknown and never another's."""
    seen = FleetSeen()
    for lease in leases:
        uid = LeaseUID(lease.metadata.uid)
        if uid not in sources:
            text = missing.get(uid, "its cluster can't be asked: there is no credential")
            seen.unknown.append(Unknown(f"lease {lease.metadata.name}", text))
    asked = [lease for lease in leases if LeaseUID(lease.metadata.uid) in sources]
    readings = await asyncio.gather(
        *(_read(sources[LeaseUID(x.metadata.uid)], x, claims, most) for x in asked)
    )
    together: dict[ClusterUID, list[ClusterSeen]] = {}
    for reading in readings:
        seen.unknown += reading.unknown
        seen.unchecked |= reading.unchecked
        seen.leaks += reading.leaks
        if reading.cluster is not None:
            together.setdefault(reading.cluster.uid, []).append(reading.cluster)
    found = [_joined(each, seen) for each in together.values()]
    seen.clusters = tuple(cluster for cluster in found if cluster is not None)
    return seen


async def _read(
    api: Source, lease: GpuLease, claims: Sequence[GpuClaim], most: dict[NodeKey, int]
) -> Reading:
    uid = await _identity(api, lease)
    if isinstance(uid, Unknown):
        return Reading(unknown=[uid])
    return await read_cluster(api, uid, lease, claims, most)


async def _identity(api: Source, lease: GpuLease) -> ClusterUID | Unknown:
    """Return which cluster a lease's credential leads to; Unknown if it is another than the lease's."""
    subject = f"lease {lease.metadata.name}"
    try:
        found = await api.get("/api/v1/namespaces/kube-system")
    except (KubeError, OSError) as error:
        return Unknown(subject, f"its cluster can't be read: {error}; see sublet doctor")
    meta = found.get("metadata")
    uid = meta.get("uid") if isinstance(meta, dict) else None
    if not isinstance(uid, str):
        return Unknown(
            subject,
            "its credential leads to what doesn't say which cluster it is; see sublet doctor",
        )
    if (pin := other_pin(lease, uid)) is not None:
        text = f"its credential leads to cluster {uid}, not {pin}; see sublet doctor"
        return Unknown(subject, text)
    return ClusterUID(uid)


def _joined(clusters: list[ClusterSeen], seen: FleetSeen) -> ClusterSeen | None:
    """Return the one cluster that several leases lead to, None if they lead to several of one name."""
    first = clusters[0]
    nodes = [{n.uid for n in c.nodes or ()} for c in clusters]
    if any(not (mine & nodes[0]) and (mine or nodes[0]) for mine in nodes):
        names = " and ".join(sorted(c.name for c in clusters))
        text = f"clusters of leases {names} say that they are one, but show other nodes: one of them lies"
        seen.unknown += [Unknown(f"lease {c.name}", text) for c in clusters]
        return None
    return replace(
        first,
        name="+".join(sorted(c.name for c in clusters)),
        lease_uids=frozenset(uid for c in clusters for uid in c.lease_uids),
    )
