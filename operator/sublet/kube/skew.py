"""How far a server's clock is from ours, by the Date of its answers. Pure; read for conditions and metrics, and for one thing more.

Nothing is decided from it but that a billing period isn't closed before it is over by the hub's clock too: instants that are billed are ours,
but for a deletion's, which is the hub's as far as it isn't in our future, and waits are measured on our own monotonic clock. It is
said because tokens end by the server's clock, and because people compare the logs of both.
"""

import re
from email.utils import parsedate_to_datetime
from typing import Final

from sublet.api.times import MS_PER_SECOND, Millis

SYNCED_SECONDS: Final = 5
"""What a whole second's precision, the way of the answer and ordinary clocks make at most."""
_DATE: Final = re.compile(
    r"[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT"
)
"""RFC 9110, 5.6.7: the one form that servers send; it comes from strangers."""
_DATE_PRECISION_MS: Final = 500
"""A Date names the second that has begun: on the average half of it is over."""


def ahead_seconds(date: str, now_ms: Millis) -> int | None:
    """Return by how many seconds the server that said this Date just now is ahead of us; None if it says none."""
    if _DATE.fullmatch(date) is None:
        return None
    try:
        said = parsedate_to_datetime(date)
    except ValueError:  # the thirty-first of February
        return None
    ahead_ms = int(said.timestamp() * MS_PER_SECOND) + _DATE_PRECISION_MS - now_ms
    return round(ahead_ms / MS_PER_SECOND)


def settled(known: int | None, seen: int | None) -> int | None:
    """Return what to go on saying: 0 while the clocks agree, else the last figure until it is off by too much."""
    if seen is None:
        return None
    if abs(seen) <= SYNCED_SECONDS:
        return 0
    return known if known and abs(seen - known) <= SYNCED_SECONDS else seen
