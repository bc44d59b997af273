"""Wholesale stories: YAML that a person can read, rated and written as text that a person can read.

The expected texts lie beside the stories; `python -m tests.builders.wholesale_story` writes them anew, to be read before they
are kept.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from sublet.api.ids import LeaseUID
from sublet.api.times import Millis, format_instant
from sublet.ledger.entry import EntryKind
from sublet.rating.books import Books
from sublet.rating.calendar import Span
from sublet.rating.grid import Grid
from sublet.rating.margin import margins
from sublet.rating.margin_row import Row
from sublet.rating.model import Category, Charge
from sublet.rating.money import Exchange
from sublet.rating.netting import netting
from sublet.rating.sla import Incident, disputes_of, incidents_of
from sublet.rating.uses import extras_of
from sublet.rating.wholesale import cells_of, purchases_of
from tests.builders.story_text import hours, instants, money, monies, table
from tests.builders.wholesale import Scribe, at, charge

FOLDER = Path(__file__).parents[1] / "unit" / "rating" / "golden_wholesale"
HELD = {k.value: k for k in (EntryKind.BOUND, EntryKind.DOWNTIME, EntryKind.DISPUTED)}
Story = Mapping[str, Any]


def stories() -> list[Path]:
    """Return the stories' files."""
    return sorted(FOLDER.glob("*.yaml"))


def told(path: Path) -> str:
    """Return what a story comes to."""
    story = yaml.load(
        path.read_text(), yaml.BaseLoader
    )  # strings only: instants and prices stay texts
    return "\n\n".join("\n".join(part) for part in _parts(story)) + "\n"


def _parts(story: Story) -> Iterator[list[str]]:
    books = _scribe(story).books()
    charges = [_charge(each) for each in story.get("charges", [])]
    show = story["show"]
    span, grid, as_of = Span(at(show["from"]), at(show["to"])), Grid(show["grid"]), at(show["asOf"])
    incidents: list[Incident] = []
    for uid in sorted(books.leases):
        yield _cells(books, uid, span, grid, as_of)
        yield _bought(books, uid, span, grid, as_of)
        mine = incidents_of(books, uid, span, as_of)
        yield from _sla(books, uid, mine, span, as_of)
        incidents += mine
    if any(c.category is Category.CREDIT for c in charges):
        yield _netted(incidents, charges)
    yield from _margins(books, charges, span, as_of, None)
    if books.rates is not None:
        yield from _margins(books, charges, span, as_of, Exchange.of(books))


def _scribe(story: Story) -> Scribe:
    scribe = Scribe()
    for name, spec in story["leases"].items():
        scribe.lease(name, **spec)
    for sequence, line in enumerate(story.get("ledger", []), 1):
        if "capacity" in line:
            scribe.capacity(line["capacity"], line["at"], int(line["gpus"]), sequence)
            continue
        ((kind, claim),) = ((k, line[k]) for k in HELD if k in line)
        number, tenant = int(line.get("sequence", 1)), line.get("tenant", "acme")
        scribe.held(
            claim, line["lease"], int(line["gpus"]), line["from"], line.get("to"),
            kind=HELD[kind], sequence=number, tenant=tenant,
        )  # fmt: skip
        if kind == EntryKind.BOUND:
            scribe.reserved(claim, line.get("class", "h100"), sequence=number, tenant=tenant)
    if "rates" in story:
        scribe.rates(story["rates"]["reporting"], *story["rates"]["table"])
    return scribe


def _charge(each: Story) -> Charge:
    return charge(
        each.get("claim", ""),
        each.get("lease", ""),
        each["from"],
        each["to"],
        each["amount"],
        gpus=int(each.get("gpus", 0)),
        category=Category(each.get("category", "Use")),
        currency=each.get("currency", "USD"),
        tenant=each.get("tenant", "acme"),
        class_name=each.get("class", "h100"),
    )


def _cells(books: Books, uid: LeaseUID, span: Span, grid: Grid, as_of: Millis) -> list[str]:
    rows = [
        (c.commitment_id or "-", c.state, *instants(c.from_ms, c.to_ms), hours(c.gpu_milliseconds),
         str(c.price), money(c.currency, c.amount))
        for c in cells_of(books, uid, span, grid, as_of)
    ]  # fmt: skip
    head = ("phase", "state", "from", "to", "GPU-hours", "price", "amount")
    return [f"{uid}: what its GPUs were", *table(head, rows)]


def _bought(books: Books, uid: LeaseUID, span: Span, grid: Grid, as_of: Millis) -> list[str]:
    rows = [
        (p.commitment_id, *instants(p.from_ms, p.to_ms), hours(p.gpu_milliseconds), str(p.price), money(p.currency, p.amount))
        for p in purchases_of(books, uid, span, grid, as_of)
    ]  # fmt: skip
    rows += [
        (f"+ {x.claim_uid}", *instants(x.from_ms, x.to_ms), hours(x.gpu_milliseconds), str(x.price), money(x.currency, x.amount))
        for x in extras_of(books, uid, span, as_of)
    ]  # fmt: skip
    head = ("phase", "from", "to", "GPU-hours", "price", "amount")
    return [f"{uid}: what was bought (+: added to a use by the landlord)", *table(head, rows)]


def _sla(
    books: Books, uid: LeaseUID, incidents: Sequence[Incident], span: Span, as_of: Millis
) -> Iterator[list[str]]:
    if incidents:
        rows = [
            (*_incident(x), s.month, hours(s.gpu_milliseconds), money(x.currency, s.gross), money(x.currency, s.amount),
             format_instant(x.deadline_ms) if x.deadline_ms else "-", f"{x.first_seq}-{x.last_seq}")
            for x in incidents for s in x.shares
        ]  # fmt: skip
        head = ("from", "to", "month", "lost GPU-hours", "gross", "owed", "claim by", "lines")
        yield [f"{uid}: incidents", *table(head, rows)]
    if disputes := disputes_of(books, uid, span, as_of):
        rows = [
            (
                *instants(d.from_ms, d.to_ms),
                hours(d.gpu_milliseconds),
                f"{d.first_seq}-{d.last_seq}",
            )
            for d in disputes
        ]
        yield [f"{uid}: disputed", *table(("from", "to", "GPU-hours", "lines"), rows)]


def _netted(incidents: Sequence[Incident], charges: Sequence[Charge]) -> list[str]:
    rows = [
        (
            *(_incident(n.incident) if n.incident else ("no incident", "-")),
            monies(n.owed),
            monies(n.credited),
            monies(n.net),
        )
        for n in netting(incidents, charges)
    ]
    return ["netting", *table(("from", "to", "owed to us", "credited by us", "net"), rows)]


def _margins(
    books: Books, charges: Sequence[Charge], span: Span, as_of: Millis, exchange: Exchange | None
) -> Iterator[list[str]]:
    found = margins(books, charges, span, as_of, exchange)
    head = (
        "",
        "revenue",
        "cost",
        "of it unsold",
        "margin",
        "utilisation",
        "coverage",
        "break-even",
    )
    word = f"in {exchange.rates.reporting_currency}" if exchange and exchange.rates else "as it is"
    for name, rows in (
        ("lease", found.leases),
        ("class", found.classes),
        ("tenant", found.tenants),
    ):
        if rows:
            yield [f"margin by {name}, {word}", *table(head, map(_row, rows))]


def _row(row: Row) -> tuple[str, ...]:
    margin = row.margin
    ratios = (row.utilisation, row.coverage, row.break_even)
    return (
        row.uid or "-",
        monies(row.revenue),
        monies(row.cost),
        monies(row.unsold),
        "unknown" if margin is None else monies(margin),
        *("-" if r is None else f"{float(r):.4%}" for r in ratios),
    )


def _incident(incident: Incident) -> tuple[str, str]:
    begin, end = instants(incident.from_ms, incident.to_ms)
    return begin, end if incident.is_over else "lasts"


def main() -> None:
    """Write the expected texts anew."""
    for path in stories():
        path.with_suffix(".txt").write_text(told(path))
        sys.stdout.write(f"{path.with_suffix('.txt').name}\n")


if __name__ == "__main__":
    main()
