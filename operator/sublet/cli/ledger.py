"""`sublet ledger`: prove it, look at it, back it up and restore it; and who said or decided what."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import typer

from sublet.api.times import format_instant, parse_instant
from sublet.cli.connect import checked_name, run
from sublet.cli.ledger_source import AuditQuery, Source, open_source
from sublet.cli.output import Format, FormatOption, show_data, show_table
from sublet.cli.problems import Problem, fail
from sublet.ledger.chain import Proof
from sublet.ledger.line import write_line
from sublet.ledger.port import LedgerUnavailable
from sublet.store import keeping

T = TypeVar("T")

BROKEN: Final = 1
UNREAD: Final = 2

ledgers = typer.Typer(
    name="ledger",
    help="The ledger: prove it, look at it, back it up, restore it, and read its audit trail.",
    no_args_is_help=True,
)

Database = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        envvar="SUBLET_DATABASE_URL",
        help="The ledger's database: sqlite:///FILE or postgresql://…",
    ),
]
Admin = Annotated[
    str | None,
    typer.Option(
        metavar="URL", help="Read at the operator's admin endpoint; by a port-forward without both."
    ),
]
Context = Annotated[
    str | None,
    typer.Option("--context", metavar="CONTEXT", help="The hub, if not your current context."),
]
OperatorNamespace = Annotated[str, typer.Option(metavar="NAME", help="Where the operator runs.")]
File = Annotated[Path, typer.Argument(metavar="FILE", help="The backup.")]


@ledgers.command()
def verify(
    database: Database = None,
    admin: Admin = None,
    head: Annotated[
        str | None,
        typer.Option(
            metavar="LINE:HASH",
            help="A head that was published (`sublet ledger head`, a statement, a manifest): it must be in the ledger.",
        ),
    ] = None,
    context: Context = None,
    operator_namespace: OperatorNamespace = "sublet-system",
    output: FormatOption = Format.TABLE,
) -> None:
    """Prove that no line is missing, changed or put in, that intervals are whole and every text is there.

    Exit status: 0 the ledger is whole, 1 it isn't, 2 it couldn't be read.
    """

    async def work(source: Source) -> None:
        wanted = _parse_head(head)
        proof, trail = await source.verify()
        fault = proof.fault or trail.fault
        if fault is None and wanted is not None:
            _, _, found = await source.position(wanted[0])
            if found != wanted[1]:
                fault = f"line {wanted[0]} isn't the one that was published"
        if not show_data(_as_data(proof, trail, fault), output):
            lines = f"{proof.entries} lines and {trail.entries} audit records"
            print(fault or f"{lines} are whole; head {proof.entries}:{proof.head}")
        if fault is not None:
            raise SystemExit(BROKEN)

    _read(work, database, admin, context, operator_namespace)


@ledgers.command()
def head(
    database: Database = None,
    admin: Admin = None,
    context: Context = None,
    operator_namespace: OperatorNamespace = "sublet-system",
    output: FormatOption = Format.TABLE,
) -> None:
    """Print the last line's number and hash, as LINE:HASH. Whoever keeps it can prove all up to there."""

    async def work(source: Source) -> None:
        count, hash_, _ = await source.position()
        if not show_data({"entries": count, "head": hash_}, output):
            print(f"{count}:{hash_}")

    _read(work, database, admin, context, operator_namespace)


@ledgers.command()
def show(
    first: Annotated[
        int | None,
        typer.Option(
            "--from", metavar="LINE", min=1, help="The first line; the last ones without."
        ),
    ] = None,
    count: Annotated[int, typer.Option(metavar="N", min=1, help="How many.")] = 20,
    database: Database = None,
    admin: Admin = None,
    context: Context = None,
    operator_namespace: OperatorNamespace = "sublet-system",
    output: FormatOption = Format.TABLE,
) -> None:
    """Show lines of the ledger as they stand there."""

    async def work(source: Source) -> None:
        after = first - 1 if first else max(0, (await source.position())[0] - count)
        lines = await source.lines(after, count)
        if show_data([write_line(line) for line in lines], output):
            return
        columns = ["line", "at", "kind", "type", "gpus", "subject", "lease uid", "tenant uid"]
        more = ["price hash", "tags hash", "id"] if output is Format.WIDE else []
        rows = []
        for line in lines:
            f = line.fact
            row = [line.seq, format_instant(f.at_ms), f.kind.value, f.type.value, f.gpus]
            row += [f.claim_uid, f.lease_uid, f.tenant_uid]
            rows.append([*row, *([f.price_hash, f.tags_hash, f.id] if more else [])])
        show_table([*columns, *more], rows)

    _read(work, database, admin, context, operator_namespace)


@ledgers.command()
def audit(
    claim: Annotated[
        str | None,
        typer.Option(metavar="NAMESPACE/NAME|UID", help="Of this claim (or any object, by UID)."),
    ] = None,
    lease: Annotated[
        str | None, typer.Option(metavar="ALIAS|UID", help="That concern this lease.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(metavar="INSTANT", help="From then on: 2026-11-22T10:00:00Z.")
    ] = None,
    database: Database = None,
    admin: Admin = None,
    context: Context = None,
    operator_namespace: OperatorNamespace = "sublet-system",
    output: FormatOption = Format.TABLE,
) -> None:
    """Show who said or decided what, of which object, from what to what, and why."""

    async def work(source: Source) -> None:
        since_ms = parse_instant(since) if since else None
        found = await source.audit(AuditQuery(claim, lease, since_ms))
        if show_data([{"seq": x.seq, **asdict(x.record)} for x in found], output):
            return
        columns = ("what", "who", "subject", "lease", "before", "after", "reason")
        rows = [
            [format_instant(x.record.at_ms), *(getattr(x.record, c) for c in columns)]
            for x in found
        ]
        show_table(("at", *columns), rows)

    _read(work, database, admin, context, operator_namespace)


@ledgers.command()
def backup(file: File, database: Database = None) -> None:
    """Write the whole ledger into one file that proves itself. The operator may run meanwhile.

    Prices of all parties are in it. The same ledger gives the same bytes.
    """

    async def work() -> None:
        url = given(database)
        header = await _kept(lambda: keeping.backup(url, file.expanduser()))
        print(f"{header.entries} lines saved in {file}; head {header.entries}:{header.head}")

    run(work, what=str(file))


@ledgers.command()
def restore(file: File, database: Database = None) -> None:
    """Bring a backup into an empty database, or add what is new in it to the same ledger. Stop the operator before.

    The file is proven first, the ledger afterwards. A ledger that isn't a beginning of the backup is never changed.
    """

    async def work() -> None:
        url = given(database)
        done = await _kept(lambda: keeping.restore(url, file.expanduser()))
        there = done.header
        print(f"{done.added} lines added; the ledger is whole; head {there.entries}:{there.head}")

    run(work, what=str(file))


async def _kept(work: Callable[[], T]) -> T:
    try:
        return await asyncio.to_thread(work)
    except LedgerUnavailable as error:
        raise Problem(str(error)) from error


def _read(
    work: Callable[[Source], Awaitable[None]],
    database: str | None,
    admin: str | None,
    context: str | None,
    namespace: str,
) -> None:
    """Run a command that reads the ledger; what can't be read is one line and exit status 2."""

    async def all_of_it() -> None:
        try:
            where = checked_name(namespace, what="namespace", label=True)
            async with open_source(database, admin, context=context, namespace=where) as source:
                await work(source)
        except (Problem, LedgerUnavailable, ValueError) as error:
            fail(str(error), status=UNREAD)

    run(all_of_it, what="the ledger")


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


def _as_data(proof: Proof, trail: Proof, fault: str | None) -> dict[str, Any]:
    return {
        "entries": proof.entries,
        "head": proof.head,
        "fault": fault,
        "auditRecords": trail.entries,
        "auditHead": trail.head,
    }
