"""Which bound claims come to other nodes: those whose lease ends before they do, and those whose node failed.

Make before break: the other nodes are taken out of what is free now, the old ones stay held until the cutover and their
release. A claim that finds no other nodes keeps what it has and is asked about again in every pass. A move that can't
bring what the claim needs gives its place to another, in one decision, or goes on. Nodes that fail together are a broken
link, a driver or a power feed, not so many single faults: then nothing is done by itself (30-binding, rules that never bend).
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from sublet.api.common import find_condition, is_true
from sublet.api.gpuclaim import Allocation, GpuClaim, Replacement
from sublet.api.gpuclass import GpuClass
from sublet.api.ids import ClaimUID, LeaseUID, NodeName
from sublet.api.move_status import at_hand, fresh_nodes, usable_nodes
from sublet.api.relocation import MOST_LEAVING, MOVED_FROM, Move, MoveCause, PlacedNode
from sublet.api.times import MS_PER_SECOND, Millis
from sublet.book.beside import Supplies, asked_anew, leases_of, open_beside
from sublet.book.decisions import CutOver, Decision, Degrade, Notice, Relocate
from sublet.book.demand import Demand, Rules
from sublet.book.expiry import End, Grants, granted_end, own_end_ms, promised_end
from sublet.book.failures import NODE_FAILED, REPLACE_AFTER_MS, Failures, failed_since
from sublet.book.inventory import LeaseInventory
from sublet.book.placement import Candidate, end_of
from sublet.book.promises import give
from sublet.book.stand_ins import StandIns
from sublet.book.steps import FOREVER
from sublet.book.stops import find_place_before
from sublet.book.told import cutover_at

_LAST_MS: Final = 3_600_000
"""So long before its lease ends a claim keeps a move that waits: it is what it goes on by."""
_COMES: Final = "the claim is to come to it"
_ON_THE_WAY: Final = "the claim is on its way to other nodes"
_UNDONE: Final = "the other nodes that it was to have are given back first"
_TOGETHER: Final = "many nodes of the lease failed at once, so nothing is replaced by itself; the platform team looks into it"
_CROWDED: Final = (
    "too many nodes that it left before are still held; the platform team looks into it"
)
_PASSING: Final = f"it is replaced if it stays so for {REPLACE_AFTER_MS // 60_000} minutes"
_ROOMLESS: Final = "no other node is free for it now; one is looked for as long as it is needed"
_NOT_NOW: Final = "no other is looked for now"


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
        self._stand_ins = StandIns(rules, supplies, now_ms)
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
                found = found or self._mend(claim, allocation)
            else:
                found = self._mend(claim, allocation) or self._succeed(claim, allocation)
            if found is not None:
                yield found

    def concern(self, claim: GpuClaim, now_ms: Millis) -> bool:
        """Say whether something may be decided for a bound claim: its time to move has come, or nodes of it failed."""
        allocation, move = claim.status.allocation, claim.status.move
        if allocation is None or not is_true(claim.status.conditions, "Bound"):
            return False
        if move is not None and move.ready_time is not None:
            return True
        if failed_since(claim) is not None or self._failures.of(claim):
            return True
        offer, until = self._rules.offer(claim.spec.class_name), allocation.until_time
        if offer is None or until is None or allocation.until_cause not in MOVED_FROM:
            return False
        return moves_from(until, offer) <= now_ms

    def _cut_over(
        self, claim: GpuClaim, allocation: Allocation, move: Move
    ) -> CutOver | Notice | None:
        """Return the cutover if it is due; a lease of the new nodes that isn't there proves nothing, and puts nothing off."""
        if move.ready_time is None or move.abandoned:
            return None
        at_ms = self._now_ms
        if move.cutover_time is not None:
            # a lease that was cut short meanwhile takes its nodes sooner
            ends = (s.ends_ms for s in leases_of(allocation, self._supplies))
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
            demand = asked_anew(claim, allocation, each, own, self._rules, self._now_ms)
            if demand is None:
                return None
            lasting = [
                s for s in open_beside(demand, allocation, self._supplies) if s.ends_ms > until
            ]
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
        if (move := claim.status.move) is not None:
            # as far as the move was granted whose place this one takes: its means are counted to there already
            end = min(end, End(move.until_time or FOREVER, move.until_cause), key=lambda e: e.at_ms)
        else:
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

    def _mend(self, claim: GpuClaim, allocation: Allocation) -> Decision | None:
        """Find other nodes for those that failed, or say what is done about them."""
        uid = ClaimUID(claim.metadata.uid)
        failed = self._failures.of(claim)
        said = find_condition(claim.status.conditions, "Degraded")
        since = failed_since(claim)
        if not failed:
            known_well = since is not None and not self._failures.unseen_of(claim)
            return Degrade(uid, NODE_FAILED, "") if known_well else None
        move = claim.status.move
        if move is None:
            then = self._replace(claim, allocation, failed)
        elif move.ready_time is None:
            then = self._overtake(claim, allocation, move, failed)
        else:
            then = self._move_anew(claim, allocation, move, failed)
        if isinstance(then, Relocate):
            return then
        message = f"{self._failures.described(failed)}: {then}"
        known = said is not None and self._failures.is_told(since) and said.message == message
        return None if known else Degrade(uid, NODE_FAILED, message)

    def _replace(
        self, claim: GpuClaim, allocation: Allocation, failed: Sequence[PlacedNode]
    ) -> Relocate | str:
        """Find another node for one that failed, if the claim asks for that; else say why there is none."""
        if claim.spec.replacement is Replacement.NEVER:
            return "set replacement: OnFailure to get another, or make a new claim"
        return self._others(claim, failed, partial(self._stand_ins.find, claim, allocation))

    def _overtake(
        self, claim: GpuClaim, allocation: Allocation, move: Move, failed: Sequence[PlacedNode]
    ) -> Relocate | str:
        """Find another node for one that failed, in the place of a move away from the whole lease that must wait."""
        way = _UNDONE if move.abandoned else _ON_THE_WAY
        is_slow = move.decided_time + REPLACE_AFTER_MS <= self._now_ms
        is_for_lease = move.cause is MoveCause.LEASE_ENDS
        if not (is_for_lease and is_slow and self._left_ms(allocation, move) >= _LAST_MS):
            return way
        then = self._replace(claim, allocation, failed)
        return then if isinstance(then, Relocate) else f"{then}; {way}"

    def _move_anew(
        self, claim: GpuClaim, allocation: Allocation, move: Move, failed: Sequence[PlacedNode]
    ) -> Relocate | str:
        """Find others in the place of new nodes that are ready and failed; of old ones say that the new ones are there.

        Where some of the new nodes are well all are kept: the tenant was told to move its work there.
        """
        fresh = fresh_nodes(allocation, move)
        new = {p.key for p in fresh}
        lost = [p for p in failed if p.key in new]
        if not lost:
            return at_hand(move)
        is_in_time = self._left_ms(allocation, move) >= REPLACE_AFTER_MS
        if len(lost) == len(fresh) and not (is_in_time and allocation.until_cause in MOVED_FROM):
            then: Relocate | str = _NOT_NOW
        elif len(lost) == len(fresh):
            then = self._others(
                claim, lost, partial(self._succeed_anew, claim, allocation, move, fresh)
            )
        elif self._failures.is_mass(lost):
            then = _TOGETHER
        elif claim.spec.replacement is Replacement.NEVER:
            then = "set replacement: OnFailure to get another once it has moved"
        else:
            then = "it is replaced once the claim has moved"
        return then if isinstance(then, Relocate) else f"{_COMES}; {then}"

    def _succeed_anew(
        self,
        claim: GpuClaim,
        allocation: Allocation,
        move: Move,
        fresh: Sequence[PlacedNode],
        lasting: Sequence[PlacedNode],
    ) -> Relocate | None:
        """Find nodes in the place of all that a move brings, which count no more against the commitment."""
        if len(lasting) < len(fresh):
            return None
        until = move.until_time if move.until_time is not None else FOREVER
        own = [(s, p.gpus) for p in fresh if (s := self._supplies.get(LeaseUID(p.lease_uid)))]
        for supply, gpus in own:
            supply.lend(gpus, until)
        found = self._succeed(claim, allocation)
        if found is None:
            for supply, gpus in own:
                supply.lend(-gpus, until)
        return found

    def _left_ms(self, allocation: Allocation, move: Move) -> int:
        """Return how long it is until the old nodes are taken back."""
        ends = [s.ends_ms for s in leases_of(allocation, self._supplies)]
        at = move.cutover_time
        return min([at if at is not None else FOREVER, *ends]) - self._now_ms

    def _others(
        self,
        claim: GpuClaim,
        failed: Sequence[PlacedNode],
        find: Callable[[Sequence[PlacedNode]], Relocate | None],
    ) -> Relocate | str:
        """Find others for nodes that stay failed, if not many failed together; else say why there are none."""
        if self._failures.is_mass(failed):
            return _TOGETHER
        # what a move leaves whose place another takes is one entry more
        if len(claim.status.leaving) + (claim.status.move is not None) >= MOST_LEAVING:
            return _CROWDED
        if not (lasting := self._failures.lasting(failed, failed_since(claim))):
            return _PASSING
        return find(lasting) or _ROOMLESS

    def _successors(self, offer: GpuClass) -> Iterator[GpuClass]:
        found = (self._rules.offer(name) for name in offer.spec.successors)
        return (x for x in found if x is not None and x.metadata.deletion_timestamp is None)


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
        if move is not None:
            yield Millis(move.decided_time + REPLACE_AFTER_MS)
        for place in usable_nodes(claim):
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
