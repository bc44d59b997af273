"""Which time a report is about: a month, or from one instant to another. What is no such thing is one line."""

import re
from typing import Final

from sublet.api.billing import Cut
from sublet.api.times import Millis, format_instant
from sublet.cli.problems import Problem
from sublet.cli.usage import parse_window
from sublet.rating.calendar import Span, month_at, month_span

_MONTH: Final = re.compile(r"(20[0-9]{2}|2[1-9][0-9]{2})-(0[1-9]|1[0-2])")
"""Years from 2000 to 2999."""


def parse_month(text: str | None, now_ms: Millis) -> str:
    """Return year and month, those of now (UTC) by default; Problem on what is no month, or begins later than now."""
    if text is None:
        return month_at(Cut(), now_ms)
    if not _MONTH.fullmatch(text):
        raise Problem(f"{text!r} is no month; give year and month, as 2026-09")
    if text > month_at(Cut(time_zone="Etc/GMT-14"), now_ms):  # where it is latest
        raise Problem(f"{text} is yet to come; it is {format_instant(now_ms)} now")
    return text


def parse_span(month: str | None, start: str | None, end: str | None, now_ms: Millis) -> Span:
    """Return a month of UTC or the time between two instants; this month by default."""
    if month is not None and (start or end):
        raise Problem("give --month, or --from and --to, not both")
    if start or end:
        return Span(*parse_window(start, end, now_ms))
    span = month_span(Cut(), parse_month(month, now_ms))
    if span.from_ms >= now_ms:
        raise Problem(
            f"{month} begins at {format_instant(span.from_ms)} (UTC): nothing can be said of it yet"
        )
    return span
