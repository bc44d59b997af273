"""The ledger's books, carried on line by line: read once, and then what is new.

Whoever holds them reads on when it likes; nobody else writes them. A ledger that was put back to an older state is read from its
beginning again, and so is one of which a line couldn't be understood: no later look passes over it.
"""

from typing import Final

from sublet.ledger.entry import EntryKind
from sublet.rating.books import Books
from sublet.store.sql import SqlLedger

_PAGE: Final = 5_000
_HASHES: Final = 500
_WITHOUT_TEXT: Final = frozenset({EntryKind.CAPACITY, EntryKind.RELEASING, EntryKind.DISPUTED})


class CarriedBooks:
    """Books that go on."""

    def __init__(self, ledger: SqlLedger) -> None:
        self._ledger = ledger
        self._texts: dict[str, str] = {}  # hash -> text
        self.books = Books(self._texts)

    async def read_on(self) -> Books:
        """Return the books with all lines there are; LedgerUnavailable, BrokenLedger."""
        try:
            return await self._read_on()
        except ValueError:
            self._begin()  # half of a line may have been taken
            raise

    def _begin(self) -> None:
        self._texts = {}
        self.books = Books(self._texts)

    async def _read_on(self) -> Books:
        _, _, hash_ = await self._ledger.position(self.books.seq)
        if self.books.seq and hash_ != self.books.head:
            self._begin()
        while True:
            books = self.books
            page = await self._ledger.read_entries(books.seq, _PAGE)
            await self._read_texts(
                {
                    h
                    for e in page
                    for h in (e.fact.price_hash, e.fact.tags_hash)
                    if h and e.fact.kind not in _WITHOUT_TEXT
                }
            )
            for entry in page:
                books.take(entry)
            if len(page) < _PAGE:
                return books

    async def _read_texts(self, wanted: set[str]) -> None:
        missing = sorted(wanted - self._texts.keys())
        for first in range(0, len(missing), _HASHES):
            self._texts.update(await self._ledger.read_terms(missing[first : first + _HASHES]))
