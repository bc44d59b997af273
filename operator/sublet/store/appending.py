"""Appending to the ledger within one transaction: facts, the texts of their hashes, and what a person said of money.

Two writers on one database can't fork the chain: each line names the one before it, uniquely, so the later of two gets an
IntegrityError, which whoever runs the transaction answers by trying again on the new head.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Row, Table, select
from sqlalchemy.dialects import postgresql, sqlite

from sublet.ledger.audit import AuditLine, AuditRecord
from sublet.ledger.entry import BESIDE, GENESIS_HASH, Entry, EntryKind, EntryType, Fact, line_hash
from sublet.ledger.past import Past
from sublet.ledger.port import Disagreement, LedgerConflict
from sublet.ledger.texts.adjustment import Adjustment
from sublet.ledger.texts.agreement import agree
from sublet.store.following import Following, may_share
from sublet.store.rows import audit_row, entry_of, row_of
from sublet.store.tables import audit, entries, terms

BATCH: Final = 500
"""Bound parameters per statement have limits."""

_NAMES: Final = ", ".join(f'"{c.name}"' for c in entries.columns)
_INSERT: Final = {
    name: f"INSERT INTO entries ({_NAMES}) VALUES ({', '.join([place] * len(entries.columns))})"  # noqa: S608  our own names
    for name, place in (("sqlite", "?"), ("postgresql", "%s"))
}
"""dialect -> statement that takes a row as `row_of` makes it"""


class Order(NamedTuple):
    """What one caller wants appended."""

    facts: list[Fact]
    texts: dict[str, str]
    """hash -> text"""
    records: list[AuditRecord]
    """For the audit trail."""
    past: Past | None = None
    """Of the claim whose lines all the facts are."""


def head_of(connection: Connection, table: Table = entries) -> tuple[int, str]:
    """Return how many lines a chained table has, and the last one's hash."""
    query = select(table.c.seq, table.c.hash).order_by(table.c.seq.desc()).limit(1)
    last = connection.execute(query).first()
    return (last.seq, last.hash) if last is not None else (0, GENESIS_HASH)


def append_all(connection: Connection, orders: Sequence[Order]) -> list[int]:
    """Append in order; return how many lines of each order were new. Raises LedgerConflict."""
    # before all else that is read: what another writer adds from here on makes these lines fail, and be decided anew
    lines = _Lines(*head_of(connection))
    numbered = [([(f.id, f) for f in o.facts], o) for o in orders]
    known = _known(connection, [id_ for facts, _ in numbered for id_, _ in facts])
    following = Following(
        connection,
        (f for facts, _ in numbered for id_, f in facts if id_ not in known or may_share(f)),
    )
    counts = []
    said = [record for order in orders for record in order.records]
    for facts, order in numbered:
        keep_texts(connection, order.texts)
        before = len(lines.rows)
        for id_, fact in facts:
            content = fact.content
            if id_ in known:
                line, there = known[id_]
                if there != content and not _holds(connection, fact, there):
                    raise LedgerConflict(
                        f"entry {id_} of claim {fact.claim_uid} is there with other content",
                        Disagreement(fact.claim_uid, line, there, content),
                    )
                new = following.fit_known(fact)
            else:
                new = following.fit(fact)
            for each in new:
                its_id, its_content = (id_, content) if each is fact else (each.id, each.content)
                known[its_id] = lines.add(each, its_id, its_content)
            if fact.kind is EntryKind.ADJUSTMENT and fact.price_hash in order.texts:
                said.append(_adjusted(fact, order.texts[fact.price_hash]))
        for end in following.ends(dict(facts), order.past):
            known[end.id] = lines.add(end, end.id, end.content)
        counts.append(len(lines.rows) - before)
    insert_entries(connection, lines.rows)
    if said:
        append_records(connection, said)
    return counts


class _Lines:
    """Rows of new lines, each joined to the one before it."""

    def __init__(self, seq: int, head: str) -> None:
        self._seq, self._head = seq, head
        self.rows: list[tuple[Any, ...]] = []

    def add(self, fact: Fact, id_: str, content: str) -> tuple[int, str]:
        """Add a line; return its number and its content."""
        self._seq += 1
        hash_ = line_hash(self._head, self._seq, id_, content, fact.source_version)
        self.rows.append(row_of(Entry(self._seq, fact, self._head), id_, hash_))
        self._head = hash_
        return self._seq, content


def insert_entries(connection: Connection, rows: list[tuple[Any, ...]]) -> None:
    """Insert lines as `row_of` makes them."""
    if rows:
        # plain text and tuples: binding by name costs as much as all the rest of a line
        connection.exec_driver_sql(_INSERT[connection.dialect.name], rows)


def append_records(connection: Connection, records: Iterable[AuditRecord]) -> int:
    """Append to the audit trail what isn't there by its id; return how much was new."""
    by_id = {r.id: r for r in reversed(list(records))}  # the first of two that are the same
    ids = list(by_id)
    known: set[str] = set()
    for start in range(0, len(ids), BATCH):
        query = select(audit.c.id).where(audit.c.id.in_(ids[start : start + BATCH]))
        known |= set(connection.execute(query).scalars())
    seq, head = head_of(connection, audit)
    rows = []
    for record in sorted(
        (r for i, r in by_id.items() if i not in known), key=lambda r: (r.at_ms, r.id)
    ):
        seq += 1
        line = AuditLine(seq, record, head)
        rows.append(audit_row(line))
        head = line.hash
    if rows:
        connection.execute(audit.insert(), rows)
    return len(rows)


def keep_texts(connection: Connection, texts: Mapping[str, str]) -> None:
    """Keep texts by their hashes; what is there stays."""
    pairs = sorted(texts.items())
    for start in range(0, len(pairs), BATCH):
        rows = [{"hash": key, "text": text} for key, text in pairs[start : start + BATCH]]
        connection.execute(insert(connection, terms).values(rows).on_conflict_do_nothing())


def insert(connection: Connection, table: Table) -> Any:
    """Return an INSERT that can say ON CONFLICT."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    return dialect.insert(table)


def _holds(connection: Connection, fact: Fact, there: str) -> bool:
    """Say whether what is there of a happening holds though a fact says it in another text."""
    if fact.kind is EntryKind.PERIOD:
        return True  # it is closed by whoever is first, with the ledger as it was then
    said = json.loads(there)
    if fact.kind in BESIDE and fact.type is EntryType.CLOSE and said["gpus"] != fact.gpus:
        return True  # it ended another interval then; the one whose end is reported was over before, see `Following`
    before = said["price_hash"]
    if replace(fact, price_hash=before).content != there:
        return False
    query = select(terms).where(terms.c.hash.in_([before, fact.price_hash]))
    texts = {row.hash: row.text for row in connection.execute(query)}
    return texts.keys() == {before, fact.price_hash} and agree(
        texts[before], texts[fact.price_hash]
    )


def _known(connection: Connection, ids: list[str]) -> dict[str, tuple[int, str]]:
    """Return what is there of these ids: id -> line and content."""
    found: dict[str, tuple[int, str]] = {}
    for start in range(0, len(ids), BATCH):
        query = select(entries).where(entries.c.id.in_(ids[start : start + BATCH]))
        rows: list[Row[Any]] = list(connection.execute(query))
        found |= {row.id: (row.seq, entry_of(row).fact.content) for row in rows}
    return found


def _adjusted(fact: Fact, text: str) -> AuditRecord:
    """Return the record of an adjustment, which is a person's word and a line of the ledger at once."""
    said = Adjustment.read(text)
    return AuditRecord(
        what="adjust",
        who=said.by,
        kind="GpuTenant",
        subject_uid=fact.tenant_uid,
        subject=said.namespace,
        lease_uid="",
        lease="",
        key=fact.id,
        before="",
        after=f"{said.amount} {said.currency} for {said.period}",
        reason=said.reason,
        at_ms=fact.at_ms,
    )
