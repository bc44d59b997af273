"""Closing billing periods in books that a test holds."""

from sublet.api.times import Millis, parse_instant
from sublet.ledger.entry import Entry, Fact
from sublet.rating.books import Books
from sublet.rating.periods import closing
from sublet.rating.tenancy import tenancies_of

LATER = parse_instant("2026-10-08T00:00:00Z")
"""When September is closed."""


def closing_of(books: Books, tenant: str = "acme", month: str = "2026-09", now_ms: Millis = LATER) -> tuple[Fact, str]:  # fmt: skip
    """Return the line that closes a period, and its text."""
    return closing(books, tenancies_of(books)[tenant], month, now_ms)


def close(books: Books, tenant: str = "acme", month: str = "2026-09") -> Books:
    """Write the line that closes a period."""
    fact, text = closing_of(books, tenant, month)
    books.texts = {**books.texts, fact.price_hash: text}
    books.take(Entry(books.seq + 1, fact, books.head))
    return books
