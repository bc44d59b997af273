"""Instants: integer milliseconds inside, RFC 3339 in UTC on the wire.

`Millis` is exact where floats are not; the API shows milliseconds (`2026-11-22T10:00:00.123Z`) where an
instant is billed, and accepts any RFC 3339 text.
"""

from datetime import UTC, datetime
from typing import Final, NewType

Millis = NewType("Millis", int)
"""Milliseconds since 1970-01-01T00:00:00Z."""

MS_PER_SECOND = 1_000
MS_PER_HOUR = 3_600_000
FIRST_MS: Final = Millis(-62_135_596_800_000)
"""0001-01-01T00:00:00Z."""
LAST_MS: Final = Millis(253_402_300_799_999)
"""The last millisecond of the year 9999: neither Python nor RFC 3339 has a later one."""


def to_millis(instant: datetime) -> Millis:
    """Return an aware datetime as milliseconds, without passing through a float."""
    delta = instant - datetime(1970, 1, 1, tzinfo=UTC)
    return Millis((delta.days * 86_400 + delta.seconds) * 1_000 + delta.microseconds // 1_000)


def parse_instant(text: str) -> Millis:
    """Parse RFC 3339; ValueError on anything else, also on a text without a zone.

    An instant that only its zone puts beyond the calendar is the calendar's first or last: an API server takes it.
    """
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone; write it as 2026-11-22T10:00:00Z")
    return _in_calendar(to_millis(instant))


def format_instant(at_ms: Millis) -> str:
    """Write an instant as RFC 3339 UTC; milliseconds only where there are any.

    One beyond the calendar is written as its first or last: a message about absurd dates must not stop a pass.
    """
    text, millis = _parts(at_ms)
    return f"{text}.{millis:03d}Z" if millis else f"{text}Z"


def format_micro(at_ms: Millis) -> str:
    """Write an instant as Kubernetes' MicroTime, which wants six decimal places."""
    text, millis = _parts(at_ms)
    return f"{text}.{millis:03d}000Z"


def _parts(at_ms: Millis) -> tuple[str, int]:
    """Return an instant to the second, and the milliseconds beyond."""
    seconds, millis = divmod(_in_calendar(at_ms), 1_000)
    # not strftime: it writes the year 970 with three digits, which nothing reads
    return datetime.fromtimestamp(seconds, tz=UTC).replace(tzinfo=None).isoformat(), millis


def _in_calendar(at_ms: Millis) -> Millis:
    return min(max(at_ms, FIRST_MS), LAST_MS)
