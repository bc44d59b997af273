"""Instants: integer milliseconds inside, RFC 3339 in UTC on the wire.

`Millis` is exact where floats are not; the API shows milliseconds (`2026-11-22T10:00:00.123Z`) where an
instant is billed, and accepts any RFC 3339 text.
"""

from datetime import UTC, datetime
from typing import NewType

Millis = NewType("Millis", int)
"""Milliseconds since 1970-01-01T00:00:00Z."""

MS_PER_SECOND = 1_000
MS_PER_HOUR = 3_600_000


def to_millis(instant: datetime) -> Millis:
    """Return an aware datetime as milliseconds, without passing through a float."""
    delta = instant - datetime(1970, 1, 1, tzinfo=UTC)
    return Millis((delta.days * 86_400 + delta.seconds) * 1_000 + delta.microseconds // 1_000)


def parse_instant(text: str) -> Millis:
    """Parse RFC 3339; ValueError on anything else, also on a text without a zone."""
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone; write it as 2026-11-22T10:00:00Z")
    return to_millis(instant)


def format_instant(at_ms: Millis) -> str:
    """Write an instant as RFC 3339 UTC; milliseconds only where there are any."""
    seconds, millis = divmod(at_ms, 1_000)
    text = datetime.fromtimestamp(seconds, tz=UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{millis:03d}Z" if millis else f"{text}Z"


def format_micro(at_ms: Millis) -> str:
    """Write an instant as Kubernetes' MicroTime, which wants six decimal places."""
    seconds, millis = divmod(at_ms, 1_000)
    text = datetime.fromtimestamp(seconds, tz=UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{millis:03d}000Z"
