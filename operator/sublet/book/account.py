"""What a tenant has spent, as the ledger said it when it was last read. Pure data, part of the book's view.

Quantities stand beside their prices, so that no cent is rounded before it is compared. What claims cost after that
instant the book reads from the claims themselves, so an account that is some minutes old decides no other than a new one.
"""

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
class Account:
    """What a tenant spent in `[since_ms, as_of_ms)`."""

    since_ms: Millis
    """When the budget's period began."""
    as_of_ms: Millis
    """Up to when the ledger was read."""
    metered: tuple[Metered, ...] = ()
