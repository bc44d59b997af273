"""The ledger's real store on a database in memory, which all operators share and which may be away.

The code is that of `sublet.store`; only the thread is left out, and the way to the database takes virtual time.
"""

import asyncio
import random
import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, TypeVar

from sqlalchemy import Engine, create_engine, select, text
from sqlalchemy.pool import StaticPool

from sublet.ledger.entry import Entry, Fact
from sublet.ledger.port import LedgerUnavailable
from sublet.store.database import migrate
from sublet.store.rows import entry_of
from sublet.store.sql import SqlLedger
from sublet.store.tables import entries, terms
from tests.simulation.loop import ACTOR

T = TypeVar("T")


@cache
def _template() -> sqlite3.Connection:
    """Return an empty database with the schema, migrated once."""
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    migrate(_engine(connection))
    return connection


def _engine(connection: sqlite3.Connection) -> Engine:
    return create_engine("sqlite://", creator=lambda: connection, poolclass=StaticPool)


class Database:
    """One database; what was committed stays, whoever crashes."""

    def __init__(self, rng: random.Random, faults: Counter[str], dead: set[str]) -> None:
        connection = sqlite3.connect(":memory:", check_same_thread=False)
        _template().backup(connection)
        self._connection = connection
        self.engine = _engine(connection)
        self.rng, self.faults, self.dead = rng, faults, dead
        self.away = False
        self.unsteady = False
        """Some answers are lost."""
        self.written: Callable[[list[Fact]], None] = lambda _: None
        """Told of the lines of every commit."""
        self._seen = 0

    @property
    def changes(self) -> int:
        """Return how many rows were ever written."""
        return self._connection.total_changes

    def ledger(self) -> "SharedLedger":
        """Return an operator's way to it."""
        return SharedLedger(self)

    def lines(self, after: int = 0) -> tuple[list[Entry], list[str]]:
        """Return the lines after so many, in the order in which they were written, and their ids as stored."""
        query = select(entries).order_by(text("rowid")).offset(after)
        with self.engine.begin() as connection:
            rows = connection.execute(query).all()
        return [entry_of(r) for r in rows], [r.id for r in rows]

    def texts(self, hashes: Sequence[str]) -> dict[str, str]:
        """Return the texts behind hashes."""
        with self.engine.begin() as connection:
            rows = connection.execute(select(terms).where(terms.c.hash.in_(hashes))).all()
        return {row.hash: row.text for row in rows}

    def look(self) -> None:
        """Tell of the lines that are new."""
        found, _ = self.lines(self._seen)
        if found:
            self._seen += len(found)
            self.written([e.fact for e in found])

    def close(self) -> None:
        """Throw it away."""
        self.engine.dispose()
        self._connection.close()


class SharedLedger(SqlLedger):
    """The operator's ledger over a shared database."""

    def __init__(self, database: Database) -> None:
        super().__init__("sqlite://")
        self._engine.dispose()
        self._engine = database.engine
        self._database = database
        self._migrated = True

    async def close(self) -> None:
        """Write what waits; the database stays open for the others."""
        if self._writer is not None:
            await asyncio.gather(self._writer, return_exceptions=True)

    async def _in_thread(
        self, work: Callable[[], T], seconds: float, *, is_long: bool = False
    ) -> T:
        """Run work at once, after some time on the way; what is lost on the way back was done."""
        database = self._database
        await asyncio.sleep(database.rng.uniform(0.0005, 0.003))
        if ACTOR.get() in database.dead:
            raise asyncio.CancelledError
        if database.away:
            database.faults["ledger away"] += 1
            raise LedgerUnavailable("the ledger's store is away")
        done: Any = work()
        database.look()
        await asyncio.sleep(0.0005)
        if database.unsteady and database.rng.random() < 0.1:
            database.faults["ledger no reply"] += 1
            raise LedgerUnavailable("the ledger's store hasn't answered")
        return done
