"""What is wrong with a store, in one line that says what to do; everything here is LedgerUnavailable to the operator."""

from typing import Final

from sublet.ledger.port import LedgerUnavailable

RESTORE: Final = (
    "stop the operator, keep this database as it is, `sublet ledger restore` the newest backup into a new one and "
    "set SUBLET_DATABASE_URL to that; what claims call for since then is written again"
)
_FULL: Final = "its disk is full: make room; new binds wait, releases go on, and what is missing is written then"
_DAMAGED: Final = f"its file is damaged: {RESTORE}"
_KNOWN: Final = (
    ("database or disk is full", _FULL),
    ("No space left on device", _FULL),
    ("could not extend file", _FULL),
    ("disk image is malformed", _DAMAGED),
    ("file is not a database", _DAMAGED),
    ("invalid page in block", _DAMAGED),
)
"""What a driver says -> what it means and what to do"""


class Crowded(LedgerUnavailable):
    """At each try the place of what was to be written was taken: by other writers, or for good."""


def unavailable(error: Exception) -> LedgerUnavailable:
    """Return what the operator is told of a driver's error."""
    text = str(getattr(error, "orig", None) or error).splitlines()[0]
    for words, meaning in _KNOWN:
        if words in text:
            return LedgerUnavailable(f"the ledger's store is away: {meaning} ({text})")
    return LedgerUnavailable(f"the ledger's store is away: {text}")


def crowded(error: Exception) -> Crowded:
    """Return what is said when so many tries to write found their place taken."""
    text = str(getattr(error, "orig", None) or error).splitlines()[0]
    return Crowded(f"too many writers on one ledger ({text})")


def gap(seq: int) -> LedgerUnavailable:
    """Return what is said of a ledger in which a line is missing."""
    return LedgerUnavailable(f"the ledger has a gap: line {seq} is missing; {RESTORE}")


def put_back(found: int, written: int) -> LedgerUnavailable:
    """Return what is said of a ledger that has fewer lines than were written to it by this process."""
    return LedgerUnavailable(
        f"the ledger ends at line {found}, but line {written} was written: it was put back or damaged; bring back the "
        "right database, or restart the operator to go on with this one"
    )
