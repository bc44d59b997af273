"""Money in whole smallest units of its currency: rounded once, half to even, and shared out without a rest. Pure."""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Final

_PLACES: Final = {  # currency -> decimal places of its smallest unit, where that isn't 2 (ISO 4217)
    **dict.fromkeys(
        [
            "BIF",
            "CLP",
            "DJF",
            "GNF",
            "ISK",
            "JPY",
            "KMF",
            "KRW",
            "PYG",
            "RWF",
            "UGX",
            "UYI",
            "VND",
            "VUV",
            "XAF",
            "XOF",
            "XPF",
        ],
        0,
    ),
    **dict.fromkeys(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"], 3),
    **dict.fromkeys(["CLF", "UYW"], 4),
}


def places(currency: str) -> int:
    """Return how many decimal places the smallest unit of a currency has."""
    return _PLACES.get(currency, 2)


def rounded(amount: Fraction, currency: str) -> Decimal:
    """Return an amount in whole smallest units of its currency, half to even: what an invoice line says."""
    return in_units(round(_units(amount, currency)), currency)


def in_units(units: int, currency: str) -> Decimal:
    """Return so many of the smallest unit of a currency as an amount."""
    sign, digits = int(units < 0), tuple(map(int, str(abs(units))))
    return Decimal((sign, digits, -places(currency)))


def apportioned(amount: Decimal, parts: Sequence[Fraction], currency: str) -> list[Decimal]:
    """Return a rounded amount as the sum of rounded parts, by largest remainder; parts are exact and sum up to what was rounded.

    Of equal remainders the earlier part gets the unit. Of no parts there is nothing to share out.
    """
    exact = [_units(part, currency) for part in parts]
    units = [part.numerator // part.denominator for part in exact]
    left = int(Fraction(amount) * 10 ** places(currency)) - sum(units)
    by_rest = sorted(range(len(parts)), key=lambda i: (units[i] - exact[i], i))
    for index in by_rest[:left]:
        units[index] += 1
    return [in_units(each, currency) for each in units]


def _units(amount: Fraction, currency: str) -> Fraction:
    scale: int = 10 ** places(currency)
    return amount * scale
