"""The three commands as a person sees them: their options, the words that explain them, and what they print."""

import asyncio
from collections.abc import Collection
from pathlib import Path
from typing import Annotated

import typer

from sublet.api.times import format_instant
from sublet.cli.connect import Cluster, checked_name, connect, run
from sublet.cli.identity import own_name
from sublet.cli.keeping import adopt as adopting, backup as saving, books, restore as restoring
from sublet.cli.keeping.archive import Archive, Position, from_text, to_text
from sublet.cli.keeping.mapping import Hub, Row, Verdict, digest_of, strangers
from sublet.cli.keeping.possession import Possession
from sublet.cli.onboarding.nodes import counted
from sublet.cli.output import show_table
from sublet.cli.problems import Problem
from sublet.clock import SystemClock

Context = Annotated[
    str | None,
    typer.Option("--context", metavar="CONTEXT", help="The hub, if not your current context."),
]
Namespace = Annotated[str, typer.Option(metavar="NAME", help="The operator's namespace.")]
Admin = Annotated[
    str | None,
    typer.Option(
        metavar="URL", help="The operator's admin endpoint, if no port-forward is wanted."
    ),
]
NoLedger = Annotated[
    bool, typer.Option("--without-ledger", help="Don't ask the operator about the ledger.")
]


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command()(backup)
    app.command()(restore)
    app.command()(adopt)


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write it.")],
    context: Context = None,
    namespace: Namespace = "sublet-system",
    admin: Admin = None,
    without_ledger: NoLedger = False,
    with_credentials: Annotated[
        bool,
        typer.Option(
            "--with-credentials",
            help="The leased clusters' credentials too. Whoever has the file then has the clusters.",
        ),
    ] = False,
) -> None:
    """Write Sublet's objects on the hub, with their status, into a file.

    Names and prices of all parties are in it, and no Secret: tenants' kubeconfigs are made anew. The ledger is in its
    database and is backed up there; the file says how far it was.
    """

    async def work() -> None:
        where = checked_name(namespace, what="namespace", label=True)
        async with connect(context) as hub:
            ledger = None
            if not without_ledger:
                async with books.endpoint(hub, context, where, admin) as base:
                    ledger = await books.position(base)
            archive = await saving.collect(
                hub,
                SystemClock().now_ms(),
                ledger,
                secrets_of=where if with_credentials else None,
            )
        await asyncio.to_thread(saving.write, file.expanduser(), to_text(archive))
        print(f"{counted(len(archive.objects), 'object')} saved in {file}{_and_ledger(ledger)}")
        if archive.credentials:
            print(
                f"with {counted(len(archive.credentials), 'credential')} of leased clusters: keep it as you keep those"
            )

    run(work, what=str(file))


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `sublet backup` wrote.")],
    context: Context = None,
    namespace: Namespace = "sublet-system",
    admin: Admin = None,
    without_ledger: NoLedger = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be done and change nothing.")
    ] = False,
    yes: Annotated[
        bool,
        typer.Option(
            "--yes", help="Bring objects that are there in an older state to the backup's."
        ),
    ] = False,
) -> None:
    """Make a backup's objects again on the hub, held until `sublet adopt`.

    What is there in a newer state, or is another object of that name, always stays. It may be run again after a break.
    """

    async def work() -> None:
        where = checked_name(namespace, what="namespace", label=True)
        text = await asyncio.to_thread(file.expanduser().read_text)
        archive = from_text(text)
        async with connect(context) as hub:
            print(f"backup of {format_instant(archive.taken_ms)}, of hub {archive.hub_uid}")
            if archive.ledger is not None and not without_ledger:
                async with books.endpoint(hub, context, where, admin) as base:
                    print(await books.compare(base, archive.ledger))
            await _restore(hub, archive, dry_run=dry_run, agreed=yes)

    run(work, what=str(file))


async def _restore(hub: Cluster, archive: Archive, *, dry_run: bool, agreed: bool) -> None:
    orders = await restoring.look(hub, archive)
    restoring.show(orders)
    if dry_run:
        print("nothing was written (--dry-run)")
        return
    count = await restoring.restore(hub, archive, orders, agreed=agreed)
    print(f"{counted(count, 'object')} written; see `sublet adopt --map` before anything else")


def adopt(
    show_map: Annotated[
        bool, typer.Option("--map", help="Show old and new UID of all that was restored.")
    ] = False,
    yes: Annotated[
        str | None,
        typer.Option(
            "--yes", metavar="DIGEST", help="Agree to the map that was shown with this digest."
        ),
    ] = None,
    context: Context = None,
    namespace: Namespace = "sublet-system",
    admin: Admin = None,
) -> None:
    """Say that restored objects are the ones they were before.

    Compares them with what the leased clusters' nodes and the ledger say, shows the map with --map, and adopts with --yes and the
    digest of the map that you saw. Until then nothing is planned, sold or taken back.
    """

    async def work() -> None:
        if show_map == (yes is not None):
            raise Problem("give --map to look, or --yes with the digest of the map you saw")
        where = checked_name(namespace, what="namespace", label=True)
        async with connect(context) as hub:
            async with books.endpoint(hub, context, where, admin) as base:
                terms = await books.last_terms(base)
            rows, found, seen = await adopting.read_map(hub, where, terms)
            if not rows:
                raise Problem("nothing on this hub was restored: there is nothing to adopt")
            if yes is None:
                _show(rows, found, seen)
                return
            await _adopt(hub, rows, yes, {u for u, t in terms.items() if t.end_ms is None})

    run(work, what="adoption")


def _show(rows: list[Row], found: Hub, seen: dict[str, Possession]) -> None:
    columns = ("kind", "name", "old uid", "new uid", "verdict", "why")
    show_table(columns, [[r.kind.name, r.key, r.old, r.new, r.verdict.value, r.note] for r in rows])
    for node, uid, gpus in strangers(found, seen):
        print(
            f"node {node} holds {gpus} GPUs for claim {uid}, which the hub doesn't know: they stay held"
        )
    if any(r.verdict in (Verdict.ADOPT, Verdict.END) for r in rows):
        print(f"\nIf this is right:\n  sublet adopt --yes {digest_of(rows)}")


async def _adopt(hub: Cluster, rows: list[Row], yes: str, billed: Collection[str]) -> None:
    if unfinished := [r.key for r in rows if r.verdict is Verdict.UNFINISHED]:
        raise Problem(
            f"{unfinished[0]} wasn't restored completely; run `sublet restore` again (delete it if no backup has it)"
        )
    if digest_of(rows) != yes:
        raise Problem(
            f"the map isn't the one with digest {yes}: something changed; look again with --map"
        )
    word = adopting.Word(await own_name(hub), SystemClock().now_ms())
    todo = [r for r in rows if r.verdict in (Verdict.ADOPT, Verdict.END)]
    for row in todo:
        await adopting.adopt(hub, row, word, billed)
        print(f"{row.kind.name} {row.key} goes by {row.old}")
    waiting = sum(r.verdict in (Verdict.WAIT, Verdict.DIFFERS) for r in rows)
    left = f"; {waiting} stay held, see `sublet adopt --map`" if waiting else ""
    print(f"{counted(len(todo), 'object')} adopted{left}")


def _and_ledger(ledger: Position | None) -> str:
    return f"; the ledger is at line {ledger.entries}" if ledger is not None else ""
