"""What looks like a credential in a text that tenants, landlords or logs may see. Pure.

Only that there is one is said, never its bytes.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

_PATTERNS: Final = (
    (re.compile(r"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{16,}"), "a token"),
    (re.compile(r"[Bb]earer [A-Za-z0-9._~+/-]{20,}"), "a token"),
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----|LS0tLS1CRUdJTi[A-Za-z0-9+/]*"), "a key or certificate"),
    (re.compile(r"kind: ?Config\b|\"kind\": ?\"Config\"|current-context|a2luZDogQ29uZmln"), "a kubeconfig"),
)  # fmt: skip
"""pattern -> what it is; the base64 ones are those of a PEM text and of `kind: Config`"""
_LONGEST: Final = 1_000
"""Characters that are shown of one text."""


def find_leaks(text: str) -> Iterator[str]:
    """Yield what kinds of credentials a text shows, each once."""
    yield from sorted({kind for pattern, kind in _PATTERNS if pattern.search(text)})


def shown(text: str) -> str:
    """Return a text that may hold strangers' words as it may be shown: printable, bounded, without credentials."""
    for pattern, kind in _PATTERNS:
        text = pattern.sub(f"({kind})", text)
    cut = text if len(text) <= _LONGEST else text[:_LONGEST] + "…"
    return "".join(c if c.isprintable() else " " for c in cut)


def texts_in(value: Any) -> Iterator[str]:
    """Yield every text inside a JSON value, keys too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield str(key)
            yield from texts_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts_in(inner)
