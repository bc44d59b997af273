"""`sublet ledger`: prove it, look at it, back it up and restore it; and who said or decided what."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, TypeVar

from sublet.api.times import Millis, format_instant, parse_instant
from sublet.api.wording import how_many
from sublet.cli.choices import Format
from sublet.cli.connect import run
from sublet.cli.ledger_source import AuditQuery, Place, Source, open_source
from sublet.cli.output import show_data, show_rows
from sublet.cli.problems import Problem
from sublet.ledger.chain import Proof
from sublet.ledger.entry import GENESIS_HASH
from sublet.ledger.line import write_line
from sublet.ledger.port import LedgerUnavailable
from sublet.store import keeping

T = TypeVar("T")

BROKEN: Final = 1
UNREAD: Final = 2
_MOST: Final = 2**63 - 1
"""Lines that a database can count."""


def verify(place: Place, head: str | None, output: Format) -> None:
    """Prove the ledger and say so, or what is wrong."""

    async def work(source: Source) -> None:
        wanted = _parse_head(head)
        proof, trail = await source.verify()
        fault = proof.fault or trail.fault
        if fault is None and wanted is not None:
            line, hash_ = wanted
            # before the first line stands what every ledger begins with
            found = (await source.position(min(line, _MOST)))[2] if line else GENESIS_HASH
            if found != hash_:
                fault = f"line {line} isn't the one that was published"
        if not show_data(_as_data(proof, trail, fault), output):
            lines = (
                f"{how_many(proof.entries, 'line')} and {how_many(trail.entries, 'audit record')}"
            )
            print(fault or f"{lines} are whole; head {proof.entries}:{proof.head}")
        if fault is not None:
            raise SystemExit(BROKEN)

    _read(work, place)


def head(place: Place, output: Format) -> None:
    """Show the last line's number and hash."""

    async def work(source: Source) -> None:
        count, hash_, _ = await source.position()
        if not show_data({"entries": count, "head": hash_}, output):
            print(f"{count}:{hash_}")

    _read(work, place)


def show(place: Place, first: int | None, count: int, output: Format) -> None:
    """Show lines of the ledger: from `first` on, or the last ones."""

    async def work(source: Source) -> None:
        after = min(first, _MOST) - 1 if first else max(0, (await source.position())[0] - count)
        lines = await source.lines(after, min(count, _MOST))
        columns = ["line", "at", "kind", "type", "gpus", "subject", "lease uid", "tenant uid"]
        is_wide = output in (Format.WIDE, Format.CSV)
        more = ["price hash", "tags hash", "id"] if is_wide else []
        rows = []
        for line in lines:
            f = line.fact
            row = [line.seq, format_instant(f.at_ms), f.kind.value, f.type.value, f.gpus]
            row += [f.claim_uid, f.lease_uid, f.tenant_uid]
            rows.append([*row, *([f.price_hash, f.tags_hash, f.id] if more else [])])
        show_rows([write_line(line) for line in lines], output, [*columns, *more], rows)

    _read(work, place)


def audit(
    place: Place, claim: str | None, lease: str | None, since: str | None, output: Format
) -> None:
    """Show records of the audit trail."""

    async def work(source: Source) -> None:
        since_ms = _instant(since) if since else None
        found = await source.audit(AuditQuery(claim, lease, since_ms))
        data = [{"seq": x.seq, **asdict(x.record)} for x in found]
        columns = ["at", "what", "who", "subject", "lease", "before", "after", "reason"]
        is_wide = output in (Format.WIDE, Format.CSV)
        more = ["kind", "subject uid"] if is_wide else []
        rows = []
        for x in (line.record for line in found):
            row = [format_instant(x.at_ms), x.what, x.who, x.subject or x.subject_uid]
            row += [x.lease, x.before, x.after, x.reason]
            rows.append([*row, *([x.kind, x.subject_uid] if more else [])])
        show_rows(data, output, [*columns, *more], rows)

    _read(work, place)


def backup(file: Path, database: str | None) -> None:
    """Write the ledger into a file."""

    async def work() -> None:
        url = given(database)
        header = await _kept(lambda: keeping.backup(url, file.expanduser()))
        print(
            f"{how_many(header.entries, 'line')} saved in {file}; head {header.entries}:{header.head}"
        )

    run(work, what=str(file))


def restore(file: Path, database: str | None) -> None:
    """Bring a file's lines into a database."""

    async def work() -> None:
        url = given(database)
        done = await _kept(lambda: keeping.restore(url, file.expanduser()))
        there = done.header
        print(
            f"{how_many(done.added, 'line')} added; the ledger is whole; head {there.entries}:{there.head}"
        )

    run(work, what=str(file))


async def _kept(work: Callable[[], T]) -> T:
    try:
        return await asyncio.to_thread(work)
    except LedgerUnavailable as error:
        raise Problem(str(error)) from error


def _read(work: Callable[[Source], Awaitable[None]], place: Place) -> None:
    """Run a command that reads the ledger; what can't be read is one line and exit status 2."""

    async def all_of_it() -> None:
        async with open_source(place) as source:
            await work(source)

    run(all_of_it, what="the ledger", status=UNREAD)


def given(database: str | None) -> str:
    """Return the database that was named; Problem if none was."""
    if database is None:
        raise Problem("say which ledger: --database URL, or SUBLET_DATABASE_URL")
    return database


def _parse_head(text: str | None) -> tuple[int, str] | None:
    if text is None:
        return None
    line, _, hash_ = text.partition(":")
    if not (line.isascii() and line.isdecimal() and hash_):
        raise Problem("give --head as LINE:HASH, as `sublet ledger head` prints it")
    return int(line), hash_


def _instant(text: str) -> Millis:
    try:
        return parse_instant(text)
    except ValueError as error:
        raise Problem(f"--since: {error}; give instants as 2026-11-22T10:00:00Z") from None


def _as_data(proof: Proof, trail: Proof, fault: str | None) -> dict[str, Any]:
    return {
        "entries": proof.entries,
        "head": proof.head,
        "fault": fault,
        "auditRecords": trail.entries,
        "auditHead": trail.head,
    }
