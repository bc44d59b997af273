"""Notices to tenants whose claims end before they should: with their lease, by preemption, or for want of money.

A lease's end is told 30 days, 7 days, 24 hours and 1 hour before, with what will be done about it: a claim whose class moves it is
looked for other nodes from a known instant on, and until then its tenant has nothing to do. A claim that ends by its own duration is
told nothing: its tenant chose that end. A notice is a condition first, so that it is written before anything happens and said once,
also over restarts. Whoever wasn't told in time, since nobody was there or the end was moved, is told at the end, and only then taken
back: there is no more time to give, as the landlord takes the nodes anyway.
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
from sublet.book.decisions import Decision, Notice, Take
from sublet.book.relocation import moves_from
from sublet.book.told import first_words, may_be_taken

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
_WORDS: Final[Mapping[ReleaseCause, tuple[str, str]]] = {
    ReleaseCause.LEASE_ENDED: (
        "and make a new claim to go on elsewhere",
        "the claim ends for good then",
    ),
    ReleaseCause.MAINTENANCE: (
        "the claim then waits for others",
        "the claim waits for others then",
    ),
}
"""What a lease ends a claim by -> what the tenant can do if it isn't moved, and what comes if it can't be."""
_ASKED: Final[Mapping[ReleaseCause, str]] = {
    ReleaseCause.PREEMPTED: "save your work before",
    ReleaseCause.BUDGET_EXHAUSTED: "save your work before, or ask for a larger budget",
}
"""What else ends a claim that didn't choose it -> what the tenant is to do."""
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


def tell_first(
    made: list[Decision], holders: Iterable[GpuClaim], offer: Offers, now_ms: Millis
) -> list[Decision]:
    """Return what was decided, with a notice in the place of each release at an end that its claim wasn't told of."""
    ends = {d.claim_uid: d for d in made if isinstance(d, Take) and d.told_ms is not None}
    if not ends:
        return made
    told: dict[ClaimUID, Notice] = {}
    for claim in holders:
        end = ends.get(uid := ClaimUID(claim.metadata.uid))
        if end is not None and end.told_ms is not None and not may_be_taken(claim, end):
            told[uid] = Notice(uid, *_of_end(claim, end.cause, end.told_ms, offer, now_ms))
    return [told.get(d.claim_uid, d) for d in made]


def _due(claim: GpuClaim, offer: Offers, now_ms: Millis) -> tuple[str, str]:
    allocation, move = claim.status.allocation, claim.status.move
    if allocation is None:
        return NOT_EXPIRING, ""
    end, cause = allocation.until_time, allocation.until_cause
    # also where it might stay longer by now
    moves = (MOVING, advice(move)) if move is not None and move.awaits_lease_end else None
    if end is None or cause is None:
        return moves or (NOT_EXPIRING, "")
    if cause in _ASKED:  # on other nodes, too, though they are ready
        return _of_end(claim, cause, end, offer, now_ms)
    if moves is None and cause in _WORDS and now_ms >= end - STAGES[-1][0]:
        return _of_end(claim, cause, end, offer, now_ms)
    return moves or (NOT_EXPIRING, "")


def _of_end(
    claim: GpuClaim, cause: ReleaseCause, end: Millis, offer: Offers, now_ms: Millis
) -> tuple[str, str]:
    """Return what a claim is told of an end that it didn't choose, and the reason that stands for it."""
    taken = first_words(cause, end)
    if (asked := _ASKED.get(cause)) is not None:
        return cause.value, f"{taken}; {asked}"
    reason = next(reason for before, reason in STAGES if now_ms >= end - before)
    yourself, otherwise = _WORDS[cause]
    if now_ms >= end:
        return reason, f"{taken}; {otherwise}"
    each = offer(claim.spec.class_name)
    begin = moves_from(end, each) if each is not None else end
    if begin == end:
        return reason, f"{taken}; save your work before, {yourself}"
    if now_ms < begin:
        return reason, (
            f"{taken}; from {format_instant(begin)} on the claim gets other nodes beside these if there is room, "
            f"and is told: nothing needs to be done before; without room {otherwise}"
        )
    return reason, (
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
