"""The ledger's store over SQLAlchemy Core: appends, intents, reads.

Blocking work runs in one thread of its own, never on the event loop; appends that wait together are committed
together. Two writers on one database can't fork the chain: each line names the one before it, uniquely, so the later
of two gets a conflict, reads the new head and tries again.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Row, Select, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

from sublet.api.ids import ClaimUID, LeaseUID, TenantUID
from sublet.api.times import Millis
from sublet.ledger.chain import Proof, verify
from sublet.ledger.entry import GENESIS_HASH, Entry, EntryKind, EntryType, Fact
from sublet.ledger.port import LedgerConflict, LedgerUnavailable
from sublet.store.database import check_schema, migrate, open_engine
from sublet.store.tables import entries, intents, terms

T = TypeVar("T")

CALL_SECONDS: Final = 30.0
"""For one call of the store; a longer silence counts as away."""
READ_SECONDS: Final = 300.0
"""For reading the whole ledger."""
_FORK_TRIES: Final = 20
_BATCH: Final = 500
"""Bound parameters per statement have limits."""


class SqlLedger:
    """Implements `sublet.ledger.port.LedgerPort` and the reads that metrics and usage need."""

    def __init__(
        self, url: str, *, call_seconds: float = CALL_SECONDS, read_only: bool = False
    ) -> None:
        """Open nothing yet; with `read_only` nothing is ever written, and an older schema is refused."""
        self._engine = open_engine(url, read_only=read_only)
        self._prepare = check_schema if read_only else migrate
        self._call_seconds = call_seconds
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger")
        self._waiting: list[tuple[list[Fact], dict[str, str], asyncio.Future[int]]] = []
        self._writer: asyncio.Task[None] | None = None
        self._migrated = False
        self._hung: asyncio.Future[Any] | None = None
        self.conflict: str | None = None
        """The first fact that disagreed with what is written; new binds stop until somebody has looked."""

    async def start(self) -> None:
        """Bring the schema up to date; LedgerUnavailable if the database is away or newer."""
        await self._call(lambda _: None)

    async def close(self) -> None:
        """Write what waits and close the database."""
        if self._writer is not None:
            await asyncio.gather(self._writer, return_exceptions=True)
        with contextlib.suppress(LedgerUnavailable):
            await self._in_thread(self._engine.dispose, self._call_seconds)
        self._thread.shutdown(wait=False)

    async def intend_bound(self, claim_uid: ClaimUID, sequence: int, at_ms: Millis) -> Millis:
        """Record from when a claim will be billed; the first writer's instant is returned to all.

        Never before the claim's last bill ended: a clock that went back would bill that time twice. Raises LedgerConflict while a conflict stands: what can't be billed must not begin.
        """
        if self.conflict is not None:
            raise LedgerConflict(f"no new binds until the ledger is looked at: {self.conflict}")

        def write(connection: Connection) -> Millis:
            ended = connection.execute(_last_end(claim_uid)).scalar()
            begins = max(at_ms, ended if ended is not None else at_ms)
            row = {"claim_uid": claim_uid, "sequence": sequence, "at_ms": begins}
            connection.execute(self._insert(intents).values(row).on_conflict_do_nothing())
            found = select(intents.c.at_ms).where(
                intents.c.claim_uid == claim_uid, intents.c.sequence == sequence
            )
            return Millis(connection.execute(found).scalar_one())

        return await self._call(write)

    async def append(self, facts: Iterable[Fact], texts: Mapping[str, str]) -> int:
        """Append facts and the texts of their hashes; return how many were new. Durable when it returns."""
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append((list(facts), dict(texts), done))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_waiting(), name="ledger writer")
        return await done

    async def facts(self) -> list[Fact]:
        """Return all facts in ledger order."""
        return [e.fact for e in await self.read_entries()]

    async def read_entries(self, after_seq: int = 0, limit: int | None = None) -> list[Entry]:
        """Return the entries after a line, in order; at most so many."""
        query = select(entries).where(entries.c.seq > after_seq).order_by(entries.c.seq)
        query = query.limit(limit)
        return await self._call(
            lambda connection: [_entry(row) for row in connection.execute(query)], READ_SECONDS
        )

    async def facts_of(self, claim_uids: Sequence[str]) -> list[Fact]:
        """Return all facts of some claims in ledger order."""

        def read(connection: Connection) -> list[Entry]:
            some = (claim_uids[i : i + _BATCH] for i in range(0, len(claim_uids), _BATCH))
            wanted = (select(entries).where(entries.c.claim_uid.in_(x)) for x in some)
            rows = (row for query in wanted for row in connection.execute(query))
            return sorted((_entry(row) for row in rows), key=lambda entry: entry.seq)

        return [entry.fact for entry in await self._call(read)]

    async def newest_facts(self, count: int) -> list[Fact]:
        """Return the last facts, newest first."""
        query = select(entries).order_by(entries.c.seq.desc()).limit(count)
        return await self._call(
            lambda connection: [_entry(row).fact for row in connection.execute(query)]
        )

    async def read_terms(self, hashes: Sequence[str]) -> dict[str, str]:
        """Return the texts behind hashes: hash -> text."""
        query = select(terms).where(terms.c.hash.in_(hashes))
        return await self._call(
            lambda connection: {row.hash: row.text for row in connection.execute(query)}
        )

    async def position(self, seq: int) -> tuple[int, str, str | None]:
        """Return how many lines there are, the last one's hash, and the hash of one line, None if it isn't there."""

        def read(connection: Connection) -> tuple[int, str, str | None]:
            columns = select(entries.c.seq, entries.c.hash)
            last = connection.execute(columns.order_by(entries.c.seq.desc()).limit(1)).first()
            that = connection.execute(columns.where(entries.c.seq == seq)).first()
            count, head = (last.seq, last.hash) if last is not None else (0, GENESIS_HASH)
            return count, head, that.hash if that is not None else None

        return await self._call(read)

    async def verify(self) -> Proof:
        """Prove the whole ledger."""

        def check(connection: Connection) -> Proof:
            rows = connection.execute(select(entries).order_by(entries.c.seq)).all()
            return verify([_entry(r) for r in rows], [r.id for r in rows])

        return await self._call(check, READ_SECONDS)

    async def _write_waiting(self) -> None:
        """Commit everything that waits in one transaction, until nothing does; if it fails, each alone."""
        while self._waiting:
            batch, self._waiting = self._waiting, []
            try:
                counts = await self._call(partial(self._append_all, batch=batch))
            except LedgerConflict:
                await self._write_one_by_one(batch)
                continue
            except LedgerUnavailable as error:
                for _, _, done in batch:
                    _fail(done, error)
                continue
            for (_, _, done), count in zip(batch, counts, strict=True):
                if not done.done():
                    done.set_result(count)

    async def _write_one_by_one(
        self, batch: list[tuple[list[Fact], dict[str, str], asyncio.Future[int]]]
    ) -> None:
        for item in batch:
            try:
                counts = await self._call(partial(self._append_all, batch=[item]))
            except LedgerConflict as error:
                self.conflict = self.conflict or str(error)
                _fail(item[2], error)
            except LedgerUnavailable as error:
                _fail(item[2], error)
            else:
                if not item[2].done():
                    item[2].set_result(counts[0])

    def _append_all(
        self, connection: Connection, batch: list[tuple[list[Fact], dict[str, str], Any]]
    ) -> list[int]:
        """Append in order within one transaction; returns how many of each were new."""
        known = self._known(connection, [f.id for facts, _, _ in batch for f in facts])
        last = connection.execute(
            select(entries.c.seq, entries.c.hash).order_by(entries.c.seq.desc()).limit(1)
        ).first()
        seq, head = (last.seq, last.hash) if last is not None else (0, GENESIS_HASH)
        rows: list[dict[str, Any]] = []
        counts = []
        for facts, texts, _ in batch:
            self._keep_terms(connection, texts)
            before = len(rows)
            for fact in facts:
                if fact.id in known:
                    if known[fact.id] != fact.content:
                        raise LedgerConflict(
                            f"entry {fact.id} of claim {fact.claim_uid} is there with other content"
                        )
                    continue
                seq += 1
                entry = Entry(seq, fact, head)
                head = entry.hash
                known[fact.id] = fact.content
                rows.append(_row(entry, head))
            counts.append(len(rows) - before)
        if rows:
            connection.execute(entries.insert(), rows)
        return counts

    def _known(self, connection: Connection, ids: list[str]) -> dict[str, str]:
        found: dict[str, str] = {}  # entry id -> content
        for start in range(0, len(ids), _BATCH):
            query = select(entries).where(entries.c.id.in_(ids[start : start + _BATCH]))
            found |= {row.id: _entry(row).fact.content for row in connection.execute(query)}
        return found

    def _keep_terms(self, connection: Connection, texts: Mapping[str, str]) -> None:
        if texts:
            rows = [{"hash": key, "text": text} for key, text in sorted(texts.items())]
            connection.execute(self._insert(terms).values(rows).on_conflict_do_nothing())

    def _insert(self, table: Any) -> Any:
        dialect = postgresql if self._engine.dialect.name == "postgresql" else sqlite
        return dialect.insert(table)

    async def _call(self, work: Callable[[Connection], T], seconds: float | None = None) -> T:
        """Run work in one transaction on the ledger's thread."""
        return await self._in_thread(lambda: self._transact(work), seconds or self._call_seconds)

    async def _in_thread(self, work: Callable[[], T], seconds: float) -> T:
        """Run work on the ledger's thread; a store that doesn't answer in time is away until that call has ended."""
        if self._hung is not None and not self._hung.done():
            raise LedgerUnavailable("the ledger's store doesn't answer")
        call = asyncio.get_running_loop().run_in_executor(self._thread, work)
        done, _ = await asyncio.wait({call}, timeout=seconds)
        if not done:
            # its result is unknown: every write may be repeated, so nothing is lost and nothing doubled
            call.add_done_callback(lambda late: late.cancelled() or late.exception())
            self._hung = call
            raise LedgerUnavailable(f"the ledger's store hasn't answered for {seconds:.0f} seconds")
        return call.result()

    def _transact(self, work: Callable[[Connection], T]) -> T:
        for attempt in range(_FORK_TRIES):
            try:
                if not self._migrated:
                    self._prepare(self._engine)
                    self._migrated = True
                with self._engine.begin() as connection:
                    return work(connection)
            except IntegrityError as error:
                # another writer was first: read its head and try again
                if attempt == _FORK_TRIES - 1:
                    raise LedgerUnavailable("too many writers on one ledger") from error
            except (DBAPIError, SQLAlchemyError, OSError) as error:
                text = str(getattr(error, "orig", None) or error).splitlines()[0]
                raise LedgerUnavailable(f"the ledger's store is away: {text}") from error
        raise AssertionError("unreachable")


def _last_end(claim_uid: ClaimUID) -> Select[tuple[int | None]]:
    """Return the question until when a claim was billed; None if it never was."""
    billed = (entries.c.claim_uid == claim_uid, entries.c.kind == EntryKind.BOUND)
    return select(func.max(entries.c.at_ms)).where(*billed, entries.c.type == EntryType.CLOSE)


def _entry(row: Row[Any]) -> Entry:
    fact = Fact(
        claim_uid=ClaimUID(row.claim_uid),
        sequence=row.sequence,
        tenant_uid=TenantUID(row.tenant_uid),
        lease_uid=LeaseUID(row.lease_uid),
        kind=EntryKind(row.kind),
        type=EntryType(row.type),
        gpus=row.gpus,
        at_ms=Millis(row.at_ms),
        price_hash=row.price_hash,
        tags_hash=row.tags_hash,
        source_version=row.source_version,
    )
    return Entry(row.seq, fact, row.previous_hash)


def _row(entry: Entry, hash_: str) -> dict[str, Any]:
    fact = entry.fact
    return {
        "seq": entry.seq,
        "id": fact.id,
        "previous_hash": entry.previous_hash,
        "hash": hash_,
        "claim_uid": fact.claim_uid,
        "sequence": fact.sequence,
        "tenant_uid": fact.tenant_uid,
        "lease_uid": fact.lease_uid,
        "kind": fact.kind.value,
        "type": fact.type.value,
        "gpus": fact.gpus,
        "at_ms": fact.at_ms,
        "price_hash": fact.price_hash,
        "tags_hash": fact.tags_hash,
        "source_version": fact.source_version,
    }


def _fail(done: asyncio.Future[int], error: Exception) -> None:
    if not done.done():
        done.set_exception(error)
