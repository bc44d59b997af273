"""One currency to report in: any that the ledger's table of dated rates leads to, by way of the table's own. Pure."""

from fractions import Fraction

from sublet.api.times import Millis
from sublet.ledger.texts.rates import NoRate
from sublet.rating.books import Books
from sublet.rating.money import Exchange


class Reporting(Exchange):
    """What an amount is worth in one currency; cut wherever any rate changes."""

    def __init__(self, books: Books, currency: str) -> None:
        """Take the ledger's table; NoRate if it has none."""
        if books.rates is None:
            raise NoRate(
                f"the ledger has no table of exchange rates, so nothing can be said in {currency};"
                " give one (SUBLET_RATES_FILE), or leave --currency out"
            )
        super().__init__(books.rates)
        self.currency = currency

    def convert(self, amount: Fraction, currency: str, at_ms: Millis) -> tuple[str, Fraction]:
        """Return the amount in the reported currency; NoRate names what is missing, and for when."""
        if currency == self.currency:
            return currency, amount
        among, value = super().convert(amount, currency, at_ms)
        if among == self.currency:
            return among, value
        _, each = super().convert(Fraction(1), self.currency, at_ms)
        return self.currency, value / each


def reporting(books: Books, currency: str | None) -> Exchange:
    """Return the exchange for a currency; without one each amount stays as it is."""
    return Exchange() if currency is None else Reporting(books, currency)
