"""The whole ledger out of its database as what rating reads: one unchanging state of it, proven on the way."""

from sqlalchemy import Connection, select

from sublet.rating.books import Books
from sublet.rating.proven import proven_books
from sublet.store.rows import entry_of
from sublet.store.sql import SqlLedger, rows
from sublet.store.tables import entries, terms


async def read_books(ledger: SqlLedger, last_seq: int | None = None) -> Books:
    """Return the books of the ledger up to a line, of all of it without; LedgerUnavailable, BrokenLedger."""

    def look(connection: Connection) -> Books:
        texts = {row.hash: row.text for row in rows(connection, select(terms))}
        query = select(entries).order_by(entries.c.seq)
        if last_seq is not None:
            query = query.where(entries.c.seq <= last_seq)
        return proven_books((entry_of(row) for row in rows(connection, query)), texts)

    return await ledger.read(look)
