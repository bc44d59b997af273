"""resourceVersions in order: since Kubernetes 1.35 each is a number that only grows."""

from typing import Final

_DIGITS: Final = 20
"""Of the largest number of 64 bits."""


def version_number(text: str) -> int:
    """Return a resourceVersion as the number that it is; 0 for anything else."""
    return int(text) if text.isdecimal() and len(text) <= _DIGITS else 0


def is_newer(version: str, known: str) -> bool:
    """Say whether a resourceVersion comes after another of the same collection; one that is no number only differs."""
    try:
        return int(version) > int(known)
    except ValueError:
        return version != known
