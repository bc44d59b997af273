"""Into which cells time is cut when it is rated: not at all, by the hour of UTC, or by the day of a contract. Pure."""

from enum import StrEnum

from sublet.api.billing import Cut
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
