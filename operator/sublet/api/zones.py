"""Names of time zones, which no rule of an API server can check."""

from functools import lru_cache
from zoneinfo import ZoneInfo


@lru_cache(maxsize=256)
def zone_exists(name: str) -> bool:
    """Say whether the time zone database has a zone of this name."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # a name may be that of a directory
        return False
    return True
