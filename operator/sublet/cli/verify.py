"""`sublet verify`: reads hub, leased clusters and ledger, and says which invariants don't hold. Changes nothing.

A system that lives always has something on its way, so what was seen once is looked at again: what must hold after every
write counts if a second reading shows it too, what holds only at rest if it stays so for as long as the person waits.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from sublet.api.wording import how_many
from sublet.cli.choices import Format
from sublet.cli.connect import checked_name, connect, run
from sublet.cli.lines import one_line
from sublet.cli.output import show_data
from sublet.cli.verify_ledger import open_ledger
from sublet.cli.ways import leased_clusters, parse_contexts
from sublet.verify.find import find_violations
from sublet.verify.reader import WorldReader
from sublet.verify.violation import Violation
from sublet.verify.world import World

Json = dict[str, Any]

WELL: Final = 0
VIOLATED: Final = 1
UNREAD: Final = 2
_PAUSE_SECONDS: Final = 1.0


class Verdict:
    """What was found, and in which reading last."""

    def __init__(self, world: World, violations: Sequence[Violation]) -> None:
        self.world = world
        self.violations = sorted(violations, key=lambda v: (v.id, v.subject, v.message))

    @property
    def status(self) -> int:
        """Return the exit status: 1 if anything is wrong, 2 if something couldn't be read, else 0."""
        if self.violations:
            return VIOLATED
        return UNREAD if self.world.unknown else WELL


@dataclass(frozen=True, slots=True)
class Ways:
    """How what is checked is reached, as the person said it."""

    database: str | None
    admin: str | None
    clusters: Sequence[str]
    """Each LEASE=CONTEXT."""
    context: str | None
    operator_namespace: str


def command(ways: Ways, patience_seconds: float, output: Format) -> None:
    """Look, judge and show; the exit status says how it came out."""

    async def work() -> Verdict:
        where = checked_name(ways.operator_namespace, what="namespace", label=True)
        contexts = parse_contexts(ways.clusters)
        async with (
            connect(ways.context) as hub,
            open_ledger(ways.database, ways.admin) as ledger,
            leased_clusters(hub, where, contexts) as (clusters, missing),
        ):
            reader = WorldReader(hub, clusters, ledger, missing=missing)
            return await judge(reader, patience_seconds)

    async def all_of_it() -> None:
        verdict = await work()
        if not show_data(as_data(verdict), output):
            show(verdict)
        if verdict.status != WELL:
            raise SystemExit(verdict.status)

    run(all_of_it, what="the system", status=UNREAD)


async def judge(reader: WorldReader, patience_seconds: float) -> Verdict:
    """Read once and, if anything is wrong, again: until nothing is, or the patience is over."""
    world = await reader.read()
    eventual = set(find_violations(world, settled=True))
    always = set(find_violations(world, settled=False))
    deadline = time.monotonic() + patience_seconds
    first = True
    while eventual and (first or time.monotonic() < deadline):
        await asyncio.sleep(min(_PAUSE_SECONDS, patience_seconds))
        world = await reader.read()
        if first:
            always &= set(find_violations(world, settled=False))
        eventual, first = eventual & set(find_violations(world, settled=True)), False
    return Verdict(world, list(always | eventual))


def as_data(verdict: Verdict) -> Json:
    """Return the verdict for programs."""
    return {
        "violations": [
            {"id": v.id, "subject": v.subject, "message": v.words} for v in verdict.violations
        ],
        "unknown": [asdict(each) for each in verdict.world.unknown],
        "unchecked": dict(verdict.world.unchecked),
        "checked": counts(verdict.world),
    }


def show(verdict: Verdict) -> None:
    """Print one line for each violation, then what is unknown, what wasn't looked at, and how much was."""
    for violation in verdict.violations:
        print(one_line(str(violation)))
    for each in verdict.world.unknown:
        print(one_line(f"unknown: {each.subject}: {each.message}"))
    for what, why in sorted(verdict.world.unchecked.items()):
        print(one_line(f"not checked: {what}: {why}"))
    looked = ", ".join(f"{count} {what}" for what, count in counts(verdict.world).items())
    wrong, unknown = len(verdict.violations), len(verdict.world.unknown)
    print(f"checked {looked}: {how_many(wrong, 'violation')}, {unknown} unknown")


def counts(world: World) -> dict[str, int]:
    """Return how much was looked at: what -> how many."""
    found = {
        "claims": len(world.claims),
        "leases": len(world.leases),
        "nodes": sum(len(c.nodes or ()) for c in world.clusters),
        "namespaces": sum(len(c.namespaces or ()) for c in world.clusters),
        "pods": sum(len(c.pods or ()) for c in world.clusters),
        "secrets": len(world.secrets or ()),
    }
    return found | ({"ledger lines": len(world.ledger.entries)} if world.ledger else {})
