"""The ledger's store over SQLAlchemy Core: appends, intents, reads.

Blocking work runs in threads of its own, never on the event loop: one for what is short, one for reading the whole ledger, which
must not hold up a bind. Appends that wait together are committed together.
"""

import asyncio
import contextlib
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Engine, Row, Select, func, select
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

from sublet.api.ids import ClaimUID
from sublet.api.times import Millis
from sublet.ledger.audit import AuditRecord
from sublet.ledger.chain import Proof, Stored, texts_fault, verify_lines
from sublet.ledger.entry import MARKS, Entry, Fact
from sublet.ledger.past import Past
from sublet.ledger.port import LedgerConflict, LedgerUnavailable
from sublet.store.appending import BATCH, Order, append_all, head_of, insert
from sublet.store.database import check_schema, migrate, open_engine
from sublet.store.rows import entry_of, last_bill, stored_of
from sublet.store.tables import entries, intents, terms
from sublet.store.troubles import Crowded, crowded, gap, put_back, unavailable
from sublet.store.worker import Worker

T = TypeVar("T")
_Item = tuple[Order, asyncio.Future[int]]

CALL_SECONDS: Final = 30.0
"""For one call of the store; a longer silence counts as away."""
READ_SECONDS: Final = 300.0
"""For what comes between two parts of the whole ledger, while it is read."""
_FORK_TRIES: Final = 20
_ROWS: Final = 2_000
"""Rows that are in memory at once while a table is read."""
_BEAT: Final = "sublet_beat"
"""The option of a connection that says whom to tell that a read goes on."""
_LINES, _INTENTS = "lines", "intents"
_READS: Final = "sublet_reads"
"""What a connection's transaction has read from, in its `info`."""


class SqlLedger:
    """Implements `sublet.ledger.port.LedgerPort` and the reads that metrics and usage need."""

    def __init__(
        self, url: str, *, call_seconds: float = CALL_SECONDS, read_only: bool = False
    ) -> None:
        """Open nothing yet; with `read_only` nothing is ever written, and an older schema is refused."""
        self._engine = open_engine(url, read_only=read_only)
        self._read_only = read_only
        self._call_seconds = call_seconds
        self._worker, self._reader = Worker("ledger"), Worker("ledger reader")
        self._waiting: list[_Item] = []
        self._writer: asyncio.Task[None] | None = None
        self.opened = False
        """Whether this process has seen the database once, with a schema that it knows and no line missing."""
        self._written = 0
        """The last line that this process saw written."""
        self._found: int | None = None
        """How many lines there were before this process wrote its first; None until then."""
        self.conflict: str | None = None
        """The first fact that disagreed with what is written; new binds stop until somebody has looked."""
        self._refused: set[str] = set()
        """What the store didn't take when it was written last: lines, intents."""

    @property
    def takes_nothing(self) -> bool:
        """Say whether the store, which may well be read, didn't take what was written last."""
        return bool(self._refused)

    async def start(self) -> None:
        """Bring the schema up to date; LedgerUnavailable if the database is away, newer or broken."""
        await self.call(lambda _: None)

    async def close(self) -> None:
        """Write what waits and close the database."""
        if self._writer is not None:
            await asyncio.gather(self._writer, return_exceptions=True)
        with contextlib.suppress(LedgerUnavailable):
            await self._in_thread(self._engine.dispose, self._call_seconds)
        self._worker.close()
        self._reader.close()

    async def intend_bound(
        self, claim_uid: ClaimUID, sequence: int, at_ms: Millis, *, anew: bool = False
    ) -> Millis:
        """Record from when a claim will be billed; the first writer's instant is returned to all, until one begins `anew`.

        Never before the claim's last bill ended: a clock that went back would bill that time twice. Raises LedgerConflict while a conflict stands: what can't be billed must not begin;
        and for a reservation that was handed over by the ledger, which a hub that was put back to an older state would bind again.
        """
        if self.conflict is not None:
            raise LedgerConflict(f"no new binds until the ledger is looked at: {self.conflict}")

        def intend(connection: Connection) -> Millis:
            self._reach(connection)  # what is recorded in a ledger that isn't gone on with is lost
            ended, last = connection.execute(last_bill(claim_uid)).one()
            if last is not None and sequence <= last:
                raise LedgerConflict(_handed_over(claim_uid, sequence, last))
            begins = max(at_ms, ended if ended is not None else at_ms)
            row = {"claim_uid": claim_uid, "sequence": sequence, "at_ms": begins}
            first = insert(connection, intents).values(row)
            if anew:
                key = [intents.c.claim_uid, intents.c.sequence]
                write = first.on_conflict_do_update(
                    index_elements=key, set_={"at_ms": begins}, where=intents.c.at_ms < begins
                )
            else:
                write = first.on_conflict_do_nothing()
            connection.execute(write)
            found = select(intents.c.at_ms).where(
                intents.c.claim_uid == claim_uid, intents.c.sequence == sequence
            )
            return Millis(connection.execute(found).scalar_one())

        return await self._write(_INTENTS, intend)

    async def was_intended(self, claim_uid: ClaimUID, sequence: int) -> bool:
        """Say whether `intend_bound` has recorded an instant for a reservation."""

        def read(connection: Connection) -> bool:
            found = select(intents.c.at_ms).where(
                intents.c.claim_uid == claim_uid, intents.c.sequence == sequence
            )
            return connection.execute(found).first() is not None

        return await self.call(read)

    async def append(
        self,
        facts: Iterable[Fact],
        texts: Mapping[str, str],
        records: Iterable[AuditRecord] = (),
        past: Past | None = None,
    ) -> int:
        """Append facts, the texts of their hashes and what goes to the audit trail with them; return how many facts were new.

        Durable when it returns. `past` as the port has it.
        """
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append((Order(list(facts), dict(texts), list(records), past), done))
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
        return await self.read(lambda connection: [entry_of(r) for r in rows(connection, query)])

    async def facts_of(self, claim_uids: Sequence[str]) -> list[Fact]:
        """Return all facts of some claims in ledger order."""

        def look(connection: Connection) -> list[Entry]:
            some = (claim_uids[i : i + BATCH] for i in range(0, len(claim_uids), BATCH))
            wanted = (select(entries).where(entries.c.claim_uid.in_(x)) for x in some)
            found = (row for query in wanted for row in connection.execute(query))
            return sorted((entry_of(row) for row in found), key=lambda entry: entry.seq)

        return [entry.fact for entry in await self.call(look)]

    async def newest_facts(self, count: int) -> list[Fact]:
        """Return the last facts, newest first."""
        return await self.call(lambda connection: _last(connection, count))

    async def found_facts(self, count: int) -> list[Fact]:
        """Return the last facts of those that were there before this process wrote any."""
        return await self.call(lambda connection: _last(connection, count, self._found))

    async def read_terms(self, hashes: Sequence[str]) -> dict[str, str]:
        """Return the texts behind hashes: hash -> text."""
        query = select(terms).where(terms.c.hash.in_(hashes))
        return await self.call(
            lambda connection: {row.hash: row.text for row in connection.execute(query)}
        )

    async def position(self, seq: int) -> tuple[int, str, str | None]:
        """Return how many lines there are, the last one's hash, and the hash of one line, None if it isn't there."""

        def look(connection: Connection) -> tuple[int, str, str | None]:
            query = select(entries.c.hash).where(entries.c.seq == seq)
            return *head_of(connection), connection.execute(query).scalar()

        return await self.call(look)

    async def verify(self) -> Proof:
        """Prove the whole ledger, line by line."""
        return await self.read(prove)

    async def call(self, work: Callable[[Connection], T]) -> T:
        """Run work in one transaction; it may be run again. Durable when it returns; raises LedgerUnavailable."""
        return await self._in_thread(partial(self._transact, work), self._call_seconds)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run reading work, which may be long, on one unchanging state of the ledger; raises LedgerUnavailable."""
        return await self._in_thread(
            partial(self._transact, self._beating(work), snapshot=True), READ_SECONDS, is_long=True
        )

    def _beating(self, work: Callable[[Connection], T]) -> Callable[[Connection], T]:
        """Return work whose reads say that they go on."""
        return lambda connection: work(connection.execution_options(**{_BEAT: self._reader.beat}))

    async def _write_waiting(self) -> None:
        """Commit everything that waits in one transaction, until nothing does; if it fails, each alone."""
        while self._waiting:
            batch, self._waiting = self._waiting, []
            try:
                counts = await self._append([order for order, _ in batch])
            except Exception as error:  # noqa: BLE001  one caller's bad line must not hold up the others
                if isinstance(error, LedgerUnavailable) and not isinstance(error, Crowded):
                    for _, done in batch:
                        _fail(done, error)
                else:
                    await self._write_one_by_one(batch)
                continue
            for (_, done), count in zip(batch, counts, strict=True):
                if not done.done():
                    done.set_result(count)

    async def _write_one_by_one(self, batch: list[_Item]) -> None:
        for order, done in batch:
            try:
                counts = await self._append([order])
            except LedgerConflict as error:
                self.conflict = self.conflict or str(error)
                _fail(done, error)
            except Crowded as error:
                said = f"lines of {_whose(order)} can't be written: {error}"
                _fail(done, LedgerUnavailable(said))
            except Exception as error:  # noqa: BLE001  it is its caller's
                _fail(done, error)
            else:
                if not done.done():
                    done.set_result(counts[0])

    async def _append(self, orders: list[Order]) -> list[int]:
        def write(connection: Connection) -> tuple[list[int], int]:
            found = self._reach(connection)
            counts = self._append_all(connection, orders)
            if self._found is None and any(counts):
                self._found = found
            return counts, found + sum(counts)

        counts, self._written = await self._write(_LINES, write)
        return counts

    def _reach(self, connection: Connection) -> int:
        """Return how many lines there are; LedgerUnavailable if it was put back since this process wrote to it."""
        found, _ = head_of(connection)
        if found < self._written:
            raise put_back(found, self._written)
        return found

    async def _write(self, what: str, work: Callable[[Connection], T]) -> T:
        """Run work that writes, and remember whether the store took it."""
        try:
            done = await self.call(work)
        except LedgerUnavailable:
            self._refused.add(what)
            raise
        self._refused -= {what, _INTENTS}  # what takes lines would take intents
        return done

    def _append_all(self, connection: Connection, orders: list[Order]) -> list[int]:
        return append_all(connection, orders)

    async def _in_thread(
        self, work: Callable[[], T], seconds: float, *, is_long: bool = False
    ) -> T:
        """Run work on the ledger's thread, or on that of long reads."""
        return await (self._reader if is_long else self._worker).run(work, seconds)

    def _transact(self, work: Callable[[Connection], T], *, snapshot: bool = False) -> T:
        for attempt in range(_FORK_TRIES):
            try:
                self._prepare()
                with begin(self._engine, snapshot=snapshot) as connection:
                    return work(connection)
            except IntegrityError as error:
                # another writer was first: read its head and try again
                if attempt == _FORK_TRIES - 1:
                    raise crowded(error) from error
            except (DBAPIError, SQLAlchemyError, OSError) as error:
                raise unavailable(error) from error
        raise AssertionError("unreachable")

    def _prepare(self) -> None:
        """Look once at the schema, and whether a line is missing: nothing is appended to a broken ledger."""
        if self.opened:
            return
        if self._read_only:
            check_schema(self._engine)
        else:
            migrate(self._engine)
            with begin(self._engine) as connection:
                check_whole(connection)
        self.opened = True


def _last(connection: Connection, count: int, last_seq: int | None = None) -> list[Fact]:
    """Return the last facts up to a line, of all without, newest first."""
    query = select(entries).order_by(entries.c.seq.desc()).limit(count)
    if last_seq is not None:
        query = query.where(entries.c.seq <= last_seq)
    return [entry_of(row).fact for row in connection.execute(query)]


@contextlib.contextmanager
def begin(engine: Engine, *, snapshot: bool = False) -> Iterator[Connection]:
    """Yield a connection in a transaction, which ends its reads too; with `snapshot` all that is read is of one state."""
    with engine.connect() as connection:
        if snapshot and connection.dialect.name == "postgresql":
            connection.execution_options(isolation_level="REPEATABLE READ")
        with connection.begin(), _reads_ended(connection):
            if snapshot and connection.dialect.name == "sqlite":
                # the driver begins no transaction for reading by itself
                connection.exec_driver_sql("BEGIN")
            yield connection


@contextlib.contextmanager
def _reads_ended(connection: Connection) -> Iterator[None]:
    """End reads that stopped early: else they ended when memory is collected, on whatever thread, in whatever code."""
    # asked now: of a connection that broke nothing can be asked, and what broke it would not be said
    reads = connection.info.setdefault(_READS, [])
    try:
        yield
    finally:
        while reads:
            reads.pop().close()


def rows(connection: Connection, query: Select[Any]) -> Iterator[Row[Any]]:
    """Return a query's rows, a few in memory at once; of a connection that `begin` gave."""
    read = _rows(connection, query)
    connection.info.setdefault(_READS, []).append(read)
    return read


def _rows(connection: Connection, query: Select[Any]) -> Generator[Row[Any], None, None]:
    beat = connection.get_execution_options().get(_BEAT)
    with connection.execution_options(yield_per=_ROWS).execute(query) as result:
        for part in result.partitions():
            if beat is not None:
                beat()
            yield from part


def prove(connection: Connection) -> Proof:
    """Prove all lines and texts, as they are within a transaction."""
    texts = rows(connection, select(terms))
    return verify_lines(stored(connection), texts_fault((r.hash, r.text) for r in texts))


def stored(connection: Connection) -> Iterator[Stored]:
    """Return all lines as they are stored, in order."""
    return map(stored_of, rows(connection, select(entries).order_by(entries.c.seq)))


def check_whole(connection: Connection) -> None:
    """Raise LedgerUnavailable if a line is missing, by counting them."""
    count, last = connection.execute(
        select(func.count(entries.c.seq), func.coalesce(func.max(entries.c.seq), 0))
    ).one()
    if count == last:
        return
    expected = 1
    for row in rows(connection, select(entries.c.seq).order_by(entries.c.seq)):
        if row.seq != expected:
            raise gap(expected)
        expected += 1
    raise AssertionError("unreachable")


def _handed_over(claim_uid: ClaimUID, sequence: int, last: int) -> str:
    return (
        f"by the ledger reservation {last} of this claim ({claim_uid}) was handed over before, so that {sequence} can't be: the "
        "hub is older than the ledger; restore a newer backup of it, or delete the claim and make it anew"
    )


def _whose(order: Order) -> str:
    claims = sorted({f.claim_uid for f in order.facts if f.kind not in MARKS})
    return f"claim {', '.join(claims)}" if claims else "no claim"


def _fail(done: asyncio.Future[int], error: Exception) -> None:
    if not done.done():
        done.set_exception(error)
