"""The margin report as a page: what `sublet margin --html` writes. Prices of all parties are in it."""

from collections.abc import Iterator, Sequence
from fractions import Fraction

from markupsafe import Markup

from sublet.api.times import format_instant
from sublet.cli.choices import MarginOf
from sublet.cli.margin import amount_text, hours_text, lines_of, percent, shown_name
from sublet.html.bars import Bar, Group, bars
from sublet.html.columns import Pile, columns
from sublet.html.markup import tag
from sublet.html.page import charts, figure, folded, legend, page, paragraph, section
from sublet.html.style import LOOKS
from sublet.html.table import Column, table
from sublet.rating.model import LeaseState
from sublet.rating.money import Money
from sublet.rating.report import Line, Report, Step

_STATES = (
    (LeaseState.USED, "used"),
    (LeaseState.UNUSED, "unused"),
    (LeaseState.UNAVAILABLE, "unavailable"),
    (LeaseState.BEYOND, "beyond the commitment"),
)
_MONEY = ("Revenue", "Cost", "Margin", "Unsold")
_STEP_COLUMNS = (
    Column("Day or month"),
    Column("Committed", is_number=True),
    *(Column(words.capitalize(), is_number=True) for _, words in _STATES),
)
_INCIDENT_COLUMNS = (
    Column("Lease"),
    Column("From"),
    Column("To"),
    Column("GPU-hours", is_number=True),
    Column("Owed by the landlord", is_number=True),
    Column("Credited to tenants", is_number=True),
    Column("Net", is_number=True),
    Column("Claim by"),
    Column("Ledger lines"),
)


def margin_page(report: Report) -> str:
    """Return the report as one HTML document."""
    begin, end = format_instant(report.span.from_ms), format_instant(report.span.to_ms)
    among = (
        f", all in {report.currency}" if report.currency else ", each amount in its own currency"
    )
    return page(
        f"Margins, {begin} to {end}",
        paragraph(f"As of {format_instant(report.as_of_ms)}{among}. Prices of all parties: for the platform team alone."),
        section("Leases", *_money_charts(report.leases, MarginOf.LEASE), _side(report, MarginOf.LEASE)),
        section("GPUs of each lease", *_gpus(report)),
        section("Tenants", *_margin_charts(report.tenants, MarginOf.TENANT), _side(report, MarginOf.TENANT)),
        section("Classes", _side(report, MarginOf.CLASS)),
        section("SLA incidents", _incidents(report)),
        section(
            "Where this comes from",
            paragraph("Line ", report.seq, " of the ledger, hash ", tag("code", report.head), "."),
            paragraph("Rated from the ledger as it is now; what was billed for closed periods stands in their statements."),
        ),
    )  # fmt: skip


def _money_charts(lines: Sequence[Line], by: MarginOf) -> Iterator[Markup]:
    """Yield a chart of revenue against cost for each currency, of those that have any in it."""
    yield legend([(LOOKS[0], "revenue"), (LOOKS[1], "cost")])
    drawn = []
    for currency in _currencies(lines):
        groups = [
            Group(
                shown_name(line.name, by),
                (_bar(line.row.revenue, currency), _bar(line.row.cost, currency)),
            )
            for line in lines
            if currency in line.row.revenue or currency in line.row.cost
        ]
        words = f"Revenue and cost in {currency}; the same numbers stand in the table."
        drawn.append(figure(words, bars(f"Revenue against cost of each {by}, {currency}", words, groups)))  # fmt: skip
    yield charts(*drawn)


def _margin_charts(lines: Sequence[Line], by: MarginOf) -> Iterator[Markup]:
    drawn = []
    for currency in _currencies(lines):
        groups = [
            Group(shown_name(line.name, by), (_bar(line.row.margin, currency),))
            for line in lines
            if line.row.margin is not None and currency in line.row.margin
        ]
        words = f"Margin in {currency}, a loss to the left and crossed; the same numbers stand in the table."
        drawn.append(figure(words, bars(f"Margin by {by}, {currency}", words, groups)))
    yield charts(*drawn)


def _side(report: Report, by: MarginOf) -> Markup:
    titles = (*_MONEY, "Break-even price of a GPU-hour")
    shares = ("Must be sold to break even", "Used", "Covered")
    heads = [Column(by.capitalize()), Column("Currency")]
    heads += [Column(title, is_number=True) for title in (*titles, *shares, "GPU-hours sold")]
    if by is MarginOf.LEASE:
        heads += [Column("SLA owed", is_number=True), Column("SLA credited", is_number=True)]
    rows = [row for line in lines_of(report, by) for row in _rows(line, by)]
    return table(f"Margins by {by}", heads, rows)


def _rows(line: Line, by: MarginOf) -> Iterator[tuple[str, ...]]:
    row, price = line.row, line.break_even_price
    for index, currency in enumerate(_currencies([line]) or [""]):
        first = index == 0
        shares = (row.break_even, row.utilisation, row.coverage)
        sla = (_cell(line.owed, currency), _cell(line.credited, currency))
        yield (
            shown_name(line.name, by) if first else f"{shown_name(line.name, by)} (also)",
            currency,
            *(_cell(m, currency) for m in (row.revenue, None if row.uncosted else row.cost, row.margin, row.unsold)),
            amount_text(price[1], 4) if price and price[0] == currency else "",
            *(percent(share) if first else "" for share in shares),
            hours_text(line.sold_gpu_milliseconds, 2) if first else "",
            *(sla if by is MarginOf.LEASE else ()),
        )  # fmt: skip


def _gpus(report: Report) -> Iterator[Markup]:
    """Yield for each lease what became of its GPUs, day by day."""
    yield legend([(look, words) for look, (_, words) in zip(LOOKS, _STATES, strict=True)])
    yield paragraph("GPUs on average; the line is the commitment.")
    names = {line.row.uid: line.name for line in report.leases}
    drawn_each = []
    for uid, steps in sorted(report.steps.items(), key=lambda x: (names.get(x[0], x[0]), x[0])):
        shown = [step for step in steps if any(step.quantity.values())]
        if not shown:
            continue
        name = names.get(uid, uid)
        words = _in_words(name, shown)
        drawn = columns(f"GPUs of {name}", words, [_pile(report, s) for s in steps])
        rows = [_step_row(report, s) for s in steps]
        drawn_each.append(
            tag("div", tag("h3", name), figure(words, drawn),
                folded(f"Numbers of {name}", table(f"GPUs of {name}, on average", _STEP_COLUMNS, rows)))
        )  # fmt: skip
    yield charts(*drawn_each) if drawn_each else paragraph("None in this time.")


def _in_words(name: str, steps: Sequence[Step]) -> str:
    totals = {state: sum(s.quantity.get(state, 0) for s in steps) for state, _ in _STATES}
    said = ", ".join(f"{hours_text(totals[state], 2)} {words}" for state, words in _STATES)
    return f"GPU-hours of {name}: {said}."


def _pile(report: Report, step: Step) -> Pile:
    parts = tuple(float(step.gpus(state)) for state, _ in _STATES)
    return Pile(_step_name(report, step), parts, float(_committed(step)))


def _step_row(report: Report, step: Step) -> tuple[str, ...]:
    gpus = (_committed(step), *(step.gpus(state) for state, _ in _STATES))
    return (_step_name(report, step), *(amount_text(each, 2) for each in gpus))


def _committed(step: Step) -> Fraction:
    states = (LeaseState.USED, LeaseState.UNUSED, LeaseState.UNAVAILABLE)
    return sum((step.gpus(state) for state in states), Fraction(0))


def _step_name(report: Report, step: Step) -> str:
    return format_instant(step.span.from_ms)[: 7 if report.by_month else 10]


def _incidents(report: Report) -> Markup:
    names = {line.row.uid: line.name for line in report.leases}
    rows = []
    for each in report.incidents:
        incident = each.incident
        money = (_all(each.owed), _all(each.credited), _all(each.net))
        if incident is None:
            rows.append(("(no incident of a lease)", "", "", "", *money, "", ""))
            continue
        deadline = incident.deadline_ms
        rows.append((
            names.get(incident.lease_uid, incident.lease_uid),
            format_instant(incident.from_ms),
            format_instant(incident.to_ms) if incident.is_over else "lasts: not added up yet",
            hours_text(incident.gpu_milliseconds, 2),
            *money,
            format_instant(deadline) if deadline is not None else "",
            f"{incident.first_seq} to {incident.last_seq}",
        ))  # fmt: skip
    return table("What landlords owe for lost GPUs, and what tenants were credited for them", _INCIDENT_COLUMNS, rows)  # fmt: skip


def _currencies(lines: Sequence[Line]) -> list[str]:
    monies = [(x.row.revenue, x.row.cost, x.owed, x.credited) for x in lines]
    return sorted({currency for each in monies for money in each for currency in money})


def _bar(money: Money | None, currency: str) -> Bar:
    amount = (money or {}).get(currency, Fraction(0))
    return Bar(float(amount), amount_text(amount, 2))


def _cell(money: Money | None, currency: str) -> str:
    if money is None:
        return "not known"
    return amount_text(money[currency], 2) if currency in money else ""


def _all(money: Money) -> str:
    return ", ".join(f"{amount_text(amount, 2)} {c}" for c, amount in sorted(money.items()))
