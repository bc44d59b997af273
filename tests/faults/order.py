"""Rules about the order and the form of requests, read from the journal: what no look at the state alone can see."""

from collections.abc import Iterable

from tests.faults.journal import Entry


def broken_rules(journal: Iterable[Entry]) -> list[str]:
    """Return every rule that a journal breaks."""
    return []
