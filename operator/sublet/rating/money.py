"""Amounts in several currencies, and the one way from one currency to another: the ledger's table of dated rates. Pure.

Two currencies are never added: without a table each is kept for itself, with one an amount that can't be converted is an
error that names what is missing.
"""

import contextlib
from collections.abc import Callable, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Protocol

from sublet.api.times import MS_PER_HOUR, Millis, format_instant
from sublet.ledger.texts.rates import NoRate, Rates
from sublet.rating.books import Books

Money = Mapping[str, Fraction]
"""currency -> amount, exact"""


class Rate(Protocol):
    """What gives the rate from a currency at an instant into an account's; NoRate if nobody has said it."""

    def __call__(self, priced_in: str, at_ms: Millis, corrects: str = "") -> Fraction:
        """Return the rate; of a correction, by the table that the period which it corrects was billed with."""


class Exchange:
    """What an amount is worth at an instant: in the reporting currency, or as it is."""

    def __init__(self, rates: Rates | None = None) -> None:
        self.rates = rates
        self._known: dict[tuple[str, Millis], Fraction] = {}  # (currency, instant) -> rate

    @classmethod
    def of(cls, books: Books) -> "Exchange":
        """Return the exchange by the ledger's table; NoRate if it has none."""
        if books.rates is None:
            raise NoRate(
                "the ledger has no table of exchange rates; give one, or keep each currency"
            )
        return cls(books.rates)

    @property
    def edges(self) -> list[Millis]:
        """Return the instants at which a rate changes, in order."""
        return sorted({r.effective_time for r in self.rates.rates}) if self.rates else []

    def convert(self, amount: Fraction, currency: str, at_ms: Millis) -> tuple[str, Fraction]:
        """Return the currency and the amount in it; NoRate names currency and instant."""
        if self.rates is None:
            return currency, amount
        key = (currency, at_ms)
        if key not in self._known:
            try:
                self._known[key] = Fraction(self.rates.rate_at(currency, at_ms))
            except NoRate:
                raise NoRate(
                    f"the table has no rate from {currency} to {self.rates.reporting_currency}"
                    f" at {format_instant(at_ms)}; add one that holds from then on"
                ) from None
        return self.rates.reporting_currency, amount * self._known[key]


def rate_into(
    currency: str | None,
    rates: Rates | None,
    whose: str,
    then: Callable[[str], Rates | None] = lambda _: None,
) -> Rate | None:
    """Return what gives the rate from a currency at an instant into an account's; None if it is billed as priced.

    `then` says with which table a closed month was billed; what that doesn't know is converted by the present one.
    """
    if currency is None:
        return None
    tables: dict[str, Rates | None] = {"": None}  # closed month -> table

    def rate(priced_in: str, at_ms: Millis, corrects: str = "") -> Fraction:
        if priced_in == currency:
            return Fraction(1)
        if corrects not in tables:
            tables[corrects] = then(corrects)
        if (billed_by := tables[corrects]) is not None:
            with contextlib.suppress(NoRate):
                return _cross(billed_by, priced_in, currency, at_ms)
        if rates is None:
            raise NoRate(
                f"tenant {whose} is billed in {currency} and priced in {priced_in}, and the ledger has"
                " no table of exchange rates; give one"
            )
        return _cross(rates, priced_in, currency, at_ms)

    return rate


def _cross(rates: Rates, priced_in: str, currency: str, at_ms: Millis) -> Fraction:
    return Fraction(rates.rate_at(priced_in, at_ms)) / Fraction(rates.rate_at(currency, at_ms))


def owed(gpu_milliseconds: int, per_gpu_hour: Decimal | Fraction) -> Fraction:
    """Return what GPU-milliseconds cost, exact."""
    numerator, denominator = per_gpu_hour.as_integer_ratio()
    return Fraction(gpu_milliseconds * numerator, denominator * MS_PER_HOUR)


def plus(money: Money, currency: str, amount: Fraction) -> Money:
    """Return the sum with one amount more."""
    return {**money, currency: money.get(currency, Fraction(0)) + amount}


def minus(money: Money, less: Money) -> Money:
    """Return the difference, by currency in alphabetical order."""
    currencies = sorted({*money, *less})
    return {c: money.get(c, Fraction(0)) - less.get(c, Fraction(0)) for c in currencies}
