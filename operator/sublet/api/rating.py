"""Where a quantity becomes money: the one arithmetic of the ledger's bill and of the book's coverage. Pure.

A quantity stands beside its price until somebody asks for the amount: products and sums are exact, and one division
at the end is all that may round. So a past hour costs the same whoever adds it up.
"""

from collections import defaultdict
from collections.abc import Mapping
from decimal import Context, Decimal, DivisionByZero, Inexact, InvalidOperation, Overflow
from typing import Final, NamedTuple

from sublet.api.times import MS_PER_HOUR

_EXACT: Final = Context(prec=96, traps=[Inexact, InvalidOperation, Overflow, DivisionByZero])
"""Room for every fleet at every price; what doesn't fit is an error, never a rounded bill."""


class Rate(NamedTuple):
    """A price of one GPU for one hour."""

    per_gpu_hour: Decimal
    currency: str


def amount_of(gpu_milliseconds: int, per_gpu_hour: Decimal) -> Decimal:
    """Return what GPU-milliseconds cost, in the price's currency; 28 digits where hours don't divide."""
    return _EXACT.multiply(Decimal(gpu_milliseconds), per_gpu_hour) / MS_PER_HOUR


def charges(metered: Mapping[Rate, int]) -> dict[str, Decimal]:
    """Return what GPU-milliseconds cost, by currency: added up exactly and divided once, to 28 digits."""
    return {currency: total / MS_PER_HOUR for currency, total in per_hour(metered).items()}


def per_hour(gpus: Mapping[Rate, int]) -> dict[str, Decimal]:
    """Return what GPUs cost in each hour, by currency in alphabetical order; exact."""
    totals: dict[str, Decimal] = defaultdict(Decimal)  # currency -> sum of quantity times price
    for rate, quantity in gpus.items():
        product = _EXACT.multiply(Decimal(quantity), rate.per_gpu_hour)
        totals[rate.currency] = _EXACT.add(totals[rate.currency], product)
    return dict(sorted(totals.items()))
