"""A world by the keys that the invariants ask for, and what a claim's status gives it a right to. Pure.

Written apart from the code that it checks (`binder`, `hub`): the names and rules here are those of the design.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Final

from sublet.api.common import is_true
from sublet.api.gpuclaim import GpuClaim
from sublet.api.gpulease import GpuLease
from sublet.api.ids import ClaimUID, LeaseUID, NodeUID
from sublet.api.relocation import PlacedNode, PlaceKey
from sublet.book.inventory import Holding
from sublet.fleet.isolation import PROBE_UID
from sublet.fleet.nodebook import BookError, parse_book
from sublet.ledger.entry import Entry
from sublet.ledger.interval import BrokenLedger, Interval, intervals
from sublet.verify.world import ClusterSeen, NamespaceSeen, NodeKey, NodeSeen, World

Sites = dict[tuple[str, str], int]
"""(cluster UID, claim namespace) -> GPUs of its nodes"""


class Index:
    """One world, ready to be looked things up in."""

    def __init__(self, world: World) -> None:
        self.world: Final = world

    @cached_property
    def claims(self) -> dict[ClaimUID, GpuClaim]:
        """Return the hub's claims: UID -> claim."""
        return {ClaimUID(c.metadata.uid): c for c in self.world.claims}

    @cached_property
    def leases(self) -> dict[LeaseUID, GpuLease]:
        """Return the hub's leases: UID -> lease."""
        return {LeaseUID(x.metadata.uid): x for x in self.world.leases}

    @cached_property
    def clusters(self) -> dict[LeaseUID, ClusterSeen]:
        """Return the clusters that were read: lease -> its cluster."""
        return {uid: c for c in self.world.clusters for uid in c.lease_uids}

    @cached_property
    def nodes(self) -> dict[NodeKey, tuple[ClusterSeen, NodeSeen]]:
        """Return every node that was read: key -> its cluster and itself."""
        return {(c.uid, n.uid): (c, n) for c in self.world.clusters for n in c.nodes or ()}

    @cached_property
    def namespaces(self) -> dict[tuple[str, str], NamespaceSeen]:
        """Return the claim namespaces that were read: (cluster UID, name) -> namespace."""
        found = ((c, n) for c in self.world.clusters for n in c.namespaces or ())
        return {(str(c.uid), n.name): n for c, n in found}

    @cached_property
    def books(self) -> dict[NodeKey, tuple[Holding, ...]]:
        """Return each node's entries; a node whose book can't be parsed is missing."""
        found: dict[NodeKey, tuple[Holding, ...]] = {}
        for key, (_, node) in self.nodes.items():
            try:
                found[key] = parse_book(node.book or "")
            except BookError:
                continue
        return found

    @cached_property
    def entries(self) -> dict[ClaimUID, list[Entry]]:
        """Return the ledger's entries by claim; none if it wasn't read."""
        found: dict[ClaimUID, list[Entry]] = defaultdict(list)
        for entry in self.world.ledger.entries if self.world.ledger is not None else ():
            found[entry.fact.claim_uid].append(entry)
        return found

    @cached_property
    def intervals(self) -> list[Interval]:
        """Return the ledger's intervals; none of one that can't be, which its own proof says."""
        ledger = self.world.ledger
        try:
            return list(intervals(e.fact for e in ledger.entries)) if ledger is not None else []
        except BrokenLedger:
            return []

    def is_known(self, uid: str) -> bool:
        """Say whether the hub has a claim of this UID, also one that couldn't be parsed, or it is the probe's."""
        return uid in self.claims or self._is_unjudged(uid) or uid == PROBE_UID

    def has_lease(self, uid: str) -> bool:
        """Say whether the hub has a lease of this UID, also one that couldn't be parsed."""
        return LeaseUID(uid) in self.leases or self._is_unjudged(uid)

    def _is_unjudged(self, uid: str) -> bool:
        return uid in self.world.hidden or uid in self.world.awaited

    @cached_property
    def left(self) -> set[ClaimUID]:
        """Return claims of which a lease says that something of theirs is still in its cluster, by a person's word."""
        return {ClaimUID(x.claim_uid) for each in self.world.leases for x in each.status.leftovers}

    def unplaced(self, claim: GpuClaim) -> frozenset[str]:
        """Return the namespaces from which nodes of a claim are used whose lease wasn't read: they may be in any cluster."""
        allocation, places = claim.status.allocation, places_of(claim).values()
        return frozenset(
            namespace_name(claim.metadata.uid, place.home or allocation.sequence)
            for place in places
            if allocation is not None and self.key_of(place) is None
        )

    def bound(self) -> Iterator[GpuClaim]:
        """Yield the claims that are Bound and show nodes."""
        return (c for c in self.world.claims if is_bound(c))

    def key_of(self, place: PlacedNode) -> NodeKey | None:
        """Return which node a claim's place is; None if the cluster of its lease wasn't read."""
        cluster = self.clusters.get(LeaseUID(place.lease_uid))
        return (cluster.uid, NodeUID(place.node_uid)) if cluster is not None else None

    def sites(self, claim: GpuClaim, places: Iterable[PlacedNode]) -> Sites:
        """Return the namespaces from which these nodes of a claim are used, in clusters that were read."""
        allocation = claim.status.allocation
        found: Sites = defaultdict(int)
        for place in places:
            cluster = self.clusters.get(LeaseUID(place.lease_uid))
            if cluster is not None and allocation is not None:
                home = place.home or allocation.sequence
                found[str(cluster.uid), namespace_name(claim.metadata.uid, home)] += place.gpus
        return found


def namespace_name(claim_uid: str, sequence: int) -> str:
    """Return what a claim's namespace is called; none is used twice."""
    return f"sublet-{claim_uid}-{sequence}"


def is_bound(claim: GpuClaim) -> bool:
    """Say whether access is handed over and the claim is billed."""
    allocation = claim.status.allocation
    return (
        is_true(claim.status.conditions, "Bound")
        and allocation is not None
        and bool(allocation.placements)
    )


def holds(claim: GpuClaim) -> bool:
    """Say whether a claim may have entries, namespaces and the like: from Reserved to the end of its release."""
    conditions = claim.status.conditions
    return claim.status.allocation is not None and (
        is_true(conditions, "Reserved") or is_true(conditions, "Releasing")
    )


def places_of(claim: GpuClaim) -> dict[PlaceKey, PlacedNode]:
    """Return every node on which a claim may have an entry, by lease and UID: those it has, will have and leaves."""
    status = claim.status
    if not holds(claim) or status.allocation is None:
        return {}
    leaving = [p for x in status.leaving if x.freed_time is None for p in x.placements]
    coming = status.move.placements if status.move is not None else ()
    return {p.key: p for p in (*leaving, *coming, *status.allocation.placements)}


def about(*claims: GpuClaim | str) -> frozenset[ClaimUID]:
    """Return the claims that a violation compares, by UID."""
    return frozenset(ClaimUID(c if isinstance(c, str) else c.metadata.uid) for c in claims)
