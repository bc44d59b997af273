"""What the outbox keeps in the ledger's database: how far it has sent, and notices. Read and written by `sublet.export.events`.

A sender's cursor only moves forward, so that of two senders the slower one takes nothing back.
"""

import json
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, func, select, update

from sublet.api.times import Millis
from sublet.ledger.entry import Entry
from sublet.ledger.notice import News
from sublet.store.appending import BATCH, insert
from sublet.store.sql import SqlLedger, rows
from sublet.store.tables import cursors, entries, identity, notices

ENTRIES, NOTICES = "entries", "notices"
"""Names of the cursors; that of the schedule of exports stands beside them (`sublet.export.schedule`)."""


class SqlOutbox:
    """The outbox over the ledger's store; every call is durable when it returns and raises LedgerUnavailable."""

    def __init__(self, ledger: SqlLedger) -> None:
        self._ledger = ledger

    async def ledger_id(self) -> str:
        """Return which ledger it is."""
        return await self._ledger.call(ledger_id)

    async def positions(self) -> dict[str, int]:
        """Return up to where was sent: name of the cursor -> seq or number."""
        return await self._ledger.call(positions)

    async def advance(self, name: str, position: int) -> None:
        """Record that all up to a position was sent."""

        def write(connection: Connection) -> None:
            forward(connection, name, position)

        await self._ledger.call(write)

    async def put(self, name: str, position: int) -> None:
        """Set a cursor, also back: one that says an instant may be from a clock that was ahead."""

        def write(connection: Connection) -> None:
            row = insert(connection, cursors).values(name=name, position=position)
            to = {"position": position}
            connection.execute(row.on_conflict_do_update(index_elements=["name"], set_=to))

        await self._ledger.call(write)

    async def entries(self, after: int, limit: int) -> list[Entry]:
        """Return the lines after one, in order, at most so many."""
        return await self._ledger.read_entries(after, limit)

    async def notices(self, after: int, limit: int) -> list[tuple[int, News]]:
        """Return the notices after a number, in order, at most so many, each with its number."""
        query = select(notices).where(notices.c.number > after).order_by(notices.c.number)
        query = query.limit(limit)

        def look(connection: Connection) -> list[tuple[int, News]]:
            return [(row.number, news_of(row)) for row in rows(connection, query)]

        return await self._ledger.read(look)

    async def waiting(self) -> int:
        """Return how many lines and notices weren't sent yet."""

        def look(connection: Connection) -> int:
            sent = positions(connection)
            line = connection.execute(select(func.max(entries.c.seq))).scalar() or 0
            notice = connection.execute(select(func.max(notices.c.number))).scalar() or 0
            return max(0, line - sent[ENTRIES]) + max(0, notice - sent[NOTICES])

        return await self._ledger.call(look)

    async def notify(self, news: Iterable[News]) -> int:
        """Keep notices to be sent; return how many were new. One that is there by its id is a no-op."""
        wanted = {each.id: each for each in news}

        def write(connection: Connection) -> int:
            ids = list(wanted)
            known: set[str] = set()
            for start in range(0, len(ids), BATCH):
                some = notices.c.id.in_(ids[start : start + BATCH])
                known |= set(connection.execute(select(notices.c.id).where(some)).scalars())
            last = connection.execute(select(func.max(notices.c.number))).scalar() or 0
            new = sorted(wanted.keys() - known, key=lambda i: (wanted[i].at_ms, i))
            if new:
                made = [news_row(last + n, wanted[i]) for n, i in enumerate(new, 1)]
                connection.execute(notices.insert(), made)
            return len(new)

        return await self._ledger.call(write) if wanted else 0


def ledger_id(connection: Connection) -> str:
    """Return which ledger it is."""
    return str(connection.execute(select(identity.c.ledger_id)).scalar_one())


def positions(connection: Connection) -> dict[str, int]:
    """Return up to where was sent: name of the cursor -> seq or number."""
    found = {row.name: int(row.position) for row in connection.execute(select(cursors))}
    return {ENTRIES: 0, NOTICES: 0, **found}


def forward(connection: Connection, name: str, position: int) -> None:
    """Move a cursor, never back."""
    row = {"name": name, "position": position}
    connection.execute(insert(connection, cursors).values(row).on_conflict_do_nothing())
    behind = (cursors.c.name == name) & (cursors.c.position < position)
    connection.execute(update(cursors).where(behind).values(position=position))


def news_of(row: Any) -> News:
    """Return the notice that a row says."""
    return News(row.kind, row.subject, Millis(row.at_ms), json.loads(row.data))


def news_row(number: int, news: News) -> dict[str, Any]:
    """Return the row of a notice."""
    return {
        "number": number,
        "id": news.id,
        "kind": news.kind,
        "subject": news.subject,
        "at_ms": news.at_ms,
        "data": news.text,
    }
