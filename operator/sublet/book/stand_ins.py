"""Which node stands in for one that failed under a bound claim, as near to the claim's others as can be.

It comes into a lease that may join the claim, into the same namespace where that is in the same cluster: what the claim
asked for as a whole holds of the nodes that it keeps and of this one together.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from sublet.api.gpuclaim import Allocation, GpuClaim
from sublet.api.ids import ClaimUID, LeaseUID, NodeUID
from sublet.api.relocation import MoveCause, PlacedNode
from sublet.api.times import Millis
from sublet.api.topology import Scope, Topology
from sublet.book.beside import Supplies, asked_anew, open_beside
from sublet.book.decisions import Relocate
from sublet.book.demand import Demand, Rules, with_spec
from sublet.book.domains import must_have_domain, would_like_domain
from sublet.book.placement import find_place
from sublet.book.promises import give
from sublet.book.steps import FOREVER
from sublet.book.supply import LeaseSupply


class StandIns:
    """The nodes of one pass that may take the place of failed ones."""

    def __init__(self, rules: Rules, supplies: Supplies, now_ms: Millis) -> None:
        self._rules = rules
        self._supplies = supplies
        self._now_ms = now_ms

    def find(
        self, claim: GpuClaim, allocation: Allocation, failed: Sequence[PlacedNode]
    ) -> Relocate | None:
        """Return other nodes for failed ones: all of them, else one, as near to the others as can be."""
        offer = self._rules.offer(claim.spec.class_name)
        if offer is None:
            return None
        alike = [p for p in failed if p.gpus == failed[0].gpus]
        if _is_spread(claim, allocation):
            alike = [p for p in alike if self._stands_in(p) == self._stands_in(failed[0])]
        for lost in (alike, alike[:1]) if len(alike) > 1 else (alike,):
            gone = {p.key for p in lost}
            kept = [p for p in allocation.placements if p.key not in gone]
            found = asked_anew(claim, allocation, offer, FOREVER, self._rules, self._now_ms)
            if found is None:
                return None
            asks = _asks_for(lost, found, alone=not kept)
            for supplies, domain in self._nearest(found, asks, allocation, kept, lost[0]):
                places = self._in_place_of(lost, asks, supplies, domain)
                if places:
                    return Relocate(
                        claim_uid=ClaimUID(claim.metadata.uid),
                        sequence=claim.status.next_sequence,
                        cause=MoveCause.NODE_FAILED,
                        decided_ms=self._now_ms,
                        cutover_ms=None,
                        until_ms=allocation.until_time,
                        until_cause=allocation.until_cause,
                        placements=(*kept, *places),
                    )
        return None

    def _in_place_of(
        self,
        lost: Sequence[PlacedNode],
        demand: Demand,
        supplies: Sequence[LeaseSupply],
        domain: str | None,
    ) -> tuple[PlacedNode, ...]:
        """Take nodes for lost ones, whose GPUs count no more against their lease's commitment; () if there are none.

        On its own lease the claim is in and stays through maintenance: it takes no more GPUs there than it gives up.
        """
        until = demand.until_on(FOREVER)
        own = [(s, p.gpus) for s in supplies for p in lost if p.lease_uid == s.uid]
        stays = [s for s, _ in own[:1]] if len({p.lease_uid for p in lost}) == 1 else []
        for supply, gpus in own:
            supply.lend(gpus, until)
        for supply in stays:
            supply.close_windows(-1)
        found = find_place(demand, supplies, domain)
        for supply in stays:
            supply.close_windows()
        if found is None:
            for supply, gpus in own:
                supply.lend(-gpus, until)
            return ()
        give(demand, found, until)
        return tuple(place.as_placement() for place in found.places)

    def _nearest(
        self,
        found: Demand,
        asks: Demand,
        allocation: Allocation,
        kept: Sequence[PlacedNode],
        lost: PlacedNode,
    ) -> Iterator[tuple[list[LeaseSupply], str | None]]:
        """Yield the leases to look on, and in which NVLink domain: the node's own, its cluster's, then any that may join.

        A claim that is spread gets as many nodes of each landlord and in each cluster as it had.
        """
        until = asks.until_on(FOREVER)
        own = self._supplies.get(LeaseUID(lost.lease_uid))
        lasting = [s for s in open_beside(asks, allocation, self._supplies) if s.ends_ms >= until]
        stays = own is not None and own.runs_until(until) and not own.has_unread
        steps = [[own]] if own is not None and stays else []
        steps.append([s for s in lasting if own is not None and s.cluster == own.cluster])
        if _is_spread(found.claim, allocation):
            place = self._stands_in(lost)
            steps = [[s for s in each if _where(s) == place] for each in steps]
        elif _may_leave_cluster(found, alone=not kept):
            steps.append(lasting)
        must = bool(kept) and must_have_domain(found)
        cluster, domain = self._domain_of(kept)
        if domain and (must or would_like_domain(found)):
            yield from (([s for s in near if s.cluster == cluster], domain) for near in steps)
        if not must:
            yield from ((near, None) for near in steps)

    def _stands_in(self, place: PlacedNode) -> tuple[str, str] | None:
        """Return whose lease a node is on, and in which cluster; None if the lease is gone."""
        supply = self._supplies.get(LeaseUID(place.lease_uid))
        return _where(supply) if supply is not None else None

    def _domain_of(self, places: Iterable[PlacedNode]) -> tuple[str, str]:
        """Return the cluster and the NVLink domain that nodes are in; empty if it isn't one that all of them show."""
        found: set[tuple[str, str]] = set()
        for place in places:
            supply = self._supplies.get(LeaseUID(place.lease_uid))
            pool = supply.pools.by_node.get(NodeUID(place.node_uid)) if supply is not None else None
            if supply is not None and pool is not None:
                found.add((supply.cluster, pool.domain))
        return found.pop() if len(found) == 1 else ("", "")


def _asks_for(lost: Sequence[PlacedNode], found: Demand, *, alone: bool) -> Demand:
    """Return the demand for nodes in place of lost ones; `alone`: the claim keeps no others.

    Beside others, where they may be follows from those; only alone they must be close together for themselves.
    """
    spec = found.claim.spec
    allocation = found.claim.status.allocation
    asks = with_spec(
        found.claim,
        gpus=sum(p.gpus for p in lost),
        gpus_per_node=lost[0].gpus,
        min_gpus=None,
        topology=spec.topology
        if alone and spec.topology.scope is Scope.NVLINK_DOMAIN
        else Topology(),
        placement=spec.placement.model_copy(
            update={"max_share_per_provider_percent": 100, "min_clusters": 1}
        ),
    )
    until = allocation.until_time if allocation is not None else None
    return replace(
        found, claim=asks, asked_until_ms=until, in_domain=alone and found.in_domain, is_alone=alone
    )


def _may_leave_cluster(found: Demand, *, alone: bool) -> bool:
    topology = found.claim.spec.topology
    if must_have_domain(found):
        return alone
    return topology.scope is not Scope.CLUSTER or not topology.required


def _is_spread(claim: GpuClaim, allocation: Allocation) -> bool:
    return claim.spec.placement.is_spread and len(allocation.placements) > 1


def _where(supply: LeaseSupply) -> tuple[str, str]:
    return (supply.lease.spec.provider, supply.cluster)
