"""A claim's nodes by leased cluster and namespace: one token and one kubeconfig context for each."""

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final

from sublet.api.claim_status import allocation_of
from sublet.api.gpuclaim import GpuClaim
from sublet.api.gpuclass import HostShare
from sublet.api.gpulease import GpuLease, NodeSharing
from sublet.api.ids import ClaimUID, ClusterUID, LeaseUID, NodeName, NodeUID
from sublet.api.move_status import open_nodes
from sublet.api.relocation import PlacedNode
from sublet.api.wording import raised_at
from sublet.binder.namespace import Home, common_access
from sublet.binder.ports import ClusterRefuses, ClusterSilent, LostRace, Tools
from sublet.binder.slots import Slots, Urgency
from sublet.fleet.cluster import LeasedCluster
from sublet.fleet.nodebook import GPU, LEASE_LABEL
from sublet.fleet.trouble import words_of
from sublet.kube.errors import (
    ApiError,
    BadAnswer,
    Forbidden,
    ServerError,
    TooManyRequests,
    Unauthorized,
    Unreachable,
)
from sublet.logs import log_about

LeaseOf = Callable[[LeaseUID], GpuLease | None]

_OTHER_SHAPE: Final = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What reading an answer may raise that is JSON, and not what the API promises."""


@dataclass(frozen=True, slots=True)
class Berth:
    """One node of a claim, with the lease that it belongs to and that lease's own connection."""

    place: PlacedNode
    lease: GpuLease
    cluster: LeasedCluster


@dataclass(frozen=True, slots=True)
class Site:
    """One namespace of a claim; two leases in one cluster share a site."""

    alias: str
    cluster: LeasedCluster
    slots: Slots
    berths: tuple[Berth, ...]
    home: Home
    unseen: str | None = None
    """A node of it that isn't seen, so that nobody knows whether what comes with its GPUs is limited."""
    silent_beside: str | None = None
    """A lease that can't be written to now and may have nodes in the same namespace, so that the home isn't all of it."""

    def see_whole(self) -> None:
        """Raise ClusterSilent while the home can't be told: its quota might have no limits, or be that of some nodes alone."""
        if self.silent_beside is not None:
            raise ClusterSilent(self.silent_beside)
        if self.unseen is not None:
            raise ClusterSilent(self.alias, f"the claim's node {self.unseen} isn't seen there now")

    def only(self, wanted: Callable[[Berth], bool]) -> "Site":
        """Return the site with some of its nodes; its namespace is the same."""
        return replace(self, berths=tuple(b for b in self.berths if wanted(b)))

    @asynccontextmanager
    async def asking(self, urgency: Urgency) -> AsyncIterator[None]:
        """Hold a slot for requests to this cluster; what goes wrong with them is said of the cluster."""
        async with self.slots.take(urgency):
            try:
                yield
            except BadAnswer as error:
                raise ClusterRefuses(self.alias, words_of(error)) from error
            except (Unreachable, ServerError, TooManyRequests, Unauthorized) as error:
                if isinstance(error, Unauthorized):
                    self.cluster.doubt()
                raise ClusterSilent(self.alias) from error
            except ApiError as error:
                if isinstance(error, Forbidden):
                    self.cluster.doubt()
                raise ClusterRefuses(self.alias, error.message) from error
            except _OTHER_SHAPE as error:
                log = log_about(claim_uid=self.home.claim_uid, lease=self.cluster.lease)
                log.warning("an answer of another shape", error=raised_at(error))
                raise ClusterRefuses(self.alias, words_of(BadAnswer())) from error

    @asynccontextmanager
    async def changing(self, berth: Berth, urgency: Urgency) -> AsyncIterator[None]:
        """Ask while no other claim of this process changes the node's book."""
        async with berth.cluster.node_turns.of(berth.place.node), self.asking(urgency):
            yield


def sites_of(claim: GpuClaim, tools: Tools, places: Iterable[PlacedNode]) -> list[Site]:
    """Return the sites of these nodes of a claim, by alias; ClusterSilent if one can't be written to now."""
    sites, silent = reachable_sites(claim, tools, places)
    if silent:
        raise ClusterSilent(silent[0])
    return sites


def refuse_lost(tools: Tools, places: Iterable[PlacedNode]) -> None:
    """Raise LostRace if one of these nodes is on a lease whose cluster counts as lost: nobody can have it."""
    for place in places:
        lease = tools.lease(LeaseUID(place.lease_uid))
        if lease is not None and lease.is_lost:
            raise LostRace(f"the cluster of {place.lease} is lost")


def reachable_sites(
    claim: GpuClaim, tools: Tools, places: Iterable[PlacedNode], *, leaving: bool = False
) -> tuple[list[Site], list[str]]:
    """Return the sites of these nodes that can be written to, and the aliases of leases that can't; lost ones are neither.

    `leaving`: the nodes are to be left, and of a lease that is gone from the hub its successor serves.
    """
    sequence = allocation_of(claim).sequence
    by_home: dict[tuple[str, int], list[Berth]] = {}  # (cluster UID, reservation) -> nodes
    away: list[PlacedNode] = []
    places = sorted(places, key=lambda p: (p.lease, p.node))
    successors = successors_of(places, tools) if leaving else {}
    for place in places:
        uid = LeaseUID(place.lease_uid)
        cluster, lease = successors.get(uid, (tools.cluster(uid), tools.lease(uid)))
        if lease is not None and lease.is_lost:
            continue  # nobody waits for it; what is left there is cleaned if it comes back
        if cluster is None or lease is None:
            away.append(place)
        else:
            key = (str(cluster.facts.cluster_uid), place.home or sequence)
            by_home.setdefault(key, []).append(Berth(place, lease, cluster))
    sites = [_site(claim, home, tools, berths) for (_, home), berths in by_home.items()]
    sites = [replace(s, silent_beside=silent_in(s, claim, tools, away)) for s in sites]
    return sites, [place.lease for place in away]


def silent_in(
    site: Site, claim: GpuClaim, tools: Tools, places: Iterable[PlacedNode]
) -> str | None:
    """Return a lease that can't be written to now and may have one of these nodes in the site's namespace, None without."""
    sequence, at = allocation_of(claim).sequence, site.cluster.facts.cluster_uid
    for place in places:
        uid = LeaseUID(place.lease_uid)
        cluster, lease = tools.cluster(uid), tools.lease(uid)
        is_silent = lease is None or (cluster is None and not lease.is_lost)
        is_in = (place.home or sequence) == site.home.sequence
        if is_silent and is_in and (at is None or may_be_at(place, at, tools.lease)):
            return place.lease
    return None


def may_be_at(place: PlacedNode, at: ClusterUID, lease_of: LeaseOf) -> bool:
    """Say whether a node of a claim may be this cluster's: not if its lease is known to lead to another.

    A landlord can show the UIDs of another's nodes; what isn't known is held against nobody.
    """
    return may_lead_to(lease_of(LeaseUID(place.lease_uid)), at)


def may_lead_to(lease: GpuLease | None, at: ClusterUID) -> bool:
    """Say whether a lease may lead to a cluster: not if it is known to lead to another."""
    pins = {lease.spec.cluster_ref.cluster_uid, lease.status.cluster_uid} if lease else set()
    return at in pins or pins <= {None}


def successors_of(
    places: Collection[PlacedNode], tools: Tools
) -> Mapping[LeaseUID, tuple[LeasedCluster, GpuLease]]:
    """Return, of leases that are gone from the hub, the lease that was made again in the place of each: old UID -> it.

    It has the old one's alias, which only the platform team gives, and its cluster shows one of the very nodes by UID,
    under the old lease's mark: so it leads to the same cluster. Whatever is done through it is looked at live.
    """
    found: dict[LeaseUID, tuple[LeasedCluster, GpuLease]] = {}
    gone = [p for p in places if tools.lease(LeaseUID(p.lease_uid)) is None]
    for lease in tools.leases() if gone else ():
        cluster = tools.cluster(LeaseUID(lease.metadata.uid))
        if cluster is None or lease.is_lost:
            continue
        for place in gone:
            if place.lease == lease.spec.tenant_alias and _shows(cluster, place):
                found[LeaseUID(place.lease_uid)] = cluster, lease
    return found


def _shows(cluster: LeasedCluster, place: PlacedNode) -> bool:
    """Say whether a cluster has this very node, as its lease marked it."""
    node = cluster.node(NodeName(place.node))
    return (
        node is not None
        and node.metadata.uid == place.node_uid
        and node.metadata.labels.get(LEASE_LABEL) == place.lease_uid
    )


def _site(claim: GpuClaim, sequence: int, tools: Tools, berths: list[Berth]) -> Site:
    first, share = berths[0], _share_of(claim, tools)
    # a namespace that the claim keeps is for what it has and for an open move alone; of others nothing but the name matters
    opened = {p.key for p in open_nodes(claim)}
    used = [b for b in berths if b.place.key in opened] or berths
    is_part = any(_is_part(b) for b in used)
    told = (b for b in used if share is not None or _is_for_any(b))
    unseen = (b.place.node for b in told if not _is_seen(b) and not _is_gone(b))
    return Site(
        alias=first.place.lease,
        cluster=first.cluster,
        slots=tools.slots(LeaseUID(first.place.lease_uid)),
        berths=tuple(berths),
        home=Home(
            claim_uid=ClaimUID(claim.metadata.uid),
            sequence=sequence,
            gpus=_gpus_at_once(claim, used),
            access=common_access([b.lease.spec.tenant_access for b in used]),
            server=first.cluster.tenant_endpoint.server,
            host_share=share if is_part else None,
            is_beside_others=any(_is_part(b) and _is_for_any(b) for b in used),
        ),
        unseen=next(unseen, None),
    )


def _gpus_at_once(claim: GpuClaim, used: Iterable[Berth]) -> int:
    """Return how many GPUs the namespace's pods may have: while the claim moves, those of old and new nodes if all are whole.

    A quota names no node: with one for both, all that is to be on two nodes could run on one, of which the claim has a part.
    """
    had = {p.key for p in allocation_of(claim).placements}
    old = [b for b in used if b.place.key in had]
    new = [b for b in used if b.place.key not in had]
    if old and new and not all(_is_whole(b) or _is_gone(b) for b in (*old, *new)):
        return sum(b.place.gpus for b in old)
    return sum(b.place.gpus for b in (*old, *new))


def _share_of(claim: GpuClaim, tools: Tools) -> HostShare | None:
    """Return the CPU and memory of each GPU as agreed; of a reservation that doesn't note it, as its class says now.

    Older versions, CRDs and backups note nothing: a limit too many is the safe side.
    """
    held, class_ = allocation_of(claim), tools.class_(claim.spec.class_name)
    if held.says_host_share or class_ is None:
        return held.host_share
    return class_.spec.host_share


def is_share_known(claim: GpuClaim, site: Site, tools: Tools) -> bool:
    """Say whether the home's `host_share` is what it should be: unknown while a node isn't seen, or shows no GPUs.

    Also where the class is gone and the reservation doesn't say itself what comes with a GPU.
    """
    held, share = allocation_of(claim), _share_of(claim, tools)
    unseen = [b for b in site.berths if not _is_seen(b)]
    is_said = held.says_host_share or tools.class_(claim.spec.class_name) is not None
    if is_said and share is None:
        return not any(_is_for_any(b) for b in unseen)
    return not unseen and (is_said or not any(_is_part(b) for b in site.berths))


def _is_part(berth: Berth) -> bool:
    """Say whether the claim has some of a node's GPUs only, by what the node was last seen with."""
    return berth.place.gpus < _shown(berth)


def _is_whole(berth: Berth) -> bool:
    """Say whether the claim has all GPUs of a node that is seen."""
    return 0 < _shown(berth) <= berth.place.gpus


def _is_for_any(berth: Berth) -> bool:
    return berth.lease.spec.node_sharing is NodeSharing.ANY_TENANT


def _is_seen(berth: Berth) -> bool:
    return _shown(berth) >= berth.place.gpus


def _is_gone(berth: Berth) -> bool:
    """Say whether the node isn't there any more, by a live look: no pod can be on it, so it limits nothing."""
    return NodeUID(berth.place.node_uid) in berth.cluster.inventory().gone


def _shown(berth: Berth) -> int:
    """Return the GPUs that the claim's node was last seen with, 0 if it wasn't."""
    node = berth.cluster.node(NodeName(berth.place.node))
    if node is None:
        return 0
    shown = (node.status.allocatable.get(GPU), node.metadata.labels.get(f"{GPU}.count"))
    return max((int(n) for n in shown if n and n.isdecimal()), default=0)
