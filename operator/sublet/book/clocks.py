"""A clock of ours that is behind what it said before: bound claims that by it haven't begun yet say so.

Nothing is decided from it: no claim ends early, none is bound again, and no interval is negative. Somebody must set the
clock right, so it is said where it is looked for.
"""

from typing import Final

from sublet.api.common import Status, find_condition, is_true
from sublet.api.gpuclaim import Allocation, GpuClaim
from sublet.api.ids import ClaimUID
from sublet.api.times import Millis, format_instant
from sublet.book.decisions import Degrade

CLOCK_BEHIND: Final = "ClockBehind"
_SKEW_MS: Final = 30_000
"""Two replicas may differ by so much without anybody's harm."""


def behind(claim: GpuClaim, allocation: Allocation, now_ms: Millis) -> Degrade | None:
    """Return what a bound claim is to be told of our clock and wasn't yet, or isn't to be told any more."""
    begun = _begun_ms(claim, allocation)
    if begun is None:
        return None
    said = find_condition(claim.status.conditions, "Degraded")
    is_degraded = said is not None and said.status is Status.TRUE
    is_said = is_degraded and said is not None and said.reason == CLOCK_BEHIND
    if is_degraded and not is_said:
        return None  # for another reason, which is said first
    is_behind = now_ms < begun - _SKEW_MS
    if is_behind and not is_said:
        return Degrade(ClaimUID(claim.metadata.uid), CLOCK_BEHIND, _words(begun))
    if is_said and not is_behind:
        return Degrade(ClaimUID(claim.metadata.uid), CLOCK_BEHIND, "")
    return None


def clock_due(claim: GpuClaim, allocation: Allocation) -> Millis | None:
    """Return when a clock that was behind is right again for a claim."""
    begun = _begun_ms(claim, allocation)
    return Millis(begun - _SKEW_MS) if begun is not None else None


def _begun_ms(claim: GpuClaim, allocation: Allocation) -> Millis | None:
    """Return from when a bound claim is billed, None if it isn't bound."""
    return allocation.bound_time if is_true(claim.status.conditions, "Bound") else None


def _words(begun_ms: Millis) -> str:
    return (
        f"the operator's clock is behind: by it this claim begins only at {format_instant(begun_ms)}; nothing is "
        "lost, and the platform team should set the clock right"
    )
