"""What a tenant has spent, as the ledger said it when it was last read. Pure data, part of the book's view.

Quantities stand beside their prices, so that no cent is rounded before it is compared. What claims cost after that
instant the book reads from the claims themselves, so an account that is some minutes old decides no other than a new one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from sublet.api.times import Millis


@dataclass(frozen=True, slots=True)
class Metered:
    """GPU time that was billed at one price."""

    per_gpu_hour: Decimal
    currency: str
    gpu_milliseconds: int


@dataclass(frozen=True, slots=True)
class Charge:
    """GPU time of one month that was given up too late, and is paid for at a part of its price."""

    month_ms: Millis
    """When the month begins; it may be to come."""
    metered: Metered


@dataclass(frozen=True, slots=True)
class Account:
    """What a tenant spent in `[since_ms, as_of_ms)`."""

    since_ms: Millis
    """When the budget's period began."""
    as_of_ms: Millis
    """Up to when the ledger was read."""
    metered: tuple[Metered, ...] = ()
    charges: tuple[Charge, ...] = ()
    """What windows that were given up cost, from `since_ms` on and in months to come."""

    def billed(self, from_ms: Millis, until_ms: Millis) -> Iterator[Metered]:
        """Yield what the ledger says was spent in a period: that of the account, or one to come."""
        yield from self.metered if from_ms == self.since_ms else ()
        yield from (c.metered for c in self.charges if from_ms <= c.month_ms < until_ms)
