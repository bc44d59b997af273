"""Claims as they will be once a write that is under way has answered: what the next pass plans with.

So no GPU is planned twice, and no second claim is taken back, while the hub is still being told. Written by the loop as
it hands decisions over. Nothing here is ever written to the hub.
"""

from collections.abc import Callable
from dataclasses import dataclass

from sublet.api import claim_status, move_status
from sublet.api.common import is_true
from sublet.api.gpuclaim import Allocation, GpuClaim
from sublet.api.ids import ClaimUID
from sublet.api.relocation import Move
from sublet.api.times import Millis
from sublet.book.decisions import Extend, Relocate, Reserve
from sublet.book.holdings import holds


@dataclass(frozen=True, slots=True)
class _Assumed:
    claim: GpuClaim
    is_shown: Callable[[GpuClaim], bool]
    """Whether the hub shows the claim so already, or otherwise for another reason."""


class Assumptions:
    """What is under way, by claim."""

    def __init__(self) -> None:
        self._under_way: dict[ClaimUID, _Assumed] = {}

    def reserve(self, claim: GpuClaim, decision: Reserve) -> None:
        """Assume a reservation."""
        sequence = decision.sequence

        def is_shown(now: GpuClaim) -> bool:
            known = now.status.allocation
            return known is not None and known.sequence >= sequence and holds(now)

        self._under_way[decision.claim_uid] = _Assumed(_reserved(claim, decision), is_shown)

    def extend(self, claim: GpuClaim, decision: Extend, now_ms: Millis) -> None:
        """Assume another end: until that is seen, the next pass would look for one more to take back."""
        before = claim.status.allocation
        status = claim_status.extended(
            claim, decision.until_ms, decision.until_cause, now_ms, decision.given_up
        )
        assumed = claim.model_copy(update={"status": status})
        self._under_way[decision.claim_uid] = _Assumed(
            assumed, lambda now: now.status.allocation != before or not holds(now)
        )

    def relocate(self, claim: GpuClaim, decision: Relocate) -> None:
        """Assume a move."""
        assumed = _moving(claim, decision)
        self._under_way[decision.claim_uid] = _Assumed(
            assumed, lambda now: not _is_before(now, assumed)
        )

    def forget(self, uid: ClaimUID) -> None:
        """Believe what the hub shows: the work on the claim has ended."""
        self._under_way.pop(uid, None)

    def lay_over(self, claims: dict[str, GpuClaim]) -> None:
        """Put what is assumed in the place of what the hub doesn't show yet."""
        for uid, assumed in self._under_way.items():
            if uid in claims and not assumed.is_shown(claims[uid]):
                claims[uid] = assumed.claim


def _reserved(claim: GpuClaim, decision: Reserve) -> GpuClaim:
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
        host_share_noted=decision.agreed.host_share_noted,
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


def _moving(claim: GpuClaim, decision: Relocate) -> GpuClaim:
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


def _is_before(claim: GpuClaim, assumed: GpuClaim) -> bool:
    """Say whether a claim doesn't show the move yet that is assumed of it, be it in the place of another."""
    known, will = claim.status.allocation, assumed.status.allocation
    return (
        known is not None
        and will is not None
        and known.sequence == will.sequence
        and claim.status.next_sequence <= move_status.move_of(assumed).sequence
        and is_true(claim.status.conditions, "Bound")
    )
