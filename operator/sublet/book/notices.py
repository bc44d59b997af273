"""Notices to tenants whose claims end before they should: with their lease, by preemption, or for want of money.

A lease's end is told 30 days, 7 days, 24 hours and 1 hour before, with what will be done about it: a claim whose class moves it is
looked for other nodes from a known instant on, and until then its tenant has nothing to do. A claim that ends by its own duration is
told nothing: its tenant chose that end. A notice is a condition first, so that it is written before anything happens and said once,
also over restarts.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from sublet.api.common import Status, find_condition, is_true
from sublet.api.gpuclaim import GpuClaim
from sublet.api.gpuclass import GpuClass
from sublet.api.ids import ClaimUID
from sublet.api.move_status import MOVING, advice
from sublet.api.relocation import MoveCause, ReleaseCause
from sublet.api.times import Millis, format_instant
from sublet.book.decisions import Notice
from sublet.book.relocation import moves_from

Offers = Callable[[str], GpuClass | None]
"""Class name -> class."""
_HOUR_MS: Final = 3_600_000
STAGES: Final = (
    (_HOUR_MS, "EndsWithin1Hour"),
    (24 * _HOUR_MS, "EndsWithin24Hours"),
    (7 * 24 * _HOUR_MS, "EndsWithin7Days"),
    (30 * 24 * _HOUR_MS, "EndsWithin30Days"),
)
"""Time before the end -> reason of the condition, the nearest first."""
_WORDS: Final[Mapping[ReleaseCause | None, tuple[str, str, str]]] = {
    ReleaseCause.LEASE_ENDED: (
        "its lease ends",
        "and make a new claim to go on elsewhere",
        "the claim ends for good then",
    ),
    ReleaseCause.MAINTENANCE: (
        "maintenance begins",
        "the claim then waits for others",
        "the claim waits for others then",
    ),
}
"""What ends a claim that didn't choose it -> why, what the tenant can do if it isn't moved, and what comes if it can't be."""
_EARLY: Final = frozenset(reason for _, reason in STAGES[1:])
NOT_EXPIRING: Final = "NotExpiring"


def notices(holders: Iterable[GpuClaim], offer: Offers, now_ms: Millis) -> Iterator[Notice]:
    """Yield what bound claims are to be told of their end and weren't yet; `offer` finds their classes, which move them."""
    for claim in holders:
        if not is_true(claim.status.conditions, "Bound"):
            continue
        reason, message = _due(claim, offer, now_ms)
        if _is_being_moved(claim) and reason in _EARLY:
            continue  # soon it is told of the other nodes, and that is what it can do something about
        said = find_condition(claim.status.conditions, "Expiring")
        known = said is not None and (said.reason, said.message) == (reason, message)
        never = said is None or said.status is not Status.TRUE
        if not known and not (reason == NOT_EXPIRING and never):
            yield Notice(ClaimUID(claim.metadata.uid), reason, message)


def notice_dues(claim: GpuClaim) -> Iterator[Millis]:
    """Yield when a claim's notices are due."""
    if (end := _lease_end(claim)) is not None:
        yield from (Millis(end - before) for before, _ in STAGES)


def _due(claim: GpuClaim, offer: Offers, now_ms: Millis) -> tuple[str, str]:
    allocation = claim.status.allocation
    if allocation is not None and allocation.until_cause is ReleaseCause.PREEMPTED:
        when = format_instant(allocation.until_time or now_ms)
        return ReleaseCause.PREEMPTED.value, (
            f"a claim of higher priority needs the GPUs: they are taken back at {when}; save your work before"
        )
    move = claim.status.move
    if move is not None and move.cause is MoveCause.LEASE_ENDS and move.ready_time is not None:
        return MOVING, advice(move)
    if allocation is not None and allocation.until_cause is ReleaseCause.BUDGET_EXHAUSTED:
        when = format_instant(allocation.until_time or now_ms)
        return ReleaseCause.BUDGET_EXHAUSTED.value, (
            f"the tenant's budget pays for no more: the GPUs are taken back at {when}; save your work before, "
            "or ask for a larger budget"
        )
    end = _lease_end(claim)
    if allocation is not None and end is not None:
        for before, reason in STAGES:
            if now_ms >= end - before:
                return reason, _ending(claim, allocation.until_cause, end, offer, now_ms)
    return NOT_EXPIRING, ""


def _ending(
    claim: GpuClaim, cause: ReleaseCause | None, end: Millis, offer: Offers, now_ms: Millis
) -> str:
    """Say what happens at the end and before it, and what the tenant is to do itself."""
    why, yourself, otherwise = _WORDS[cause]
    each = offer(claim.spec.class_name)
    begin = moves_from(end, each) if each is not None else end
    taken = f"{why}: the GPUs are taken back at {format_instant(end)}"
    if begin == end:
        return f"{taken}; save your work before, {yourself}"
    if now_ms < begin:
        return (
            f"{taken}; from {format_instant(begin)} on the claim gets other nodes beside these if there is room, "
            f"and is told: nothing needs to be done before; without room {otherwise}"
        )
    return (
        f"{taken}; other nodes are looked for, and the claim is told when it has them beside these; "
        f"save your work before, for without room {otherwise}"
    )


def _is_being_moved(claim: GpuClaim) -> bool:
    """Say whether other nodes are being made ready for a claim that its lease ends."""
    move = claim.status.move
    return move is not None and move.cause is MoveCause.LEASE_ENDS and move.ready_time is None


def _lease_end(claim: GpuClaim) -> Millis | None:
    allocation = claim.status.allocation
    if allocation is None or allocation.until_cause not in _WORDS:
        return None
    return allocation.until_time
