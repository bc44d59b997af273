"""Time that belongs together because it follows without a gap, and how long it counts. Pure.

What tenants' claims are rounded by, what landlords round uses by, and how downtimes become incidents.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from sublet.api.times import MS_PER_SECOND, Millis
from sublet.rating.books import Lined


class Rounds(Protocol):
    """How a run is counted."""

    @property
    def round_up_to_seconds(self) -> int:
        """Return the unit; 0 or 1: none."""

    @property
    def minimum_seconds(self) -> int:
        """Return the least."""


def runs_of(lines: Iterable[Lined]) -> Iterator[list[Lined]]:
    """Yield intervals by run: each overlaps or touches one before it; an interval that lasts has all that come later in its run."""
    run: list[Lined] = []
    reach: Millis | None = (
        None  # where the run ends as far as it is known, None while an interval lasts
    )
    for each in sorted(lines, key=lambda x: (x.interval.start_ms, x.first_seq)):
        start, end = each.interval.start_ms, each.interval.end_ms
        if run and reach is not None and reach < start:
            yield run
            run = []
        if not run:
            reach = end
        elif reach is not None:
            reach = None if end is None else max(reach, end)
        run.append(each)
    if run:
        yield run


def end_of(run: Sequence[Lined]) -> Millis | None:
    """Return when a run ended, None while it lasts."""
    ends = [x.interval.end_ms for x in run if x.interval.end_ms is not None]
    return max(ends) if len(ends) == len(run) else None


def least(milliseconds: int, by: Rounds) -> int:
    """Return how long a run counts at least, before it is rounded."""
    return max(milliseconds, by.minimum_seconds * MS_PER_SECOND)


def counted(milliseconds: int, by: Rounds) -> int:
    """Return how long a run counts: at least the minimum, and then rounded up."""
    unit = by.round_up_to_seconds * MS_PER_SECOND
    long = least(milliseconds, by)
    return -(-long // unit) * unit if by.round_up_to_seconds > 1 else long
