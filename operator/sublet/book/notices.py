"""Notices to tenants whose claims end before they should: with their lease, by preemption, or for want of money.

A lease's end is told 30 days, 7 days, 24 hours and 1 hour before. A claim that ends by its own duration is told nothing: its tenant chose that end. A notice is a condition first, so that
it is written before anything happens and said once, also over restarts.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from sublet.api.common import Status, find_condition, is_true
from sublet.api.gpuclaim import GpuClaim
from sublet.api.ids import ClaimUID
from sublet.api.move_status import MOVING, advice
from sublet.api.relocation import MoveCause, ReleaseCause
from sublet.api.times import Millis, format_instant
from sublet.book.decisions import Notice

_HOUR_MS: Final = 3_600_000
STAGES: Final = (
    (_HOUR_MS, "EndsWithin1Hour"),
    (24 * _HOUR_MS, "EndsWithin24Hours"),
    (7 * 24 * _HOUR_MS, "EndsWithin7Days"),
    (30 * 24 * _HOUR_MS, "EndsWithin30Days"),
)
"""Time before the end -> reason of the condition, the nearest first."""
_WORDS: Final[Mapping[ReleaseCause | None, tuple[str, str]]] = {
    ReleaseCause.LEASE_ENDED: ("its lease ends", "and make a new claim to go on elsewhere"),
    ReleaseCause.MAINTENANCE: ("maintenance begins", "the claim then waits for others"),
}
"""What ends a claim that didn't choose it -> why, and what the tenant can do."""
NOT_EXPIRING: Final = "NotExpiring"


def notices(holders: Iterable[GpuClaim], now_ms: Millis) -> Iterator[Notice]:
    """Yield what bound claims are to be told of their end and weren't yet."""
    for claim in holders:
        if not is_true(claim.status.conditions, "Bound"):
            continue
        reason, message = _due(claim, now_ms)
        said = find_condition(claim.status.conditions, "Expiring")
        known = said is not None and (said.reason, said.message) == (reason, message)
        never = said is None or said.status is not Status.TRUE
        if not known and not (reason == NOT_EXPIRING and never):
            yield Notice(ClaimUID(claim.metadata.uid), reason, message)


def next_notice(holders: Iterable[GpuClaim], now_ms: Millis) -> Millis | None:
    """Return when the next notice is due."""
    ends = {end for claim in holders if (end := _lease_end(claim)) is not None}
    instants = (Millis(end - before) for end in ends for before, _ in STAGES)
    return min((at for at in instants if at > now_ms), default=None)


def _due(claim: GpuClaim, now_ms: Millis) -> tuple[str, str]:
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
        why, then = _WORDS[allocation.until_cause]
        for before, reason in STAGES:
            if now_ms >= end - before:
                return reason, (
                    f"{why}: the GPUs are taken back at {format_instant(end)}; save your work before, {then}"
                )
    return NOT_EXPIRING, ""


def _lease_end(claim: GpuClaim) -> Millis | None:
    allocation = claim.status.allocation
    if allocation is None or allocation.until_cause not in _WORDS:
        return None
    return allocation.until_time
