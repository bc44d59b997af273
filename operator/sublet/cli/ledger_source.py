"""Where `sublet ledger` reads: the database, opened for reading, or the operator's admin endpoint."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, Protocol

from sublet.api.times import Millis, format_instant
from sublet.cli.admin import fetch, forwarded
from sublet.cli.connect import checked_name, connect
from sublet.cli.problems import Problem
from sublet.ledger.audit import AuditLine, read_audit
from sublet.ledger.chain import Proof
from sublet.ledger.entry import Entry
from sublet.ledger.interval import BrokenLedger
from sublet.ledger.line import read_line
from sublet.ledger.port import LedgerUnavailable
from sublet.rating.books import Books
from sublet.rating.proven import proven_books
from sublet.store.reading import read_books
from sublet.store.sql import SqlLedger
from sublet.store.trail import SqlTrail

_PATH: Final = "/admin/v1/ledger"


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """Which records of the audit trail."""

    claim: str | None = None
    lease: str | None = None
    since_ms: Millis | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a ledger is, as the person said it: a database, or the endpoint of the operator in a namespace of a hub."""

    database: str | None
    admin: str | None
    context: str | None
    operator_namespace: str


class Source(Protocol):
    """A ledger that is read."""

    async def verify(self) -> tuple[Proof, Proof]:
        """Prove the ledger and its audit trail."""

    async def position(self, seq: int = 0) -> tuple[int, str, str | None]:
        """Return how many lines there are, the last one's hash, and the hash of one line, None if it isn't there."""

    async def lines(self, after: int, count: int) -> list[Entry]:
        """Return so many lines after one."""

    async def audit(self, query: AuditQuery) -> list[AuditLine]:
        """Return records of the audit trail, in order."""

    async def books(self) -> Books:
        """Return everything that rating reads; BrokenLedger if the ledger isn't whole."""


class DatabaseSource:
    """The database itself."""

    def __init__(self, ledger: SqlLedger) -> None:
        self._ledger, self._trail = ledger, SqlTrail(ledger)

    async def verify(self) -> tuple[Proof, Proof]:
        """Prove the ledger and its audit trail."""
        return await self._ledger.verify(), await self._trail.verify()

    async def position(self, seq: int = 0) -> tuple[int, str, str | None]:
        """Return how many lines there are, the last one's hash, and the hash of one line, None if it isn't there."""
        return await self._ledger.position(seq)

    async def lines(self, after: int, count: int) -> list[Entry]:
        """Return so many lines after one."""
        return await self._ledger.read_entries(after, count)

    async def audit(self, query: AuditQuery) -> list[AuditLine]:
        """Return records of the audit trail, in order."""
        return await self._trail.lines(
            subject=query.claim, lease=query.lease, since_ms=query.since_ms
        )

    async def books(self) -> Books:
        """Return everything that rating reads; BrokenLedger if the ledger isn't whole."""
        return await read_books(self._ledger)


class AdminSource:
    """The operator's admin endpoint."""

    def __init__(self, base: str) -> None:
        self._base = base.rstrip("/")

    async def verify(self) -> tuple[Proof, Proof]:
        """Prove the ledger and its audit trail, there."""
        answer = await self._ask("/verify", {})
        both = (answer, answer["audit"])
        first, second = (Proof(int(x["entries"]), str(x["head"]), x["fault"]) for x in both)
        return first, second

    async def position(self, seq: int = 0) -> tuple[int, str, str | None]:
        """Return how many lines there are, the last one's hash, and the hash of one line, None if it isn't there."""
        answer = await self._ask("/position", {"seq": str(seq)})
        return int(answer["entries"]), str(answer["head"]), answer["hash"]

    async def lines(self, after: int, count: int) -> list[Entry]:
        """Return so many lines after one."""
        found: list[Entry] = []
        while len(found) < count:
            last = found[-1].seq if found else after
            page = (await self._ask("/entries", {"after": str(last)}))["items"]
            if not page:
                break
            found += [read_line(item)[0] for item in page]
        return found[:count]

    async def audit(self, query: AuditQuery) -> list[AuditLine]:
        """Return records of the audit trail, in order."""
        wanted = {"claim": query.claim, "lease": query.lease}
        params = {name: value for name, value in wanted.items() if value}
        if query.since_ms is not None:
            params["since"] = format_instant(query.since_ms)
        found: list[AuditLine] = []
        while True:
            last = str(found[-1].seq if found else 0)
            page = (await self._ask("/audit", {**params, "after": last}))["items"]
            if not page:
                return found
            found += [read_audit(item) for item in page]

    async def books(self) -> Books:
        """Return everything that rating reads; BrokenLedger if the ledger isn't whole."""
        entries: list[Entry] = []
        texts: dict[str, str] = {}
        while True:
            last = str(entries[-1].seq if entries else 0)
            page = await self._ask("/entries", {"after": last})
            if not page["items"]:
                return await asyncio.to_thread(proven_books, entries, texts)
            entries += [read_line(item)[0] for item in page["items"]]
            texts |= page["terms"]

    async def _ask(self, path: str, params: dict[str, str]) -> dict[str, Any]:
        return await fetch(self._base, _PATH + path, params)


@asynccontextmanager
async def open_source(place: Place) -> AsyncIterator[Source]:
    """Yield the ledger: at the endpoint if one is given, else in the database, else through a port-forward."""
    namespace = checked_name(place.operator_namespace, what="namespace", label=True)
    database, admin, context = place.database, place.admin, place.context
    try:
        if admin is not None:
            yield AdminSource(admin)
        elif database is not None:
            ledger = SqlLedger(database, read_only=True)
            try:
                yield DatabaseSource(ledger)
            finally:
                await ledger.close()
        else:
            async with connect(context) as hub, forwarded(hub, namespace, context) as base:
                yield AdminSource(base)
    except LedgerUnavailable as error:
        raise Problem(str(error)) from error
    except (KeyError, TypeError) as error:
        raise Problem(
            f"the admin endpoint doesn't answer as this version of sublet knows it ({error})"
        ) from error


async def open_books(place: Place) -> Books:
    """Return everything that rating reads, from where the ledger is; Problem if it can't be read or isn't whole."""
    try:
        async with open_source(place) as source:
            return await source.books()
    except BrokenLedger as error:
        raise Problem(str(error)) from error
