"""Books of a ledger that is whole: each line must follow the one before it, and each text be that of its hash. Pure.

Whoever bills or reports from outside the operator reads it so: of a ledger with a gap nothing is said at all.
"""

from collections.abc import Iterable, Iterator, Mapping

from sublet.ledger.entry import GENESIS_HASH, Entry
from sublet.ledger.interval import BrokenLedger
from sublet.ledger.terms import content_hash
from sublet.rating.books import Books


def proven_books(entries: Iterable[Entry], texts: Mapping[str, str]) -> Books:
    """Fold lines in ledger order; BrokenLedger, with the line, if one is missing, changed or put in, or a text was changed."""
    for key, text in texts.items():
        if content_hash(text) != key:
            raise BrokenLedger(f"the text of hash {key} was changed; see `sublet ledger verify`")
    return Books.of(_chained(entries), texts)


def _chained(entries: Iterable[Entry]) -> Iterator[Entry]:
    seq, head = 0, GENESIS_HASH
    for entry in entries:
        if entry.seq != seq + 1 or entry.previous_hash != head:
            raise BrokenLedger(
                f"line {entry.seq} of the ledger doesn't follow line {seq}; see `sublet ledger verify`"
            )
        seq, head = entry.seq, entry.hash
        yield entry
