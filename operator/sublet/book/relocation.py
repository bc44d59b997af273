"""Which bound claims come to other nodes: those whose lease ends before they do, and those whose node failed.

Make before break: the other nodes are taken out of what is free now, the old ones stay held until the cutover and their
release. A claim that finds no other nodes keeps what it has and is asked about again in every pass. Nodes that fail
together are a broken link, a driver or a power feed, not so many single faults: then nothing is done by itself
(30-binding, rules that never bend).
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from sublet.api.common import find_condition, is_true
from sublet.api.gpuclaim import Allocation, GpuClaim, Replacement
from sublet.api.gpuclass import GpuClass
from sublet.api.ids import ClaimUID, LeaseUID, NodeName, NodeUID
from sublet.api.relocation import MOST_LEAVING, MOVED_FROM, Move, MoveCause, PlacedNode
from sublet.api.times import MS_PER_SECOND, Millis
from sublet.api.topology import Scope, Topology
from sublet.book.decisions import CutOver, Decision, Degrade, Notice, Relocate
from sublet.book.demand import Demand, Rules, with_spec
from sublet.book.domains import must_have_domain, would_like_domain
from sublet.book.expiry import End, Grants, granted_end, own_end_ms, promised_end
from sublet.book.failures import NODE_FAILED, REPLACE_AFTER_MS, Failures, failed_since
from sublet.book.inventory import LeaseInventory
from sublet.book.placement import Candidate, end_of, find_place
from sublet.book.promises import give
from sublet.book.spread import may_join
from sublet.book.standing import Standing, Standings
from sublet.book.steps import FOREVER
from sublet.book.stops import find_place_before
from sublet.book.supply import LeaseSupply
from sublet.book.told import cutover_at

Supplies = Mapping[LeaseUID, LeaseSupply]
_ROOMLESS: Final = "no other node is free for it now; one is looked for as long as it is needed"


class Relocations:
    """The claims of one pass that come to other nodes."""

    def __init__(
        self,
        holders: Sequence[GpuClaim],
        rules: Rules,
        supplies: Supplies,
        now_ms: Millis,
        grants: Grants,
    ) -> None:
        """Look at bound claims; `grants` says how far a later end may go."""
        self._holders = holders
        self._grants = grants
        self._rules = rules
        self._supplies = supplies
        self._now_ms = now_ms
        self._failures = Failures(holders, supplies, now_ms)
        self.unseen = self._failures.unseen
        """Nodes that claims hold and that their clusters don't list; whether they are gone must be asked."""

    def decide(self, decided: Collection[ClaimUID]) -> Iterator[Decision]:
        """Yield cutovers that are due, moves that begin, and what claims with failed nodes are told."""
        for claim in self._holders:
            allocation = claim.status.allocation
            if claim.metadata.uid in decided or allocation is None or not _stays(claim):
                continue
            found: Decision | None
            if claim.status.move is not None:
                found = self._cut_over(claim, allocation, claim.status.move)
            else:
                found = self._replace(claim, allocation) or self._succeed(claim, allocation)
            if found is not None:
                yield found

    def concern(self, claim: GpuClaim, now_ms: Millis) -> bool:
        """Say whether something may be decided for a bound claim: its time to move has come, or nodes of it failed."""
        allocation, move = claim.status.allocation, claim.status.move
        if allocation is None or not is_true(claim.status.conditions, "Bound"):
            return False
        if move is not None and move.ready_time is not None:
            return True
        if failed_since(claim) is not None or self._failures.of(allocation):
            return True
        offer, until = self._rules.offer(claim.spec.class_name), allocation.until_time
        if offer is None or until is None or allocation.until_cause not in MOVED_FROM:
            return False
        return moves_from(until, offer) <= now_ms

    def _cut_over(
        self, claim: GpuClaim, allocation: Allocation, move: Move
    ) -> CutOver | Notice | None:
        if move.ready_time is None or move.abandoned:
            return None
        if any(LeaseUID(p.lease_uid) not in self._supplies for p in move.placements):
            return None  # it leads to a lease that is lost
        at_ms = self._now_ms
        if move.cutover_time is not None:
            # a lease that was cut short meanwhile takes its nodes sooner
            ends = (s.ends_ms for s in self._leases(allocation))
            at_ms = min([move.cutover_time, *ends])
            if move.ready_time <= self._now_ms:  # else a clock that was ahead said so: it is ready
                at_ms = max(at_ms, move.ready_time)
        return cutover_at(claim, move, at_ms) if at_ms <= self._now_ms else None

    def _succeed(self, claim: GpuClaim, allocation: Allocation) -> Relocate | None:
        """Find nodes on leases that last longer for a claim whose lease ends, the longest first."""
        offer = self._rules.offer(claim.spec.class_name)
        until = allocation.until_time
        if offer is None or until is None or allocation.until_cause not in MOVED_FROM:
            return None
        if len(claim.status.leaving) >= MOST_LEAVING:
            return None
        if not moves_from(until, offer) <= self._now_ms < until:
            return None
        own = own_end_ms(claim, allocation, offer)
        for each in (offer, *self._successors(offer)):
            demand = self._demand(claim, allocation, each, own)
            if demand is None:
                return None
            lasting = [s for s in self._open(demand, allocation) if s.ends_ms > until]
            for end in sorted({min(own, s.ends_ms) for s in lasting}, reverse=True):
                last = [s for s in lasting if s.ends_ms >= end]
                found = find_place_before(demand, last, until)
                if found is not None:
                    asks = replace(demand, stops_ms=found.stops_ms)
                    return self._relocate(claim, allocation, asks, found)
        return None

    def _relocate(
        self, claim: GpuClaim, allocation: Allocation, demand: Demand, found: Candidate
    ) -> Relocate | None:
        """Take the place, as far as there are means for it; None if that isn't further than its end now."""
        until, cause = end_of(demand, found.supplies)
        end = End(until if until is not None else FOREVER, cause)
        end = granted_end(claim, allocation, end, self._grants)
        if end.at_ms <= promised_end(allocation).at_ms:
            return None
        give(demand, found, end.at_ms)
        return Relocate(
            claim_uid=ClaimUID(claim.metadata.uid),
            sequence=claim.status.next_sequence,
            cause=MoveCause.LEASE_ENDS,
            decided_ms=self._now_ms,
            cutover_ms=allocation.until_time,
            until_ms=end.at_ms if end.at_ms < FOREVER else None,
            until_cause=end.cause,
            placements=tuple(place.as_placement() for place in found.places),
        )

    def _replace(self, claim: GpuClaim, allocation: Allocation) -> Decision | None:
        """Find another node for one that failed, or say what is done about it."""
        uid = ClaimUID(claim.metadata.uid)
        failed = self._failures.of(allocation)
        said = find_condition(claim.status.conditions, "Degraded")
        since = failed_since(claim)
        if not failed:
            known_well = since is not None and not self._failures.unseen_of(allocation)
            return Degrade(uid, NODE_FAILED, "") if known_well else None
        what = self._failures.described(failed)
        if claim.spec.replacement is Replacement.NEVER:
            then = "set replacement: OnFailure to get another, or make a new claim"
        elif self._failures.is_mass(failed):
            then = (
                "many nodes of the lease failed at once, so nothing is replaced by itself; "
                "the platform team looks into it"
            )
        elif len(claim.status.leaving) >= MOST_LEAVING:
            then = (
                "too many nodes that it left before are still held; the platform team looks into it"
            )
        elif not (lasting := self._failures.lasting(failed, since)):
            then = f"it is replaced if it stays so for {REPLACE_AFTER_MS // 60_000} minutes"
        elif (found := self._another(claim, allocation, lasting)) is not None:
            return found
        else:
            then = _ROOMLESS
        message = f"{what}: {then}"
        known = said is not None and self._failures.is_told(since) and said.message == message
        return None if known else Degrade(uid, NODE_FAILED, message)

    def _another(
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
            found = self._demand(claim, allocation, offer, FOREVER)
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
        lasting = [s for s in self._open(asks, allocation) if s.ends_ms >= until]
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

    def _open(self, demand: Demand, allocation: Allocation) -> list[LeaseSupply]:
        """Return the leases that serve a demand and that may join those of an allocation."""
        mine = self._leases(allocation)
        found = Standings(demand, self._supplies.values()).of(Standing.OPEN)
        return [s for s in found if all(s is m or may_join(s, m) for m in mine)]

    def _leases(self, allocation: Allocation) -> list[LeaseSupply]:
        uids = sorted(allocation.lease_uids)
        return [self._supplies[LeaseUID(u)] for u in uids if LeaseUID(u) in self._supplies]

    def _successors(self, offer: GpuClass) -> Iterator[GpuClass]:
        found = (self._rules.offer(name) for name in offer.spec.successors)
        return (x for x in found if x is not None and x.metadata.deletion_timestamp is None)

    def _demand(
        self,
        claim: GpuClaim,
        allocation: Allocation,
        offer: GpuClass,
        own_ms: Millis,
    ) -> Demand | None:
        """Return what a bound claim asks for from now on, on the terms it has; None if its tenant is gone."""
        found = self._rules.promised(claim, allocation)
        if found is None:
            return None
        return replace(
            found,
            products=frozenset(offer.spec.products),
            begin_ms=self._now_ms,
            start_ms=self._now_ms,
            asked_until_ms=None,
            latest_ms=own_ms,
            is_ahead=False,
            memory_mib=offer.spec.requires.memory_mi_b or 0,
            in_domain=offer.spec.requires.nvlink_domain,
        )


def moves_from(until_ms: Millis, offer: GpuClass) -> Millis:
    """Return from when a claim that its lease ends then is given other nodes; its end itself if it never is."""
    return Millis(until_ms - offer.spec.move_lead_seconds * MS_PER_SECOND)


def relocation_dues(
    claim: GpuClaim,
    allocation: Allocation,
    offer: Callable[[str], GpuClass | None],
    inventories: Mapping[LeaseUID, LeaseInventory],
) -> Iterator[Millis]:
    """Yield the instants at which something is decided here for a claim that wasn't before."""
    move = claim.status.move
    if move is not None and move.cutover_time is not None:
        yield move.cutover_time
    if allocation.until_cause in MOVED_FROM:
        each = offer(claim.spec.class_name)
        if each is not None and allocation.until_time is not None:
            yield moves_from(allocation.until_time, each)
    if (since := failed_since(claim)) is not None:
        yield Millis(since + REPLACE_AFTER_MS)
        for place in allocation.placements:
            found = inventories.get(LeaseUID(place.lease_uid))
            node = found.nodes.get(NodeName(place.node)) if found is not None else None
            if node is not None and node.sick_since_ms is not None:
                yield Millis(node.sick_since_ms + REPLACE_AFTER_MS)


def _stays(claim: GpuClaim) -> bool:
    """Say whether a claim has its nodes and nothing else is asked of it."""
    conditions = claim.status.conditions
    return (
        is_true(conditions, "Bound")
        and not is_true(conditions, "Releasing")
        and claim.metadata.deletion_timestamp is None
        and not claim.spec.suspended
    )


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
