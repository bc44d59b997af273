"""`sublet margin`: revenue, cost and what lies between, per lease, class and tenant. Prices of all parties: for the platform team alone."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from sublet.api.times import MS_PER_HOUR, format_instant
from sublet.cli.choices import Format, MarginOf
from sublet.cli.output import show_rows
from sublet.rating.model import LeaseState
from sublet.rating.money import Money
from sublet.rating.netting import Netted
from sublet.rating.report import Line, Report

_PLACES: Final = 6
"""Of an amount for programs; people see two."""
_NARROW: Final = (
    "currency", "revenue", "cost", "margin", "unsold", "break-even/h", "break-even-share", "utilisation",
    "coverage", "sla-owed", "sla-credited",
)  # fmt: skip
_WIDE: Final = (
    "uid", "gpu-hours-sold", "gpu-hours-unused", "gpu-hours-unavailable", "gpu-hours-beyond", "sla-net",
    "gpu-hours-cost-unknown",
)  # fmt: skip


def lines_of(report: Report, by: MarginOf) -> tuple[Line, ...]:
    """Return the lines of one side."""
    return {
        MarginOf.LEASE: report.leases,
        MarginOf.CLASS: report.classes,
        MarginOf.TENANT: report.tenants,
    }[by]


def as_data(report: Report, by: MarginOf) -> dict[str, Any]:
    """Return one side of the report, and the incidents, for programs: money and hours as decimal strings."""
    return {
        "by": by.value,
        "from": format_instant(report.span.from_ms),
        "to": format_instant(report.span.to_ms),
        "asOf": format_instant(report.as_of_ms),
        "currency": report.currency,
        "ledger": {"seq": report.seq, "hash": report.head},
        "items": [_item(line, by) for line in lines_of(report, by)],
        "incidents": [_incident(each, report) for each in report.incidents],
    }


def show(report: Report, by: MarginOf, form: Format) -> None:
    """Print one side of the report; two currencies of one lease are two lines."""
    wide = form in (Format.WIDE, Format.CSV)
    title = (
        f"margin by {by}, {format_instant(report.span.from_ms)} to {format_instant(report.span.to_ms)}"
        f" as of {format_instant(report.as_of_ms)}; ledger {report.seq}:{report.head}"
    )
    columns = (by.value, *_NARROW, *(_WIDE if wide else ()))
    rows = [row for line in lines_of(report, by) for row in _rows(line, by, wide=wide)]
    show_rows(as_data(report, by), form, columns, rows, title=title)


def shown_name(name: str, by: MarginOf) -> str:
    """Return what a line is called; what no lease or class stands behind, such as an adjustment, has no name."""
    return name or f"(no {by})"


def percent(share: Fraction | None) -> str:
    """Write a share as per cent with one place, rounded half to even, for reading; empty if there is none."""
    return "" if share is None else f"{Decimal(round(share * 1_000)).scaleb(-1)}%"


def amount_text(amount: Fraction, places: int = _PLACES) -> str:
    """Write an amount with so many places, half to even."""
    return f"{Decimal(round(amount * 10**places)).scaleb(-places):f}"


def hours_text(gpu_milliseconds: Fraction | int, places: int = _PLACES) -> str:
    """Write GPU-milliseconds as GPU-hours with so many places, half to even."""
    return amount_text(Fraction(gpu_milliseconds) / MS_PER_HOUR, places)


def _rows(line: Line, by: MarginOf, *, wide: bool) -> Iterator[tuple[object, ...]]:
    row, margin = line.row, line.row.margin
    monies = (row.revenue, row.cost, row.unsold, line.owed, line.credited)
    each_price = line.break_even_price
    for index, currency in enumerate(sorted({c for m in monies for c in m}) or [""]):
        first = index == 0  # shares and hours stand once, so that columns can be added up
        price = each_price[1] if each_price and each_price[0] == currency else None
        more = (
            row.uid,
            *(_quantities(line) if first else ("",) * 4),
            _cell(_net(line), currency) if by is MarginOf.LEASE else "",
            hours_text(row.uncosted) if row.uncosted and first else "",
        )
        yield (
            shown_name(line.name, by),
            currency,
            _cell(row.revenue, currency),
            _cell(row.cost, currency) if not row.uncosted else "?",
            _cell(margin, currency) if margin is not None else "?",
            _cell(row.unsold, currency),
            "" if price is None else amount_text(price, 4),
            *(
                (percent(x) if first else "")
                for x in (row.break_even, row.utilisation, row.coverage)
            ),
            _cell(line.owed, currency),
            _cell(line.credited, currency),
            *(more if wide else ()),
        )


def _quantities(line: Line) -> tuple[str, ...]:
    row = line.row
    states = (LeaseState.UNUSED, LeaseState.UNAVAILABLE, LeaseState.BEYOND)
    return (
        hours_text(line.sold_gpu_milliseconds),
        *(hours_text(row.quantity[s]) if s in row.quantity else "" for s in states),
    )


def _item(line: Line, by: MarginOf) -> dict[str, Any]:
    row, price = line.row, line.break_even_price
    return {
        "name": line.name,
        "uid": row.uid,
        "revenue": _texts(row.revenue),
        "cost": None if row.uncosted else _texts(row.cost),
        "margin": None if row.margin is None else _texts(row.margin),
        "unsold": _texts(row.unsold),
        "breakEvenPrice": None if price is None else {price[0]: amount_text(price[1])},
        "breakEvenShare": _share(row.break_even),
        "coverage": _share(row.coverage),
        "utilisation": _share(row.utilisation),
        "slaCredited": _texts(line.credited),
        **(
            {"slaOwed": _texts(line.owed), "slaNet": _texts(_net(line))}
            if by is MarginOf.LEASE
            else {}
        ),
        "gpuHours": {state.value: hours_text(q) for state, q in sorted(row.quantity.items())},
        "gpuHoursOfUnknownState": hours_text(row.unseen),
        "gpuHoursOfUnknownCost": hours_text(row.uncosted),
    }


def _incident(each: Netted, report: Report) -> dict[str, Any]:
    incident = each.incident
    names = {line.row.uid: line.name for line in report.leases}
    said: dict[str, Any] = {"lease": None}
    if incident is not None:
        deadline = incident.deadline_ms
        said = {
            "lease": names.get(incident.lease_uid, incident.lease_uid),
            "from": format_instant(incident.from_ms),
            "to": format_instant(incident.to_ms),
            "isOver": incident.is_over,
            "gpuHours": hours_text(incident.gpu_milliseconds),
            "claimBy": None if deadline is None else format_instant(deadline),
            "evidence": {"firstSeq": incident.first_seq, "lastSeq": incident.last_seq},
        }
    money = {"owed": each.owed, "credited": each.credited, "net": each.net}
    return {**said, **{name: _texts(m) for name, m in money.items()}}


def _net(line: Line) -> Money:
    """Return what is left of what a landlord owes when tenants have theirs."""
    currencies = sorted({*line.owed, *line.credited})
    zero = Fraction(0)
    return {c: line.owed.get(c, zero) - line.credited.get(c, zero) for c in currencies}


def _cell(money: Money, currency: str) -> str:
    return amount_text(money[currency], 2) if currency in money else ""


def _texts(money: Money) -> Mapping[str, str]:
    return {currency: amount_text(amount) for currency, amount in sorted(money.items())}


def _share(share: Fraction | None) -> str | None:
    return None if share is None else amount_text(share)
