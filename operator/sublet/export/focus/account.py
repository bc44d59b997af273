"""For whom and for which period files are made: what stands the same on every row."""

from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from sublet.api.ids import TenantUID
from sublet.api.times import Millis
from sublet.ledger.texts.tenant import TenantTerms
from sublet.rating.books import Books
from sublet.rating.calendar import Span
from sublet.rating.money import Rate, rate_into


class CreditsAs(StrEnum):
    """As which category a credit for lost GPU time is shown."""

    ADJUSTMENT = "Adjustment"
    CREDIT = "Credit"


@dataclass(frozen=True, slots=True)
class Seller:
    """Who sells to tenants."""

    name: str
    """Stands as service provider and invoice issuer, and as host where the host isn't shown."""
    service: str = "GPU capacity"
    payment_terms: str = "As agreed"
    credits_as: CreditsAs = CreditsAs.ADJUSTMENT


@dataclass(frozen=True, slots=True)
class Period:
    """A billing period."""

    month: str
    """Year and month."""
    span: Span
    is_closed: bool
    as_of_ms: Millis
    """Until when it is metered; of a closed one its end."""


@dataclass(frozen=True, slots=True)
class Account:
    """One tenant's account in one period."""

    tenant_uid: TenantUID
    terms: TenantTerms
    seller: Seller
    period: Period
    shows_host: bool = False
    """Whether the tenant's files name whose hardware it is."""

    @property
    def id(self) -> str:
        """Return the account's id; the tenant's name where it has no other."""
        return self.terms.billing_account_id

    def invoice_id(self, month: str = "") -> str:
        """Return the id of the invoice of a month, of the period's without.

        By the tenant's name in the book, which is its own and stays: an account may be of several tenants, and change.
        """
        return f"{self.terms.name}/{month or self.period.month}"

    def conversion(self, books: Books) -> Rate | None:
        """Return what gives the rate from a currency at an instant into the account's; None if it is billed as priced."""
        then = partial(books.rates_then, self.tenant_uid)
        return rate_into(self.terms.billing.currency, books.rates, self.terms.name, then)
