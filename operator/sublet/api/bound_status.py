"""What a bound claim is told while it goes on as it is: its end, a failed node, a silent cluster. Part of `claim_status`."""

from collections.abc import Collection

from sublet.api.claim_status import allocation_of, next_status, ready_of, standing_of
from sublet.api.common import Status
from sublet.api.gpuclaim import ClaimStatus, GpuClaim
from sublet.api.outage import Outage
from sublet.api.relocation import PlaceKey
from sublet.api.times import Millis


def expiring(claim: GpuClaim, reason: str, message: str, now_ms: Millis) -> ClaimStatus:
    """Its lease ends, or doesn't any more (no message)."""
    status = Status.TRUE if message else Status.FALSE
    degraded = standing_of(claim, "Degraded")
    return next_status(
        claim,
        now_ms,
        ready=ready_of(claim),
        progress="Reconciling" if claim.status.move is not None else None,
        states={"Expiring": (status, reason), **{c.type: (c.status, c.reason) for c in degraded}},
        messages={"Expiring": message, **{c.type: c.message for c in degraded}},
        update={},
    )


def degraded(claim: GpuClaim, reason: str, message: str, now_ms: Millis) -> ClaimStatus:
    """Some of its nodes can't be used, or all can again (no message). It stays bound.

    Since when it is so counts anew if that lies ahead: a clock that was wrong said so.
    """
    known = (
        c
        for c in claim.status.conditions
        if c.type != "Degraded" or c.last_transition_time <= now_ms
    )
    status = claim.status.model_copy(update={"conditions": tuple(known)})
    return next_status(
        claim.model_copy(update={"status": status}),
        now_ms,
        ready=ready_of(claim),
        progress="Reconciling" if claim.status.move is not None else None,
        states={"Degraded": (Status.TRUE, reason)} if message else {},
        messages={"Degraded": message},
        update={},
    )


def rehomed(claim: GpuClaim, places: Collection[PlaceKey]) -> ClaimStatus:
    """Its namespace at these nodes is gone: another of a new number takes its place. It holds and pays what it did."""
    sequence = claim.status.next_sequence
    allocation = allocation_of(claim)
    placements = tuple(
        p.model_copy(update={"home": sequence}) if p.key in places else p
        for p in allocation.placements
    )
    return claim.status.model_copy(
        update={
            "allocation": allocation.model_copy(update={"placements": placements}),
            "last_sequence": sequence,
        }
    )


def reached(
    claim: GpuClaim, reason: str, message: str, outages: tuple[Outage, ...], now_ms: Millis
) -> ClaimStatus:
    """A cluster of it doesn't answer, or all do again (no message). It stays bound, and its meter runs."""
    degraded = standing_of(claim, "Degraded")
    return next_status(
        claim,
        now_ms,
        ready=ready_of(claim),
        progress="Reconciling" if claim.status.move is not None else None,
        states={
            "Reachable": (Status.UNKNOWN if message else Status.TRUE, reason),
            **{c.type: (c.status, c.reason) for c in degraded},
        },
        messages={"Reachable": message, **{c.type: c.message for c in degraded}},
        update={"outages": outages},
    )


def priced(claim: GpuClaim, reason: str, message: str, now_ms: Millis) -> ClaimStatus:
    """Its floating price is above its maxPricePerGpuHour, or isn't any more (no message). It stays bound."""
    degraded = standing_of(claim, "Degraded")
    return next_status(
        claim,
        now_ms,
        ready=ready_of(claim),
        progress="Reconciling" if claim.status.move is not None else None,
        states={
            "PriceExceeded": (Status.TRUE if message else Status.FALSE, reason),
            **{c.type: (c.status, c.reason) for c in degraded},
        },
        messages={"PriceExceeded": message, **{c.type: c.message for c in degraded}},
        update={},
    )
