"""The audit trail in the ledger's database: append, read, prove."""

from collections.abc import Iterable

from sqlalchemy import Connection, or_, select

from sublet.api.times import Millis
from sublet.ledger.audit import AuditLine, AuditRecord, verify_audit
from sublet.ledger.chain import Proof
from sublet.store.appending import append_records
from sublet.store.rows import audit_of
from sublet.store.sql import SqlLedger, rows
from sublet.store.tables import audit


class SqlTrail:
    """Who said or decided what; append-only. Raises LedgerUnavailable."""

    def __init__(self, ledger: SqlLedger) -> None:
        self._ledger = ledger

    async def record(self, records: Iterable[AuditRecord]) -> int:
        """Append records; return how many were new. One that is there by its id is a no-op."""
        wanted = list(records)
        if not wanted:
            return 0
        return await self._ledger.call(lambda connection: append_records(connection, wanted))

    async def lines(
        self,
        after_seq: int = 0,
        limit: int | None = None,
        *,
        subject: str | None = None,
        lease: str | None = None,
        since_ms: Millis | None = None,
    ) -> list[AuditLine]:
        """Return lines in order: of an object or a lease, each by UID or name, and from an instant on."""
        query = select(audit).where(audit.c.seq > after_seq)
        if subject is not None:
            query = query.where(or_(audit.c.subject_uid == subject, audit.c.subject == subject))
        if lease is not None:
            query = query.where(or_(audit.c.lease_uid == lease, audit.c.lease == lease))
        if since_ms is not None:
            query = query.where(audit.c.at_ms >= since_ms)
        query = query.order_by(audit.c.seq).limit(limit)
        return await self._ledger.read(lambda c: [audit_of(row) for row in rows(c, query)])

    async def verify(self) -> Proof:
        """Prove the whole trail."""
        return await self._ledger.read(prove_trail)


def prove_trail(connection: Connection) -> Proof:
    """Prove the trail as it is within a transaction."""
    found = rows(connection, select(audit).order_by(audit.c.seq))
    return verify_audit((audit_of(row), row.id, row.hash) for row in found)
