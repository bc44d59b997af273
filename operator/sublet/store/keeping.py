"""Backup and restore of a ledger: one file, any store. Called by the command line, with the database at hand.

A backup is taken of one state, which a running operator may leave behind, and only of a ledger that proves itself. A restore writes in one transaction, and
only into a ledger that is a beginning of the backup, such as an empty one: lines are added, never changed.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final, TypeVar

from sqlalchemy import ColumnElement, Connection, Engine, select, update
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from sublet.files import replaced
from sublet.ledger.audit import read_audit, write_audit
from sublet.ledger.chain import texts_fault, walk
from sublet.ledger.line import read_line, write_line
from sublet.store.appending import head_of, insert, insert_entries, keep_texts
from sublet.store.archive import Header, Item, check_archive, read_archive, write_archive
from sublet.store.database import check_schema, migrate, open_engine
from sublet.store.outbox import forward, ledger_id
from sublet.store.rows import audit_of, audit_row, row_of
from sublet.store.sql import begin, prove, rows, stored
from sublet.store.tables import audit, cursors, identity, intents, notices, terms
from sublet.store.trail import prove_trail
from sublet.store.troubles import unavailable

_ROWS: Final = 2_000
T = TypeVar("T")


class NotABeginning(ValueError):
    """The ledger to restore into isn't a beginning of the backup; nothing was written."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did."""

    header: Header
    """Of the backup."""
    added: int
    """Lines that weren't there."""


def backup(url: str, path: Path) -> Header:
    """Write a ledger into a file, and read it again; ValueError if it is broken, LedgerUnavailable if it is away.

    What can't be restored doesn't take an older backup's place. Only its owner may read the file.
    """
    engine = open_engine(url, read_only=True)

    def work() -> Header:
        check_schema(engine)
        with replaced(path) as draft:
            with draft.open("wb") as file, begin(engine, snapshot=True) as connection:
                header = _header(connection)
                write_archive(file, header, _items(connection, header))
            check_archive(draft)
        return header

    return _told(engine, work)


def restore(url: str, path: Path) -> Restored:
    """Bring a backup's lines into a ledger, or into an empty database; BadArchive or NotABeginning if that can't be."""
    header = check_archive(path)
    engine = open_engine(url)

    def work() -> Restored:
        _make_private(engine)
        migrate(engine)
        with begin(engine) as connection:
            return Restored(header, _fill(connection, header, path))

    return _told(engine, work)


def _make_private(engine: Engine) -> None:
    """Make a SQLite file that isn't there yet for its owner's eyes, as the backup is; its log gets the same mode."""
    name = engine.url.database or ""
    if engine.dialect.name == "sqlite" and not name.startswith((":", "file:")):
        with suppress(OSError):  # it is there, or the library says what is wrong with it
            os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode=0o600))


def _told(engine: Engine, work: Callable[[], T]) -> T:
    try:
        return work()
    except (DBAPIError, SQLAlchemyError) as error:
        raise unavailable(error) from error
    finally:
        engine.dispose()


def _header(connection: Connection) -> Header:
    return Header(ledger_id(connection), *head_of(connection), *head_of(connection, audit))


def _items(connection: Connection, header: Header) -> Iterator[Item]:
    """Yield what a backup holds, and prove it on the way."""
    for row in rows(connection, select(terms).order_by(_plain(connection, terms.c.hash))):
        yield "text", [row.hash, row.text]
    text_fault = texts_fault((r.hash, r.text) for r in rows(connection, select(terms)))
    head = None
    for entry, proof in walk(stored(connection), text_fault):
        if proof.fault is not None:
            raise ValueError(f"the ledger is broken, nothing was written: {proof.fault}")
        head = proof.head
        yield "entry", write_line(entry)
    if header.entries and head != header.head:
        raise ValueError("the ledger is broken, nothing was written: its last line was changed")
    trail = prove_trail(connection)
    if trail.fault is not None:
        raise ValueError(f"the audit trail is broken, nothing was written: {trail.fault}")
    for row in rows(connection, select(audit).order_by(audit.c.seq)):
        yield "audit", write_audit(audit_of(row))
    by_claim = (_plain(connection, intents.c.claim_uid), intents.c.sequence)
    for row in rows(connection, select(intents).order_by(*by_claim)):
        yield "intent", list(row)
    for row in rows(connection, select(notices).order_by(notices.c.number)):
        yield "notice", list(row)
    for row in rows(connection, select(cursors).order_by(cursors.c.name)):
        yield "cursor", list(row)


def _fill(connection: Connection, header: Header, path: Path) -> int:
    """Add what is missing and prove the whole; whatever is raised takes it all back."""
    there, trail = head_of(connection), head_of(connection, audit)
    if there[0] > header.entries or trail[0] > header.audit:
        raise _not_a_beginning(f"it has {there[0]} lines and the backup {header.entries}")
    items = read_archive(path)
    next(items)
    added = 0
    while some := list(islice(items, _ROWS)):
        parts: dict[str, list[Any]] = {}
        for part, value in some:  # type: ignore[misc]  # only the first is a header
            parts.setdefault(part, []).append(value)
        keep_texts(connection, dict(parts.get("text", ())))
        added += _add_entries(connection, parts.get("entry", ()), there)
        _add_audit(connection, parts.get("audit", ()), trail)
        for table, name in ((intents, "intent"), (notices, "notice")):
            new = [dict(zip(table.columns.keys(), v, strict=True)) for v in parts.get(name, ())]
            if new:
                connection.execute(insert(connection, table).on_conflict_do_nothing(), new)
        for name, position in parts.get("cursor", ()):
            forward(connection, name, position)
    connection.execute(update(identity).values(ledger_id=header.ledger))
    _prove(connection, header)
    return added


def _add_entries(connection: Connection, items: Iterable[Any], there: tuple[int, str]) -> int:
    new = []
    for item in items:
        entry, id_ = read_line(item)
        if entry.seq == there[0] and entry.hash != there[1]:
            raise _not_a_beginning(f"its line {entry.seq} isn't the backup's")
        if entry.seq > there[0]:
            new.append(row_of(entry, id_, entry.hash))
    insert_entries(connection, new)
    return len(new)


def _add_audit(connection: Connection, items: Iterable[Any], there: tuple[int, str]) -> None:
    new = []
    for item in items:
        line = read_audit(item)
        if line.seq == there[0] and line.hash != there[1]:
            raise _not_a_beginning(f"line {line.seq} of its audit trail isn't the backup's")
        if line.seq > there[0]:
            new.append(audit_row(line))
    if new:
        connection.execute(audit.insert(), new)


def _prove(connection: Connection, header: Header) -> None:
    proof, trail = prove(connection), prove_trail(connection)
    fault = proof.fault or trail.fault
    found = (proof.entries, proof.head, trail.entries, trail.head)
    if fault is None and found != (header.entries, header.head, header.audit, header.audit_head):
        fault = "it ends otherwise than the backup"
    if fault is not None:
        raise NotABeginning(
            f"the ledger there is broken ({fault}); nothing was written: restore into an empty database"
        )


def _not_a_beginning(why: str) -> NotABeginning:
    return NotABeginning(
        f"the ledger there is no beginning of the backup: {why}; nothing was written: restore into an empty database, "
        "and look which of the two is the right one"
    )


def _plain(connection: Connection, column: ColumnElement[str]) -> ColumnElement[str]:
    """Return a column to order by as bytes, whatever the database's locale."""
    return column.collate("C") if connection.dialect.name == "postgresql" else column
