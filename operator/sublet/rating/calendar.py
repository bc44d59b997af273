"""Where days and months begin in a time zone, as instants. Pure.

A local time that doesn't exist (clocks go forward) is the first instant after the gap; one that exists twice (clocks go
back) is its first occurrence. Days have 23 or 25 hours then.
"""

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from sublet.api.billing import Cut
from sublet.api.times import MS_PER_HOUR, MS_PER_SECOND, Millis, to_millis
from sublet.api.zones import zone_exists


class Span(NamedTuple):
    """A stretch of time, its end not in it."""

    from_ms: Millis
    to_ms: Millis


def month_span(cut: Cut, month: str) -> Span:
    """Return a month, given as year and month (`2026-09`), in a time zone; ValueError if it is none."""
    first = date.fromisoformat(f"{month}-01")
    following = (first + timedelta(days=32)).replace(day=1)
    return Span(day_start(cut, first), day_start(cut, following))


def next_month(month: str) -> str:
    """Return the month after one, both given as year and month."""
    first = date.fromisoformat(f"{month}-01")
    following = first + timedelta(days=32)
    return f"{following.year:04d}-{following.month:02d}"


def month_at(cut: Cut, at_ms: Millis) -> str:
    """Return the month that an instant lies in, as year and month."""
    day = day_at(cut, at_ms)
    return f"{day.year:04d}-{day.month:02d}"


def day_at(cut: Cut, at_ms: Millis) -> date:
    """Return the day that an instant lies in; before its cut hour it is still the day before."""
    local = datetime.fromtimestamp(at_ms // MS_PER_SECOND, tz=_zone(cut.time_zone))
    day = local.date()
    if at_ms < day_start(cut, day):
        return day - timedelta(days=1)
    following = day + timedelta(days=1)
    return following if at_ms >= day_start(cut, following) else day


@lru_cache(maxsize=4_096)
def day_start(cut: Cut, day: date) -> Millis:
    """Return the instant at which a day begins."""
    zone = _zone(cut.time_zone)
    wall = datetime(day.year, day.month, day.day, cut.day_cut_hour, tzinfo=zone)
    at = wall.astimezone(UTC)
    if at.astimezone(zone).replace(tzinfo=None) != wall.replace(tzinfo=None):
        # in a gap: with fold 0 the offset before it is taken, so `at` is later than the gap's end by as much as was left of it
        at = _gap_end(zone, at)
    return to_millis(at)


def days(cut: Cut, span: Span) -> list[Span]:
    """Return the days of a stretch, the first and the last one cut to it."""
    found, day, at = [], day_at(cut, span.from_ms), span.from_ms
    while at < span.to_ms:
        day += timedelta(days=1)
        until = min(day_start(cut, day), span.to_ms)
        if until > at:
            found.append(Span(at, until))
        at = until
    return found


def hours(span: Span) -> list[Span]:
    """Return the hours (of UTC) of a stretch, the first and the last one cut to it."""
    found, at = [], span.from_ms
    while at < span.to_ms:
        until = Millis(min((at // MS_PER_HOUR + 1) * MS_PER_HOUR, span.to_ms))
        found.append(Span(at, until))
        at = until
    return found


def _gap_end(zone: ZoneInfo, after: datetime) -> datetime:
    """Return the first instant with the offset that holds at `after`, at most a day before it."""
    low, high = after - timedelta(days=1), after
    while high - low > timedelta(seconds=1):
        middle = (low + (high - low) / 2).replace(microsecond=0)
        if middle.astimezone(zone).utcoffset() == after.astimezone(zone).utcoffset():
            high = middle
        else:
            low = middle
    return high


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    """Return a time zone; UTC where the database has none of that name, which the object's condition says."""
    return ZoneInfo(name if zone_exists(name) else "UTC")
