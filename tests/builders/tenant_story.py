"""Tenant stories: YAML that a person can read, rated and written as text that a person can read.

The lines of the ledger are written in the order of the story, so that evidence may come late. The expected texts lie beside the stories;
`python -m tests.builders.tenant_story` writes them anew, to be read before they are kept.
"""

import sys
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml

from sublet.api.ids import LeaseUID, TenantUID
from sublet.ledger.entry import EntryKind
from sublet.rating.books import Books
from sublet.rating.charges import charges
from sublet.rating.grid import Grid
from sublet.rating.netting import netting
from sublet.rating.periods import Bill, bill
from sublet.rating.sla import incidents_of
from sublet.rating.statement import Statement, by_namespace
from sublet.rating.tenancy import Tenancy, tenancy_of
from tests.builders.billing import Journal
from tests.builders.story_text import hours, instants, money, monies, table
from tests.builders.wholesale import at

FOLDER = Path(__file__).parents[1] / "unit" / "rating" / "golden_tenant"
HELD = {k.value: k for k in (EntryKind.BOUND, EntryKind.CANCELLED, EntryKind.DOWNTIME)}
Story = Mapping[str, Any]


def stories() -> list[Path]:
    """Return the stories' files."""
    return sorted(FOLDER.glob("*.yaml"))


def told(path: Path) -> str:
    """Return what a story comes to."""
    # strings only: instants and prices stay texts
    story = yaml.load(path.read_text(), yaml.BaseLoader)
    return "\n\n".join("\n".join(part) for part in _parts(story)) + "\n"


def _parts(story: Story) -> Iterator[list[str]]:
    journal = Journal()
    for line in story["ledger"]:
        _write(journal, line)
    books, show = journal.books(), story["show"]
    tenancy = tenancy_of(books, TenantUID("acme"))
    for month in show["months"]:
        made = bill(books, tenancy, month, at(show["asOf"]))
        grid = Grid(show.get("grid", "none"))
        yield _charges(tenancy, made, grid)
        yield _lines(made)
        yield from _split(made.statement, tenancy)
    for uid in show.get("landlords", []):
        yield _upstream(books, tenancy, LeaseUID(uid), made)


def _write(journal: Journal, line: Story) -> None:
    (verb, *_), said = line.keys(), dict(line)
    subject = said.pop(verb)
    if verb in HELD:
        _hold(journal, HELD[verb], subject, said)
    elif verb == "ends":
        journal.ends(
            subject, said["at"], said.get("lease", "west"), sequence=int(said.get("sequence", 1))
        )
    elif verb == "reserved":
        journal.reserved(
            subject,
            class_name=said.get("class", "h100"),
            sequence=int(said.get("sequence", 1)),
            namespace=said.get("namespace", ""),
            floats=said.get("floats") == "true",
            rounding=said.get("rounding"),
            sla=said.get("sla"),
        )
    elif verb == "offer":
        journal.offer(subject, *((p["perGpuHour"], p["from"]) for p in said["prices"]))
    elif verb == "adjusted":
        journal.adjusted(said["at"], subject, said["amount"], namespace=said.get("namespace", ""))
    elif verb == "closed":
        journal.closed(subject, said["at"])
    elif verb == "rates":
        journal.rates(subject, *said["table"])
    else:
        {"tenant": journal.tenant, "lease": journal.lease}[verb](subject, **said)


def _hold(journal: Journal, kind: EntryKind, claim: str, said: dict[str, Any]) -> None:
    how: dict[str, Any] = {
        "gpus": int(said["gpus"]),
        "lease_uid": said.get("lease", "west"),
        "sequence": int(said.get("sequence", 1)),
        "price": said.get("price", "2.00"),
        "tags": said.get("tags"),
        "kind": kind,
    }
    journal.held(claim, said["from"], said.get("to"), **how)


def _charges(tenancy: Tenancy, made: Bill, grid: Grid) -> list[str]:
    given = made.charges if made.is_closed else charges(tenancy, made.span, grid, made.as_of_ms)
    corrected = () if made.is_closed else (c for c in made.charges if c.corrects)
    rows = [
        (
            f"{c.corrects} {c.category.value}".strip(), c.claim_name or "-", c.lease_alias or "-",
            *instants(c.from_ms, c.to_ms), hours(c.gpu_milliseconds),
            "-" if c.price is None else f"{float(c.price):.4f}", money(c.currency, c.amount),
        )
        for c in (*given, *corrected)
    ]  # fmt: skip
    state = "closed" if made.is_closed else "open"
    head = ("charge", "claim", "lease", "from", "to", "GPU-hours", "price", "amount")
    return [
        f"{made.month} ({state}, {' to '.join(instants(*made.span))}): charges",
        *table(head, rows),
    ]


def _lines(made: Bill) -> list[str]:
    rows = [
        (
            f"{x.key.corrects} {x.key.category.value}".strip(), x.key.namespace or "-",
            x.key.class_name or "-", hours(x.gpu_milliseconds), f"{x.key.currency} {x.listed}",
            f"{x.key.currency} {x.amount}",
        )
        for x in made.statement.lines
    ]  # fmt: skip
    totals = [("total", "", "", "", "", f"{c} {a}") for c, a in made.statement.totals.items()]
    head = ("line", "namespace", "class", "GPU-hours", "before discounts", "owed")
    return [f"{made.month}: statement", *table(head, [*rows, *totals])]


def _split(statement: Statement, tenancy: Tenancy) -> Iterator[list[str]]:
    names = tenancy.terms.namespaces if tenancy.terms else ()
    if len(names) > 1:
        rows = [
            (name, f"{currency} {amount}")
            for name, each in by_namespace(statement, names).items()
            for currency, amount in each.totals.items() or [("", Decimal(0))]
        ]
        yield ["by namespace", *table(("namespace", "owed"), rows)]


def _upstream(books: Books, tenancy: Tenancy, uid: LeaseUID, made: Bill) -> list[str]:
    incidents = incidents_of(books, uid, made.span, made.as_of_ms)
    rows = [
        (
            *(instants(x.incident.from_ms, x.incident.to_ms) if x.incident else ("-", "-")),
            monies(x.owed), monies(x.credited), monies(x.net),
            instants(x.incident.deadline_ms, 0)[0] if x.incident and x.incident.deadline_ms else "-",
        )
        for x in netting(incidents, made.charges)
    ]  # fmt: skip
    head = ("from", "to", "owed to us", "credited by us", "net", "claim by")
    return [f"{uid}: what the landlord owes for it", *table(head, rows)]


def main() -> int:
    """Write every expected text anew."""
    for path in stories():
        path.with_suffix(".txt").write_text(told(path))
    return 0


if __name__ == "__main__":
    sys.exit(main())
