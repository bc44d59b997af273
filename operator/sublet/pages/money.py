"""What each lease earns and costs in an hour, as a table. Pure."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Final

from markupsafe import Markup

from sublet.api.ids import LeaseUID
from sublet.book.coverage import LeaseCoverage
from sublet.html.markup import Content
from sublet.html.page import link_to
from sublet.html.table import Column, table

_COLUMNS: Final = (
    Column("Lease"),
    *(
        Column(name, is_number=True)
        for name in ("Committed", "Used", "Unsold", "Uncovered", "Revenue/h", "Cost/h", "Margin/h", "Break-even")
    ),
    Column("Why no margin", is_prose=True),
)  # fmt: skip


def money(lines: Sequence[LeaseCoverage], names: Mapping[LeaseUID, str]) -> Markup:
    """Return a row for each lease; `?` where nobody knows."""
    named = sorted((names.get(x.lease_uid, x.lease_uid), x.lease_uid, x) for x in lines)
    return table(
        "GPUs and money per hour, now", _COLUMNS, [_row(line, name) for name, _, line in named]
    )


def _row(line: LeaseCoverage, name: str) -> tuple[Content, ...]:
    trade = line.trade
    return (
        link_to(section_of(name), name),
        *map(str, (line.committed, line.used, line.unsold, line.uncovered)),
        _amounts(trade.revenue),
        _amounts(trade.cost) if trade.cost is not None else "?",
        margin_text(line),
        percent(trade.break_even) or "",
        trade.why_no_margin or "",
    )


def section_of(name: str) -> str:
    """Return what the section of a lease is called in links."""
    return f"lease-{name}"


def margin_text(line: LeaseCoverage) -> str:
    """Write a lease's margin with its currency; `?` where nobody knows."""
    trade = line.trade
    if trade.margin is None:
        return "?"
    currency = next(iter({**trade.revenue, **(trade.cost or {})}), "")
    return f"{trade.margin:f} {currency}".strip()


def _amounts(money_: Mapping[str, Decimal]) -> str:
    return ", ".join(f"{amount:f} {currency}" for currency, amount in money_.items()) or "0"


def percent(part: Fraction | None) -> str | None:
    """Write a part as per cent with one place, rounded half to even, for reading."""
    if part is None:
        return None
    return f"{Decimal(round(part * Fraction(1_000))).scaleb(-1)}%"
