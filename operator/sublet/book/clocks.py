"""A clock of ours that is behind what it said before: bound claims that by it haven't begun yet say so.

Nothing is decided from it: no claim ends early, none is bound again, and no interval is negative. Somebody must set the
clock right, so it is said where it is looked for.
"""

from collections.abc import Collection, Iterable, Iterator
from typing import Final

from sublet.api.common import find_condition, is_true
from sublet.api.gpuclaim import GpuClaim
from sublet.api.ids import ClaimUID
from sublet.api.times import Millis, format_instant
from sublet.book.decisions import Degrade

CLOCK_BEHIND: Final = "ClockBehind"
_SKEW_MS: Final = 30_000
"""Two replicas may differ by so much without anybody's harm."""


def behind(
    holders: Iterable[GpuClaim], decided: Collection[str], now_ms: Millis
) -> Iterator[Degrade]:
    """Yield what bound claims are to be told of our clock and weren't yet, or aren't to be told any more."""
    for claim in holders:
        begun = _begun_ms(claim)
        if begun is None or claim.metadata.uid in decided:
            continue
        said = find_condition(claim.status.conditions, "Degraded")
        is_degraded = is_true(claim.status.conditions, "Degraded")
        is_said = is_degraded and said is not None and said.reason == CLOCK_BEHIND
        if is_degraded and not is_said:
            continue  # for another reason, which is said first
        is_behind = now_ms < begun - _SKEW_MS
        if is_behind and not is_said:
            yield Degrade(ClaimUID(claim.metadata.uid), CLOCK_BEHIND, _words(begun))
        elif is_said and not is_behind:
            yield Degrade(ClaimUID(claim.metadata.uid), CLOCK_BEHIND, "")


def clock_dues(holders: Iterable[GpuClaim]) -> Iterator[Millis]:
    """Yield when a clock that was behind is right again for each claim."""
    for claim in holders:
        if (begun := _begun_ms(claim)) is not None:
            yield Millis(begun - _SKEW_MS)


def _begun_ms(claim: GpuClaim) -> Millis | None:
    """Return from when a bound claim is billed, None if it isn't bound."""
    allocation = claim.status.allocation
    bound = is_true(claim.status.conditions, "Bound")
    return allocation.bound_time if allocation is not None and bound else None


def _words(begun_ms: Millis) -> str:
    return (
        f"the operator's clock is behind: by it this claim begins only at {format_instant(begun_ms)}; nothing is "
        "lost, and the platform team should set the clock right"
    )
