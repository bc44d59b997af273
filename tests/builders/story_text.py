"""How golden stories write times, amounts and tables: exact, and aligned for reading."""

from collections.abc import Iterable, Mapping
from fractions import Fraction

from sublet.api.times import MS_PER_HOUR, Millis, format_instant


def instants(begin: Millis, end: Millis) -> tuple[str, str]:
    """Return two instants as RFC 3339."""
    return format_instant(begin), format_instant(end)


def hours(gpu_milliseconds: int) -> str:
    """Return GPU-milliseconds as GPU-hours, exact."""
    return _exact(Fraction(gpu_milliseconds, MS_PER_HOUR))


def monies(amounts: Mapping[str, Fraction]) -> str:
    """Return amounts in several currencies."""
    return " and ".join(money(c, a) for c, a in sorted(amounts.items())) or "0"


def money(currency: str, amount: Fraction) -> str:
    """Return an amount, exact."""
    return f"{currency} {_exact(amount)}"


def _exact(value: Fraction) -> str:
    """Return a decimal text if there is one, else a fraction."""
    for places in range(2, 13):
        if (value * 10**places).denominator == 1:
            sign, digits = "-" * (value < 0), str(abs(value * 10**places)).zfill(places + 1)
            return f"{sign}{digits[:-places]}.{digits[-places:]}"
    return str(value)


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    """Return rows under their heads, each column as wide as it needs."""
    lines_ = [head, *rows]
    widths = [max(len(row[i]) for row in lines_) for i in range(len(head))]
    lines = ("  ".join(x.ljust(w) for x, w in zip(row, widths, strict=True)) for row in lines_)
    return [f"  {line}".rstrip() for line in lines]
