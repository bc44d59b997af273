"""Billing periods as FOCUS has them: one row for each issuer and period that rows name. Pure."""

from collections.abc import Iterable
from typing import Final

import pyarrow as pa

from sublet.export.focus.account import Period
from sublet.export.focus.columns import Column, Kind
from sublet.export.focus.records import table

_COLUMNS: Final = (
    Column("BillingPeriodCreated", Kind.TIME),
    Column("BillingPeriodEnd", Kind.TIME),
    Column("BillingPeriodLastUpdated", Kind.TIME),
    Column("BillingPeriodStart", Kind.TIME),
    Column("BillingPeriodStatus"),
    Column("InvoiceIssuerName"),
)


def billing_periods(periods: Iterable[tuple[str, Period]]) -> pa.Table:
    """Return the Billing Period of FOCUS 1.4, given issuers and their periods."""
    given = sorted(set(periods), key=lambda p: (p[0], p[1].span, p[1].as_of_ms))
    return table(
        _COLUMNS,
        [
            {
                "BillingPeriodCreated": period.span.from_ms,
                "BillingPeriodEnd": period.span.to_ms,
                "BillingPeriodLastUpdated": max(period.span.from_ms, period.as_of_ms),
                "BillingPeriodStart": period.span.from_ms,
                "BillingPeriodStatus": "Closed" if period.is_closed else "Open",
                "InvoiceIssuerName": issuer,
            }
            for issuer, period in given
        ],
    )
