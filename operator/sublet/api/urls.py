"""URLs that a person gives in a setting or on the command line: what is none is said before anything asks there. Pure."""

import contextlib
from urllib.parse import urlsplit


def host_of(url: str) -> str:
    """Return the host of a URL; empty if it has none, or a port that can't be."""
    with contextlib.suppress(ValueError):
        parts = urlsplit(url)
        # a port that is no number raises only when it is looked at
        return (parts.hostname or "") if parts.port != 0 else ""
    return ""
