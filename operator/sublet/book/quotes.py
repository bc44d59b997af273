"""Whom a pass tells what it would get, of those that are refused as a whole: quotes, and claims that a price or an approval stops.

A few are looked at in each pass, as that costs as much as serving them. First those that have no answer to their spec
as it is, the newest first: somebody sits and waits for it. Then answers are renewed, each in its turn as time goes on;
until then everybody keeps what it was told. Asked after the queue was served, as what is offered must be left by it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final

from sublet.api.gpuclaim import GpuClaim
from sublet.api.ids import ClaimUID
from sublet.api.pending import NOT_LOOKED_AT
from sublet.api.times import MS_PER_SECOND, Millis
from sublet.book.backfill import SHADOWS
from sublet.book.decisions import Refuse
from sublet.book.offers import is_answered

_TURN_MS: Final = 60 * MS_PER_SECOND
SOON_MS: Final = MS_PER_SECOND
"""When those are looked at that nobody had time for."""

Asked = tuple[GpuClaim, Refuse]


@dataclass(frozen=True, slots=True)
class Answers:
    """What claims are told that are refused as a whole."""

    refusals: tuple[Refuse, ...]
    """By UID."""
    due_ms: Millis | None
    """When to go on with those that have no answer; None if all have one."""


def answers(
    refused: Iterable[Asked], now_ms: Millis, bargain: Callable[[GpuClaim, Refuse], Refuse]
) -> Answers:
    """Return a refusal for each claim; `bargain` works out what one would get."""
    asked = sorted(refused, key=lambda each: each[1].claim_uid)
    chosen = _chosen([each for each in asked if is_answered(*each)], now_ms)
    made = tuple(
        bargain(*each) if each[1].claim_uid in chosen else _without_look(*each) for each in asked
    )
    has_rest = any(each.message.endswith(NOT_LOOKED_AT) for each in made)
    return Answers(made, Millis(now_ms + SOON_MS) if has_rest else None)


def _chosen(asked: list[Asked], now_ms: Millis) -> set[ClaimUID]:
    """Return those that are looked at in this pass."""
    new = [each for each in asked if not _has_answer(*each)]
    new.sort(key=lambda each: each[0].metadata.creation_timestamp or 0, reverse=True)
    first, room = new[:SHADOWS], max(0, SHADOWS - len(new))
    old = [each for each in asked if _has_answer(*each)]
    begin = now_ms // _TURN_MS * room % len(old) if old else 0
    turn = [*old[begin:], *old[:begin]][:room]
    return {refuse.claim_uid for _, refuse in (*first, *turn)}


def _has_answer(claim: GpuClaim, refused: Refuse) -> bool:
    """Say whether a claim was told what it would get, with the spec that it has and in the state that it is in."""
    pending, meta = claim.status.pending, claim.metadata
    return (
        pending is not None
        and claim.status.observed_generation == meta.generation
        and pending.reason is refused.reason
        and pending.message.startswith(refused.message)
        and not pending.message.endswith(NOT_LOOKED_AT)
    )


def _without_look(claim: GpuClaim, refused: Refuse) -> Refuse:
    """Return the refusal of a claim that isn't looked at now: what it was told, or that it waits to be."""
    if not is_answered(claim, refused):
        return refused
    pending = claim.status.pending
    if pending is not None and _has_answer(claim, refused):
        return replace(refused, message=pending.message, offers=claim.status.offers)
    return replace(refused, message=f"{refused.message}{NOT_LOOKED_AT}")
