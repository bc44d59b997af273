"""Lines of the ledger and of the audit trail as rows of their tables, and back."""

from dataclasses import asdict
from typing import Any

from sqlalchemy import Row, Select, case, func, select

from sublet.api.ids import ClaimUID, LeaseUID, TenantUID
from sublet.api.times import Millis
from sublet.ledger.audit import AuditLine, AuditRecord
from sublet.ledger.chain import Stored
from sublet.ledger.entry import Entry, EntryKind, EntryType, Fact
from sublet.ledger.interval import BrokenLedger
from sublet.store.tables import entries

_RECORD = tuple(AuditRecord.__dataclass_fields__)


def entry_of(row: Row[Any]) -> Entry:
    """Return the line that a row says; BrokenLedger if it is none."""
    try:
        kind, type_ = EntryKind(row.kind), EntryType(row.type)
    except ValueError as error:
        raise BrokenLedger(
            f"line {row.seq} is no line that this version of sublet knows ({error}): it was changed, or written by a newer one"
        ) from None
    fact = Fact(
        claim_uid=ClaimUID(row.claim_uid),
        sequence=row.sequence,
        tenant_uid=TenantUID(row.tenant_uid),
        lease_uid=LeaseUID(row.lease_uid),
        kind=kind,
        type=type_,
        gpus=row.gpus,
        at_ms=Millis(row.at_ms),
        price_hash=row.price_hash,
        tags_hash=row.tags_hash,
        source_version=row.source_version,
    )
    return Entry(row.seq, fact, row.previous_hash)


def last_bill(claim_uid: ClaimUID) -> Select[int | None, int | None]:
    """Return the question until when a claim was billed, and for which reservation last; None if it never was."""
    ended = case((entries.c.type == EntryType.CLOSE, entries.c.at_ms))
    found = select(func.max(ended), func.max(entries.c.sequence))
    return found.where(entries.c.claim_uid == claim_uid, entries.c.kind == EntryKind.BOUND)


def stored_of(row: Row[Any]) -> Stored:
    """Return the line with the id and the hash that stand beside it."""
    return Stored(entry_of(row), row.id, row.hash)


def row_of(entry: Entry, fact_id: str, hash_: str) -> tuple[Any, ...]:
    """Return the row of a line in the order of the table's columns; its id and hash are at hand."""
    fact = entry.fact
    return (
        entry.seq,
        fact_id,
        entry.previous_hash,
        hash_,
        fact.claim_uid,
        fact.sequence,
        fact.tenant_uid,
        fact.lease_uid,
        str(fact.kind),
        str(fact.type),
        fact.gpus,
        fact.at_ms,
        fact.price_hash,
        fact.tags_hash,
        fact.source_version,
    )


def audit_of(row: Row[Any]) -> AuditLine:
    """Return the line of the trail that a row says."""
    record = AuditRecord(**{name: getattr(row, name) for name in _RECORD})
    return AuditLine(row.seq, record, row.previous_hash)


def audit_row(line: AuditLine) -> dict[str, Any]:
    """Return the row of a line of the trail."""
    place = {"seq": line.seq, "id": line.record.id, "previous_hash": line.previous_hash}
    return place | {"hash": line.hash} | asdict(line.record)
