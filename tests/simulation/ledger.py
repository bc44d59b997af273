"""The ledger's real store on a database in memory, which all operators share and which may be away.

The code is that of `sublet.store`; only the thread is left out, and the way to the database takes virtual time.
"""

import asyncio
import random
import sqlite3
from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

from sqlalchemy import Engine, create_engine
from sqlalchemy.pool import StaticPool

from sublet.ledger.port import LedgerUnavailable
from sublet.store.database import migrate
from sublet.store.sql import SqlLedger
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

    def ledger(self) -> "SharedLedger":
        """Return an operator's way to it."""
        return SharedLedger(self)

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

    async def _in_thread(self, work: Callable[[], T], seconds: float) -> T:
        """Run work at once, after some time on the way; what is lost on the way back was done."""
        database = self._database
        await asyncio.sleep(database.rng.uniform(0.0005, 0.003))
        if ACTOR.get() in database.dead:
            raise asyncio.CancelledError
        if database.away:
            database.faults["ledger away"] += 1
            raise LedgerUnavailable("the ledger's store is away")
        done: Any = work()
        await asyncio.sleep(0.0005)
        if database.unsteady and database.rng.random() < 0.1:
            database.faults["ledger no reply"] += 1
            raise LedgerUnavailable("the ledger's store hasn't answered")
        return done  # type: ignore[no-any-return]
