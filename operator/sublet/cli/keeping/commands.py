"""What the three commands do, one after the other, and what they print."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from sublet.api.kinds import CLAIMS
from sublet.api.times import format_instant
from sublet.api.wording import how_many
from sublet.cli.connect import Cluster, checked_name, connect, run
from sublet.cli.files import write_whole
from sublet.cli.identity import own_name
from sublet.cli.keeping import adopt as adopting, backup as saving, books, restore as restoring
from sublet.cli.keeping.archive import Archive, Position, from_text, to_text
from sublet.cli.keeping.mapping import Hub, Row, Verdict, digest_of, strangers
from sublet.cli.keeping.possession import Possession
from sublet.cli.lines import one_line
from sublet.cli.output import show_table
from sublet.cli.problems import Problem
from sublet.clock import SystemClock


@dataclass(frozen=True, slots=True)
class Place:
    """The hub, and the operator whose ledger is asked, as the person said it."""

    context: str | None
    namespace: str
    admin: str | None
    without_ledger: bool = False

    @property
    def operator_namespace(self) -> str:
        """Return the operator's namespace; Problem if none can be called so."""
        return checked_name(self.namespace, what="namespace", label=True)


def backup(file: Path, place: Place, *, with_credentials: bool) -> None:
    """Write the hub's objects into a file."""
    path = file.expanduser()

    async def work() -> None:
        where = place.operator_namespace
        async with connect(place.context) as hub:
            ledger = None
            if not place.without_ledger:
                async with books.endpoint(hub, place.context, where, place.admin) as base:
                    ledger = await books.position(base)
            archive = await saving.collect(
                hub,
                SystemClock().now_ms(),
                ledger,
                secrets_of=where if with_credentials else None,
            )
        await asyncio.to_thread(write_whole, path, to_text(archive))
        print(f"{how_many(len(archive.objects), 'object')} saved in {file}{_and_ledger(ledger)}")
        if archive.credentials:
            print(
                f"with {how_many(len(archive.credentials), 'credential')} of leased clusters: keep it as you keep those"
            )

    run(work, what=str(file))


def restore(file: Path, place: Place, *, dry_run: bool, agreed: bool) -> None:
    """Make a backup's objects again."""
    path = file.expanduser()

    async def work() -> None:
        where = place.operator_namespace
        raw = await asyncio.to_thread(path.read_bytes)
        archive = from_text(raw.decode(errors="replace"))  # its digest tells what isn't as it was
        async with connect(place.context) as hub:
            taken = format_instant(archive.taken_ms)
            print(one_line(f"backup of {taken}, of hub {archive.hub_uid}"))
            terms = None
            if archive.ledger is not None and not place.without_ledger:
                async with books.endpoint(hub, place.context, where, place.admin) as base:
                    print(await books.compare(base, archive.ledger))
                    terms = await books.last_terms(base)
            orders = await restoring.look(hub, archive, terms)
            await _restore(hub, archive, orders, dry_run=dry_run, agreed=agreed)

    run(work, what=str(file))


async def _restore(
    hub: Cluster,
    archive: Archive,
    orders: list[restoring.Order],
    *,
    dry_run: bool,
    agreed: bool,
) -> None:
    restoring.show(orders)
    if dry_run:
        print("nothing was written (--dry-run)")
        return
    count = await restoring.restore(hub, archive, orders, agreed=agreed)
    print(f"{how_many(count, 'object')} written; see `sublet adopt --map` before anything else")


def adopt(place: Place, yes: str | None, *, show_map: bool) -> None:
    """Show the map of what was restored, or agree to it."""

    async def work() -> None:
        if show_map == (yes is not None):
            raise Problem("give --map to look, or --yes with the digest of the map you saw")
        where = place.operator_namespace
        async with connect(place.context) as hub:
            async with books.endpoint(hub, place.context, where, place.admin) as base:
                terms = await books.last_terms(base)
            rows, found, seen = await adopting.read_map(hub, where, terms)
            if not rows and not found.held_unread:
                raise Problem("nothing on this hub was restored: there is nothing to adopt")
            if yes is None:
                _show(rows, found, seen)
                return
            await _adopt(hub, rows, yes, found)

    run(work, what="adoption")


def _show(rows: list[Row], found: Hub, seen: dict[str, Possession]) -> None:
    columns = ("kind", "name", "old uid", "new uid", "verdict", "why")
    lines = [[r.kind.name, r.key, r.old, r.new, r.verdict.value, r.note] for r in rows]
    lines += [[CLAIMS.name, u.key, u.old, u.new, "unread", u.why] for u in found.held_unread]
    show_table(columns, lines)
    for node, uid, gpus in strangers(found, seen):
        held = f"node {node} holds {how_many(gpus, 'GPU')} for claim {uid}"
        print(one_line(f"{held}, which the hub doesn't know: they stay held"))
    if any(r.verdict in (Verdict.ADOPT, Verdict.END) for r in rows):
        print(f"\nIf this is right:\n  sublet adopt --yes {digest_of(rows)}")


async def _adopt(hub: Cluster, rows: list[Row], yes: str, found: Hub) -> None:
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
        await adopting.adopt(hub, row, word)
        print(f"{row.kind.name} {row.key} goes by {row.old}")
    waiting = sum(r.verdict in (Verdict.WAIT, Verdict.DIFFERS) for r in rows)
    waiting += len(found.held_unread)
    left = f"; {waiting} stay held, see `sublet adopt --map`" if waiting else ""
    print(f"{how_many(len(todo), 'object')} adopted{left}")


def _and_ledger(ledger: Position | None) -> str:
    return f"; the ledger is at line {ledger.entries}" if ledger is not None else ""
