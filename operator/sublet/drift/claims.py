"""Who has what, by the hub: claims by lease, holders by node. Made anew for each look, read by it alone."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from sublet.api.claim_status import allocation_of, is_giving_back
from sublet.api.common import is_true
from sublet.api.gpuclaim import GpuClaim
from sublet.api.ids import ClaimUID, ClusterUID, LeaseUID, NodeUID, TenantUID
from sublet.api.move_status import all_nodes
from sublet.api.relocation import PlacedNode
from sublet.binder.namespace import namespace_name
from sublet.binder.sites import LeaseOf, may_be_at
from sublet.book.holdings import holds
from sublet.drift.marks import Holder

_NONE: Final[tuple[tuple[Holder, PlacedNode], ...]] = ()


class Claims:
    """The claims that hold nodes."""

    def __init__(
        self,
        claims: Iterable[GpuClaim],
        awaited: Iterable[GpuClaim] = (),
        lease_of: LeaseOf = lambda _: None,
    ) -> None:
        """`awaited`: restored claims that wait to be adopted; what they have is left to them, and nothing is asked of it."""
        self._lease_of = lease_of
        self._by_lease: dict[LeaseUID, list[GpuClaim]] = defaultdict(list)
        self._place_of: dict[LeaseUID, PlacedNode] = {}
        """lease -> one of the nodes that claims have by it"""
        self._holders: dict[NodeUID, list[tuple[Holder, PlacedNode]]] = defaultdict(list)
        self._homes: set[str] = set()
        for claim in claims:
            if holds(claim):
                self._add(claim)
        for claim in awaited:
            if holds(claim):
                for holder, place in holdings_of(claim):
                    unasked = replace(holder, is_bound=False)
                    self._holders[NodeUID(place.node_uid)].append((unasked, place))
                self._homes |= homes_of(claim)

    def of_lease(self, uid: LeaseUID) -> Sequence[GpuClaim]:
        """Return the claims that stand on a lease."""
        return self._by_lease.get(uid, ())

    def at(self, cluster: ClusterUID) -> Mapping[LeaseUID, frozenset[str]]:
        """Return the UIDs of the claims of each lease that may lead to a cluster, whether or not it can be asked now."""
        return {
            lease: frozenset(c.metadata.uid for c in self._by_lease[lease])
            for lease, place in self._place_of.items()
            if may_be_at(place, cluster, self._lease_of)
        }

    def holders(self, uid: NodeUID, at: ClusterUID) -> Sequence[Holder]:
        """Return the claims that have a node of a cluster, or come to it, or leave it."""
        found = self._holders.get(uid, _NONE)
        return [holder for holder, place in found if may_be_at(place, at, self._lease_of)]

    def has_home(self, name: str) -> bool:
        """Say whether a namespace is one that a claim has, will have or leaves."""
        return name in self._homes

    def _add(self, claim: GpuClaim) -> None:
        for holder, place in holdings_of(claim):
            self._holders[NodeUID(place.node_uid)].append((holder, place))
        places = {LeaseUID(p.lease_uid): p for p in all_nodes(claim)}
        for lease, place in sorted(places.items()):
            self._by_lease[lease].append(claim)
            self._place_of[lease] = place
        self._homes |= homes_of(claim)


def is_steady(claim: GpuClaim) -> bool:
    """Say whether a claim is bound and where it is to be: then all of it must be there, whatever it has left elsewhere."""
    conditions = claim.status.conditions
    return (
        is_bound(claim)
        and not is_giving_back(claim)
        and claim.status.move is None
        and claim.status.access is not None
        and is_true(conditions, "Reserved")
    )


def is_left_from(claim: GpuClaim, home: int) -> bool:
    """Say whether pods may run on nodes that a claim leaves, from its namespace of this number."""
    return any(
        home == (place.home or left.sequence)
        for left in claim.status.leaving
        if left.vacated_time is None and left.freed_time is None
        for place in left.placements
    )


def is_bound(claim: GpuClaim) -> bool:
    """Say whether a claim is bound and stays so."""
    conditions = claim.status.conditions
    leaving = claim.metadata.deletion_timestamp is not None
    return is_true(conditions, "Bound") and not is_true(conditions, "Releasing") and not leaving


def holdings_of(claim: GpuClaim) -> list[tuple[Holder, PlacedNode]]:
    """Return the nodes that a claim may be in the books of, and whether it must be."""
    allocation = allocation_of(claim)
    stays = {p.key for p in allocation.placements} if is_bound(claim) else set()
    return [
        (
            Holder(
                ClaimUID(claim.metadata.uid),
                place.gpus,
                TenantUID(allocation.tenant_uid),
                LeaseUID(place.lease_uid),
                is_bound=place.key in stays,
            ),
            place,
        )
        for place in all_nodes(claim)
    ]


def homes_of(claim: GpuClaim) -> set[str]:
    """Return the names of all namespaces that a claim that holds nodes may have."""
    allocation, move = allocation_of(claim), claim.status.move
    numbers = {allocation.sequence, *(p.home for p in all_nodes(claim) if p.home is not None)}
    if move is not None:
        numbers.add(move.sequence)
    # what is left behind lies in a namespace of its own reservation
    numbers |= {left.sequence for left in claim.status.leaving}
    return {namespace_name(claim.metadata.uid, n) for n in numbers}
