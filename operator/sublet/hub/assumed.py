"""Claims as they will be once a write that is under way has answered: what the next pass plans with.

So no GPU is planned twice while the hub is still being told. Nothing here is ever written.
"""

from sublet.api import claim_status, move_status
from sublet.api.common import is_true
from sublet.api.gpuclaim import Allocation, GpuClaim
from sublet.api.relocation import Move
from sublet.book.decisions import Relocate, Reserve


def assume(claim: GpuClaim, decision: Reserve) -> GpuClaim:
    """Return the claim as it will be once its reservation is written."""
    allocation = Allocation.model_construct(
        sequence=decision.sequence,
        tenant=decision.tenant,
        tenant_uid=decision.tenant_uid,
        currency=decision.currency,
        price_hash="",
        price_per_gpu_hour=decision.price_per_gpu_hour,
        priority=decision.priority,
        class_name=decision.agreed.class_name,
        class_uid=decision.agreed.class_uid,
        pricing=decision.agreed.pricing,
        rounding=decision.agreed.rounding,
        sla=decision.agreed.sla,
        host_share=decision.agreed.host_share,
        decided_time=decision.decided_ms,
        bound_time=None,
        until_time=decision.until_ms,
        until_cause=decision.until_cause,
        placements=decision.placements,
        bookings=decision.bookings,
        cancellation=decision.cancellation,
        given_up=decision.given_up,
    )
    write = claim_status.booked if allocation.is_ahead else claim_status.reserved
    return claim.model_copy(update={"status": write(claim, allocation, decision.decided_ms)})


def assume_move(claim: GpuClaim, decision: Relocate) -> GpuClaim:
    """Return the claim as it will be once its move is written."""
    move = Move.model_construct(
        sequence=decision.sequence,
        cause=decision.cause,
        decided_time=decision.decided_ms,
        cutover_time=decision.cutover_ms,
        until_time=decision.until_ms,
        until_cause=decision.until_cause,
        placements=decision.placements,
        ready_time=None,
        abandoned=False,
    )
    return claim.model_copy(update={"status": move_status.moving(claim, move, decision.decided_ms)})


def is_before(claim: GpuClaim, assumed: GpuClaim) -> bool:
    """Say whether a claim doesn't show the move yet that is assumed of it."""
    known, will = claim.status.allocation, assumed.status.allocation
    return (
        known is not None
        and will is not None
        and known.sequence == will.sequence
        and claim.status.move is None
        and is_true(claim.status.conditions, "Bound")
    )
