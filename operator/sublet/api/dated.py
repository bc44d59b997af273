"""Entries that hold from an instant on, until the next one's: prices above all. Pure.

Promise and bill read them by the same rule. An API server refuses two entries of one instant; where a list has them all
the same (a schema before took them, and instants within one millisecond are one here), the last of them holds.
"""

from collections.abc import Iterable
from typing import Final, Protocol, TypeVar

from sublet.api.schema import one_at_a_time
from sublet.api.times import Millis

ONE_PRICE_AT_A_TIME: Final = one_at_a_time(
    "effectiveTime", "two prices have the same effectiveTime; only one can hold"
)


class Dated(Protocol):
    """What holds from an instant on."""

    @property
    def effective_time(self) -> Millis:
        """Return from when."""


D = TypeVar("D", bound=Dated)


def in_order(entries: Iterable[D]) -> tuple[D, ...]:
    """Return entries in the order of time; of two at one instant that one comes last which holds."""
    return tuple(sorted(entries, key=lambda each: each.effective_time))


def holding(entries: Iterable[D], at_ms: Millis) -> D | None:
    """Return what holds at an instant; None before the first entry."""
    begun = [each for each in entries if each.effective_time <= at_ms]
    return max(reversed(begun), key=lambda each: each.effective_time, default=None)
