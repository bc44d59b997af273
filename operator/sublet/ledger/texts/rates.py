"""The table of dated exchange rates into one reporting currency. Given by the platform team, kept in the ledger.

Rates are never mixed silently: an amount in a currency without a rate at its instant isn't converted, which is an error.
"""

from decimal import Decimal
from typing import Annotated, ClassVar

from pydantic import Field

from sublet.api.common import Currency, Instant, Price
from sublet.api.schema import ApiModel
from sublet.api.times import Millis
from sublet.ledger.texts.base import Text


class NoRate(ValueError):
    """An amount can't be converted: the table has no rate of its currency at that instant."""


class DatedRate(ApiModel):
    """What one unit of a currency is worth in the reporting currency from an instant on, until its next entry."""

    currency: Currency
    effective_time: Instant
    rate: Annotated[Price, Field(gt=0)]


class Rates(Text):
    """The whole table."""

    KIND: ClassVar[str] = "rates"
    kind: str = "rates"
    reporting_currency: Currency
    rates: tuple[DatedRate, ...] = ()

    def rate_at(self, currency: str, at_ms: Millis) -> Decimal:
        """Return what one unit is worth in the reporting currency at an instant; NoRate if nobody said."""
        if currency == self.reporting_currency:
            return Decimal(1)
        dated = [r for r in self.rates if r.currency == currency and r.effective_time <= at_ms]
        if not dated:
            raise NoRate(f"no rate from {currency} to {self.reporting_currency} at that instant")
        return max(dated, key=lambda r: r.effective_time).rate
