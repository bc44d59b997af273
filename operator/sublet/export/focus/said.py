"""What a tenant's rows say in words: who, where, which claim, which offer, at which price.

The only place that decides what a tenant may read of a lease: its alias, its country, and its host if the account shows it.
"""

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from sublet.export.focus.account import Account, CreditsAs
from sublet.export.focus.amounts import plain
from sublet.export.focus.invoices import Line
from sublet.export.focus.runs import Run
from sublet.rating.books import Books
from sublet.rating.model import Category, Charge

UNIT: Final = "GPU-Hours"
_TEXTS: Final = {
    Category.USE: "GPUs in use",
    Category.CANCELLED: "Promised window, given up late",
    Category.ROUNDING: "Rounding up of a claim's time",
    Category.MINIMUM: "Minimum of a claim",
    Category.CREDIT: "Credit for lost GPU time",
}
_NAMES: Final = (
    "BillingCurrency",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargeFrequency",
    "ConsumedUnit",
    "HostProviderName",
    "InvoiceDetailId",
    "PricingCategory",
    "PricingCurrency",
    "PricingUnit",
    "RegionId",
    "RegionName",
    "SkuId",
    "SkuMeter",
    "SkuPriceDetails",
    "SkuPriceId",
    "SubAccountId",
    "SubAccountName",
    "SubAccountType",
    "Tags",
    "x_Category",
    "x_CorrectedPeriod",
    "x_Lease",
)


class Sayings:
    """The texts of one account's rows."""

    names: Final = _NAMES

    def __init__(self, books: Books, account: Account) -> None:
        self._books, self._account = books, account
        self._reasons = {entry.seq: text.reason for entry, text in books.adjustments}
        self._details: dict[Line, str] = {}  # line -> its id
        self._skus: dict[tuple[str, str, Decimal, str], str] = {}
        """(class, product, list price, currency) -> id"""
        self._products: dict[str, str | None] = {}  # product -> details of its price
        self._tags: dict[str, str | None] = {"": None}  # hash -> text

    @property
    def same(self) -> dict[str, str]:
        """Return what every row says."""
        seller, terms = self._account.seller, self._account.terms
        return {
            "BillingAccountId": self._account.id,
            "BillingAccountName": terms.name,
            "BillingAccountType": "Tenant",
            "InvoiceId": self._account.invoice_id(),
            "InvoiceIssuerName": seller.name,
            "ServiceCategory": "Compute",
            "ServiceName": seller.service,
            "ServiceProviderName": seller.name,
            "ServiceSubcategory": "Other (Compute)",
        }

    def of(self, run: Run, line: Line) -> tuple[str | None, ...]:
        """Return the values of `names` for a run that stands on a line."""
        priced = run.is_priced
        unit = UNIT if priced else None
        sku = self._sku(run) if priced else None
        country = self._country(run)
        return (
            line.currency,
            line.category,
            "Correction" if run.corrects else None,
            self._description(run),
            "Usage-Based" if priced else "One-Time",
            unit,
            self._host(run),
            self._detail(line),
            "Standard" if priced else None,
            run.currency,
            unit,
            country,
            country,
            run.class_name if priced else None,
            "GPU time" if priced else None,
            self._product(run) if priced else None,
            sku,
            run.namespace or None,
            run.namespace or None,
            "Namespace" if run.namespace else None,
            self._tagged(run.tags_hash),
            run.category.value,
            run.corrects or None,
            run.lease_alias or None,
        )

    @staticmethod
    def of_claims(charges: Sequence[Charge]) -> dict[str, list[str | None]]:
        """Return the columns that say which claims charges are of."""
        ids: list[str | None] = [charge.claim_uid or None for charge in charges]
        return {
            "ResourceId": ids,
            "ResourceName": [charge.claim_name or None for charge in charges],
            "ResourceType": ["GpuClaim" if claim else None for claim in ids],
        }

    def line(self, run: Run) -> Line:
        """Return the invoice line that a run stands on."""
        return Line(
            currency=self._account.terms.billing.currency or run.currency,
            category=self._category(run),
            namespace=run.namespace,
            class_name=run.class_name,
            kind=run.category.value,
            corrects=run.corrects,
        )

    def _category(self, run: Run) -> str:
        if run.category is Category.CREDIT:
            return self._account.seller.credits_as.value
        return "Usage" if run.is_priced else CreditsAs.ADJUSTMENT.value

    def _description(self, run: Run) -> str:
        if run.category is Category.ADJUSTMENT:
            return self._reasons.get(run.adjustment_seq, "Adjustment")
        text = _TEXTS[run.category]
        return f"{text}: {run.product}, {run.class_name}" if run.product else text

    def _detail(self, line: Line) -> str:
        if line not in self._details:
            self._details[line] = line.id(self._account.invoice_id())
        return self._details[line]

    def _host(self, run: Run) -> str:
        lease = self._books.leases.get(run.lease_uid)
        if lease is None or not self._account.shows_host:
            return self._account.seller.name
        return lease.host_provider or lease.provider

    def _country(self, run: Run) -> str | None:
        lease = self._books.leases.get(run.lease_uid)
        return lease.location.country if lease else None

    def _sku(self, run: Run) -> str:
        key = (run.class_name, run.product, run.list_price, run.currency)
        if key not in self._skus:
            self._skus[key] = (
                f"{run.class_name}/{run.product}/{plain(run.list_price)}-{run.currency}"
            )
        return self._skus[key]

    def _product(self, run: Run) -> str | None:
        if run.product not in self._products:
            said = json.dumps({"x_GpuProduct": run.product}) if run.product else None
            self._products[run.product] = said
        return self._products[run.product]

    def _tagged(self, tags_hash: str) -> str | None:
        if tags_hash not in self._tags:
            text = self._books.text(tags_hash)
            self._tags[tags_hash] = None if text == "{}" else text
        return self._tags[tags_hash]
