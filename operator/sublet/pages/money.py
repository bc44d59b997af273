"""What each lease earns and costs in an hour, as a table. Pure."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Final

from markupsafe import Markup

from sublet.api.ids import LeaseUID
from sublet.book.coverage import LeaseCoverage
from sublet.html.table import Column, table

_COLUMNS: Final = (
    Column("Lease"),
    *(
        Column(name, is_number=True)
        for name in ("Committed", "Used", "Unsold", "Uncovered", "Revenue/h", "Cost/h", "Margin/h", "Break-even")
    ),
    Column("Why no margin"),
)  # fmt: skip


def money(lines: Sequence[LeaseCoverage], names: Mapping[LeaseUID, str]) -> Markup:
    """Return a row for each lease; `?` where nobody knows."""
    rows = [_row(line, names.get(line.lease_uid, line.lease_uid)) for line in lines]
    return table("GPUs and money per hour, now", _COLUMNS, sorted(rows))


def _row(line: LeaseCoverage, name: str) -> tuple[str, ...]:
    trade = line.trade
    margin = f"{trade.margin:f}" if trade.margin is not None else "?"
    return (
        name,
        *map(str, (line.committed, line.used, line.unsold, line.uncovered)),
        _amounts(trade.revenue),
        _amounts(trade.cost) if trade.cost is not None else "?",
        margin,
        percent(trade.break_even) or "",
        trade.why_no_margin or "",
    )


def _amounts(money_: Mapping[str, Decimal]) -> str:
    return ", ".join(f"{amount:f} {currency}" for currency, amount in money_.items()) or "0"


def percent(part: Fraction | None) -> str | None:
    """Write a part as per cent with one place, rounded half to even, for reading."""
    if part is None:
        return None
    return f"{Decimal(round(part * Fraction(1_000))).scaleb(-1)}%"
