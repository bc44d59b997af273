"""Ends that a claim didn't choose: how a tenant is told of one, and whether the hub says so by now.

Nothing of a tenant's is ended by such an end before its claim's stored status names it: `Expiring=True` with that
cause and that instant (S10). An end that was moved is another one. docs/decisions/0031 says why.
"""

from collections.abc import Mapping
from typing import Final

from sublet.api.common import Status, find_condition, is_true
from sublet.api.gpuclaim import GpuClaim
from sublet.api.ids import ClaimUID
from sublet.api.move_status import MOVING, advice
from sublet.api.relocation import Move, MoveCause, ReleaseCause
from sublet.api.times import Millis, format_instant
from sublet.book.decisions import CutOver, Notice, Take

_TAKEN: Final[Mapping[ReleaseCause, str]] = {
    ReleaseCause.LEASE_ENDED: "its lease ends: the GPUs are taken back at",
    ReleaseCause.MAINTENANCE: "maintenance begins: the GPUs are taken back at",
    ReleaseCause.PREEMPTED: "a claim of higher priority needs the GPUs: they are taken back at",
    ReleaseCause.BUDGET_EXHAUSTED: "the tenant's budget pays for no more: the GPUs are taken back at",
}


def needs_notice(cause: ReleaseCause) -> bool:
    """Say whether a tenant is told of an end of this cause; others are its own word or a person's."""
    return cause in _TAKEN


def first_words(cause: ReleaseCause, end_ms: Millis) -> str:
    """Return how a notice of this end begins."""
    return f"{_TAKEN[cause]} {format_instant(end_ms)}"


def may_be_taken(claim: GpuClaim, decision: Take) -> bool:
    """Say whether a claim, as it is stored, was told of the end that it is taken back at, or needn't be.

    One that isn't bound has nothing that could end: it was handed no nodes.
    """
    if decision.told_ms is None or not is_true(claim.status.conditions, "Bound"):
        return True
    return _says(claim, first_words(decision.cause, decision.told_ms))


def cutover_at(claim: GpuClaim, move: Move, at_ms: Millis) -> CutOver | Notice:
    """Return the cutover of a claim, or first the notice of it where its lease's end takes its nodes."""
    uid = ClaimUID(claim.metadata.uid)
    told = advice(move.model_copy(update={"cutover_time": at_ms}))
    if move.cause is MoveCause.LEASE_ENDS and not _says(claim, told):
        return Notice(uid, MOVING, told)
    return CutOver(uid, at_ms)


def _says(claim: GpuClaim, words: str) -> bool:
    """Say whether a claim's notice begins with these words."""
    said = find_condition(claim.status.conditions, "Expiring")
    return said is not None and said.status is Status.TRUE and said.message.startswith(words)
