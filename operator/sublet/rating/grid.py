"""Into which cells time is cut when it is rated: not at all, by the hour of UTC, or by the day of a contract. Pure."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from enum import StrEnum

from sublet.api.billing import Cut
from sublet.api.times import Millis
from sublet.rating.calendar import Span, days, hours


class Grid(StrEnum):
    """How fine a rating is cut."""

    NONE = "none"
    DAY = "day"
    HOUR = "hour"


def cut_by(grid: Grid, cut: Cut, span: Span) -> list[Span]:
    """Return the cells of a span in the order of time, none of an empty one."""
    if span.from_ms >= span.to_ms:
        return []
    if grid is Grid.HOUR:
        return hours(span)
    return days(cut, span) if grid is Grid.DAY else [span]


def until(span: Span, as_of_ms: Millis) -> Span:
    """Return a span up to the instant at which it is looked at: what is to come isn't billed."""
    return Span(span.from_ms, min(span.to_ms, as_of_ms))


class Cells:
    """Cells that follow each other without a gap."""

    def __init__(self, spans: Sequence[Span], edges: Iterable[Millis] = ()) -> None:
        """Take cells in the order of time, and instants at which they are cut once more."""
        ends = [span.to_ms for span in spans]
        begin, end = (spans[0].from_ms, ends[-1]) if spans else (Millis(0), Millis(0))
        inner = {*ends[:-1], *(at for at in edges if begin < at < end)}
        self._begins = [begin, *sorted(inner)] if spans else []
        self.span = Span(begin, end)

    def edges_in(self, from_ms: Millis, to_ms: Millis) -> Sequence[Millis]:
        """Return the instants after `from_ms` and before `to_ms` at which a cell begins."""
        begins = self._begins
        return begins[bisect_right(begins, from_ms) : bisect_left(begins, to_ms)]

    def at(self, at_ms: Millis) -> Span:
        """Return the cell that an instant of them lies in."""
        index = bisect_right(self._begins, at_ms)
        ends = self._begins[index] if index < len(self._begins) else self.span.to_ms
        return Span(self._begins[index - 1], ends)
