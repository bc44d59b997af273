"""The pieces of work on one claim, and which of them its status asks for.

Each is one protocol from a claim as last seen to the claim as written last, or None when it is gone. Each may be begun
again after any failure; the engine (`sublet.binder.binder`) decides when.
"""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Final

from sublet.api import claim_status, kept_status, move_status
from sublet.api.approval import approver
from sublet.api.claim_status import allocation_of
from sublet.api.common import find_condition, is_true
from sublet.api.event_reasons import EventReason
from sublet.api.gpuclaim import Allocation, ClaimStatus, GpuClaim, Release
from sublet.api.ids import LeaseUID
from sublet.api.kinds import RELEASE_FINALIZER
from sublet.api.move_status import fresh_nodes
from sublet.api.relocation import Move, ReleaseCause
from sublet.api.times import Millis
from sublet.api.wording import how_many
from sublet.binder.access import SecretTaken, forget_grants, is_renewal_due
from sublet.binder.bind import Checkpoint, bind, is_same_reservation, renew
from sublet.binder.dropped import FieldDropped
from sublet.binder.forced import release_by_all_means
from sublet.binder.leave import leave
from sublet.binder.outlived import refuse_outlived
from sublet.binder.overdue import overdue
from sublet.binder.ports import (
    ClusterRefuses,
    ClusterSilent,
    LostRace,
    Overtaken,
    StillThere,
    Tools,
)
from sublet.binder.proof import IsolationFault
from sublet.binder.release import finish, give_back, let_go
from sublet.binder.relocate import grow, is_same_move, move_for, see_due, undo
from sublet.book.decisions import CutOver, Extend, Relocate, Reserve, Take
from sublet.book.holdings import holds
from sublet.book.told import may_be_taken
from sublet.ledger.port import LedgerConflict, LedgerUnavailable
from sublet.ledger.terms import PriceTerms

Work = Callable[[GpuClaim, Checkpoint], Awaitable[GpuClaim | None]]
Write = Callable[[GpuClaim, ClaimStatus], Awaitable[GpuClaim]]

_HELD_UP: Final = (
    StillThere,
    ClusterSilent,
    ClusterRefuses,
    SecretTaken,
    IsolationFault,
    FieldDropped,
)
"""What one step may have to wait for."""
_UNWRITTEN: Final = (LedgerUnavailable, LedgerConflict)
"""What lines of the ledger may have to wait for, when nodes that were left are free."""
_BY_SPEC: Final = frozenset({ReleaseCause.COMPLETED, ReleaseCause.SUSPENDED})
"""Causes that a claim's own spec is read for."""
_REQUESTED_BY: Final = "sublet.dev/requested-by"


def allocation_for(claim: GpuClaim, decision: Reserve) -> Allocation:
    """Return a decided reservation as the claim's status says it.

    One that gives a promise nodes, or other leases, keeps the promise's tags, approver and asker: the ledger may have lines
    and terms that carry them, and whoever restored the claim since is stamped on it as its asker.
    """
    held, meta = claim.status.allocation, claim.metadata
    promise = held if is_true(claim.status.conditions, "Reserved") else None
    asker = meta.annotations.get(_REQUESTED_BY, "")[:1024]
    return Allocation(
        sequence=decision.sequence,
        tenant=decision.tenant,
        tenant_uid=decision.tenant_uid,
        requested_by=promise.requested_by if promise is not None else asker,
        approved_by=promise.approved_by if promise is not None else approver(claim)[:1024],
        price_per_gpu_hour=decision.price_per_gpu_hour,
        currency=decision.currency,
        price_hash=PriceTerms(decision.price_per_gpu_hour, decision.currency).hash,
        class_name=decision.agreed.class_name,
        class_uid=decision.agreed.class_uid,
        pricing=decision.agreed.pricing,
        rounding=decision.agreed.rounding,
        sla=decision.agreed.sla,
        host_share=decision.agreed.host_share,
        host_share_noted=decision.agreed.host_share_noted,
        tags=promise.tags if promise is not None else claim.spec.tags,
        priority=decision.priority,
        decided_time=decision.decided_ms,
        until_time=decision.until_ms,
        until_cause=decision.until_cause,
        placements=decision.placements,
        bookings=decision.bookings,
        cancellation=decision.cancellation,
        given_up=decision.given_up,
    )


class Works:
    """All pieces of work, with the tools they need; `write` writes a status and shows it to everybody."""

    def __init__(self, tools: Tools, write: Write) -> None:
        self._tools = tools
        self._write = write

    def asked_for(self, claim: GpuClaim) -> Work | None:
        """Return the protocol that a claim's status asks for, None if all is as it should be."""
        conditions = claim.status.conditions
        leaving = claim.metadata.deletion_timestamp is not None
        held_back = leaving and RELEASE_FINALIZER in claim.metadata.finalizers
        if claim_status.released_ms(claim) is not None or is_true(conditions, "Ended"):
            return self._finish if held_back else self._asked_for_kept(claim)
        if is_true(conditions, "Releasing"):
            return self._release
        if not holds(claim):  # also where somebody took the allocation off its status
            return self._let_go if held_back else self._asked_for_kept(claim)
        return self._asked_for_reserved(claim, leaving=leaving)

    def _asked_for_kept(self, claim: GpuClaim) -> Work | None:
        """Return the work of saying that a deleted claim waits for others alone, None if it says so."""
        if claim.metadata.deletion_timestamp is None or not claim.metadata.finalizers:
            return None
        said = kept_status.kept(claim, self._tools.clock.now_ms())
        return self._say_kept if said != claim.status else None

    def _asked_for_reserved(self, claim: GpuClaim, *, leaving: bool) -> Work | None:
        if allocation_of(claim).is_ahead:
            return None  # promised: the book's pass at its start gives it nodes
        bound = is_true(claim.status.conditions, "Bound")
        if not bound and claim_status.is_giving_back(claim):
            return self._give_back
        if leaving:
            return None  # the book's next pass starts the release
        if not bound:
            return self._bind
        return self._asked_for_bound(claim)

    def _asked_for_bound(self, claim: GpuClaim) -> Work | None:
        """Return what a bound claim asks for; whatever of it must wait is left for later and never holds up the rest."""
        return self._keep_up if any(self._steps(claim)) else None

    def _steps(self, claim: GpuClaim) -> Iterator[Work]:
        """Yield what is due for a bound claim."""
        if RELEASE_FINALIZER not in claim.metadata.finalizers:
            yield self._hold_on
        move, now_ms = claim.status.move, self._tools.clock.now_ms()
        if is_renewal_due(claim, self._tools.token_life_seconds, now_ms):
            yield self._renew
        if move is not None and move.abandoned:
            yield self._undo
        elif move is not None and (move.ready_time is None or self._is_lost(claim, move)):
            yield self._grow
        if claim.status.leaving:
            yield self._leave

    def _is_lost(self, claim: GpuClaim, move: Move) -> bool:
        """Say whether a move leads to a lost lease, though its nodes were ready: growing it again gives it up."""
        fresh = fresh_nodes(allocation_of(claim), move)
        leases = {LeaseUID(p.lease_uid) for p in fresh}
        return any(x is not None and x.is_lost for x in map(self._tools.lease, leases))

    def reserve(self, decision: Reserve) -> Work:
        """Return the work of writing a reservation, and of binding it unless its start is still to come."""

        async def work(claim: GpuClaim, checkpoint: Checkpoint) -> GpuClaim | None:
            async with self._tools.promises.under_way(*decision.lease_uids):
                claim = await self._reserve(claim, decision)
            if not decision.placements:
                self._note_promise(claim)
                return claim
            try:
                return await self._bind(claim, checkpoint)
            except LostRace as lost:
                if not lost.holds_nothing:
                    raise
                return await self._unreserve(claim, str(lost))  # its first try took nothing

        return work

    def take(self, decision: Take) -> Work:
        """Return the work of writing a release and carrying it out."""

        async def work(claim: GpuClaim, checkpoint: Checkpoint) -> GpuClaim | None:
            live = await self._tools.claims.get(claim)
            if live is None or not is_true(live.status.conditions, "Reserved"):
                return live
            if allocation_of(live).sequence != allocation_of(claim).sequence:
                return live  # another reservation by now: it was not the one that is to end
            is_another = live.metadata.generation != claim.metadata.generation
            if is_another and decision.cause in _BY_SPEC:
                return live  # its tenant asks for something else by now: the book decides again
            if not may_be_taken(live, decision):
                return live  # its end was moved meanwhile: the book tells that first
            if not is_true(live.status.conditions, "Releasing"):
                held = allocation_of(live)
                decided = Release(
                    cause=decision.cause,
                    # bound since it was decided, by another clock or after its time was over: billed for nothing then
                    release_time=Millis(max(decision.release_ms, held.bound_time or 0)),
                    sequence=held.sequence,
                )
                now = self._tools.clock.now_ms()
                live = await self._write(
                    live, claim_status.releasing(live, decided, now, decision.given_up)
                )
            return await self._release(live, checkpoint)

        return work

    def extend(self, decision: Extend) -> Work:
        """Return the work of moving a claim's end."""

        async def work(claim: GpuClaim, checkpoint: Checkpoint) -> GpuClaim | None:
            now = self._tools.clock.now_ms()
            status = claim_status.extended(
                claim, decision.until_ms, decision.until_cause, now, decision.given_up
            )
            return await self._write(claim, status)

        return work

    def relocate(self, decision: Relocate) -> Work:
        """Return the work of writing a move and making its nodes ready."""

        async def work(claim: GpuClaim, checkpoint: Checkpoint) -> GpuClaim | None:
            with suppress(LedgerUnavailable):  # the move says that it waits for it
                await refuse_outlived(claim, self._tools)
            now = self._tools.clock.now_ms()
            move = move_for(claim, decision, self._tools)
            claim = await self._write(claim, move_status.moving(claim, move, now))
            return await self._grow(claim, checkpoint)

        return work

    def cut_over(self, decision: CutOver) -> Work:
        """Return the work of putting the nodes that are ready in the place of the old ones."""

        async def work(claim: GpuClaim, checkpoint: Checkpoint) -> GpuClaim | None:
            await see_due(claim, self._tools)
            now = self._tools.clock.now_ms()
            written = await self._write(
                claim, move_status.cut_over(claim, decision.at_ms, now, decision.left_ms)
            )
            gone = sum(len(x.placements) for x in written.status.leaving[-1:])
            self._tools.events.note(
                written,
                EventReason.MOVED,
                f"{how_many(gone, 'node', 'was', 'were')} replaced: start your work on the new ones, and read the "
                "kubeconfig again",
            )
            return written

        return work

    async def begin_give_back(self, claim: GpuClaim, lost: LostRace) -> GpuClaim:
        """Say on the hub that the claim gives back what it took; Overtaken if it isn't this reservation any more."""
        live = await self._tools.claims.get(claim)
        if live is None or not is_same_reservation(live, claim):
            raise Overtaken(f"claim {claim.metadata.key} was decided otherwise meanwhile")
        now = self._tools.clock.now_ms()
        if is_true(live.status.conditions, "Bound"):
            if claim.status.move is None or not is_same_move(live, claim):
                return live  # by another operator, which saw the nodes fit
            return await self._write(live, move_status.given_up(live, str(lost), now))
        return await self._write(live, claim_status.giving_back(live, str(lost), now))

    async def _reserve(self, claim: GpuClaim, decision: Reserve) -> GpuClaim:
        claim = await self._tools.claims.add_finalizer(claim)
        allocation = allocation_for(claim, decision)
        now = self._tools.clock.now_ms()
        write = claim_status.booked if allocation.is_ahead else claim_status.reserved
        written = await self._write(claim, write(claim, allocation, now))
        if allocation.approved_by and decision.sequence == 1:
            said = f"approved by {allocation.approved_by}"
            self._tools.events.note(written, EventReason.APPROVED, said)
        return written

    def _note_promise(self, claim: GpuClaim) -> None:
        ready = find_condition(claim.status.conditions, "Ready")
        self._tools.events.note(
            claim, EventReason.PROMISED, ready.message if ready is not None else ""
        )

    async def _bind(self, claim: GpuClaim, checkpoint: Checkpoint) -> GpuClaim | None:
        written = await bind(claim, self._tools, checkpoint)
        self._tools.events.note(
            written,
            EventReason.BOUND,
            f"{how_many(allocation_of(written).gpus, 'GPU', 'was', 'were')} handed over; "
            f"`sublet kubeconfig {written.metadata.name} -n {written.metadata.namespace}` is the way in",
        )
        return written

    async def _hold_on(self, claim: GpuClaim, checkpoint: Checkpoint) -> GpuClaim | None:
        """Put the finalizer back that somebody took off a bound claim: without it GPUs would be held by nobody."""
        live = await self._tools.claims.get(claim)
        if live is None or live.metadata.deletion_timestamp is not None:
            return live
        mended = await self._tools.claims.add_finalizer(live)
        self._tools.events.note(mended, EventReason.REPAIRED, "its finalizer was put back")
        return mended

    async def _renew(self, claim: GpuClaim, checkpoint: Checkpoint) -> GpuClaim | None:
        return await renew(claim, self._tools, may_wait=True)

    async def _grow(self, claim: GpuClaim, checkpoint: Checkpoint) -> GpuClaim | None:
        return await grow(claim, self._tools, checkpoint)

    async def _undo(self, claim: GpuClaim, checkpoint: Checkpoint) -> GpuClaim | None:
        return await undo(claim, self._tools)

    async def _keep_up(self, claim: GpuClaim, checkpoint: Checkpoint) -> GpuClaim | None:
        """Do all that is due for a bound claim: what can't be done now holds up nothing else."""
        reasons: list[Exception] = []
        for step in list(self._steps(claim)):
            checkpoint()
            try:
                done = await step(claim, checkpoint)
            except (*_HELD_UP, *_UNWRITTEN) as reason:
                reasons.append(reason)
                continue
            if done is None:
                return None
            claim = done
        if reasons:
            raise reasons[0]
        return claim

    async def _leave(self, claim: GpuClaim, checkpoint: Checkpoint) -> GpuClaim | None:
        """Bring what the claim leaves to its end, each part for itself: one that must wait holds up no other."""
        reasons: list[Exception] = []
        for left in claim.status.leaving:
            checkpoint()
            try:
                claim = await leave(claim, left, self._tools)
            except _UNWRITTEN as reason:
                reasons.append(reason)
            except _HELD_UP as reason:
                reasons.append(overdue(claim, left, reason, self._tools))
        if reasons:
            raise reasons[0]
        return claim

    async def _release(self, claim: GpuClaim, checkpoint: Checkpoint) -> GpuClaim | None:
        return await release_by_all_means(claim, self._tools)

    async def _finish(self, claim: GpuClaim, checkpoint: Checkpoint) -> GpuClaim | None:
        live = await self._tools.claims.get(claim)
        return None if live is None else await finish(live, self._tools)

    async def _let_go(self, claim: GpuClaim, checkpoint: Checkpoint) -> GpuClaim | None:
        """Let a deleted claim go that holds nothing, by a live look."""
        live = await self._tools.claims.get(claim)
        if live is None or holds(live):
            return live
        is_doubtful = live.metadata.fault or is_true(live.status.conditions, "Reserved")
        if is_doubtful and self._is_on_a_node(live):
            # its status isn't as it was written, and a node knows better
            raise StillThere("nodes hold something for a claim whose status doesn't say what", 5.0)
        return await let_go(live, self._tools)

    def _is_on_a_node(self, claim: GpuClaim) -> bool:
        """Say whether a node's book, as it was seen last, has an entry of a claim."""
        found = (self._tools.cluster(LeaseUID(x.metadata.uid)) for x in self._tools.leases())
        nodes = (n for each in found if each is not None for n in each.inventory().nodes.values())
        return any(h.claim_uid == claim.metadata.uid for node in nodes for h in node.holdings)

    async def _say_kept(self, claim: GpuClaim, checkpoint: Checkpoint) -> GpuClaim | None:
        now = self._tools.clock.now_ms()
        return await self._write(claim, kept_status.kept(claim, now))

    async def _give_back(self, claim: GpuClaim, checkpoint: Checkpoint) -> GpuClaim | None:
        live = await give_back(claim, self._tools)
        forget_grants(self._tools.grants, claim.metadata.uid)
        said = find_condition(live.status.conditions, "Bound")
        return await self._unreserve(live, said.message if said is not None else "")

    async def _unreserve(self, claim: GpuClaim, message: str) -> GpuClaim:
        now = self._tools.clock.now_ms()
        written = await self._write(claim, claim_status.unreserved(claim, message, now))
        self._tools.events.note(written, EventReason.LOST_RACE, f"{message}; others are looked for")
        return written
