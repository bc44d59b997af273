"""Invoice lines of one account's period: what its rows add up to, each line rounded once, half to even.

Ready to be invoiced; whether and when an invoice goes out is others' work.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final, NamedTuple

import pyarrow as pa

from sublet.export.focus.account import Account
from sublet.export.focus.arrays import coded
from sublet.export.focus.columns import Column, Kind
from sublet.export.focus.records import table
from sublet.rating.minor_units import rounded


class Line(NamedTuple):
    """What rows of one invoice line have in common."""

    currency: str
    category: str
    namespace: str
    class_name: str
    kind: str
    corrects: str

    def id(self, invoice_id: str) -> str:
        """Return the id of the line on an invoice: the same line has the same one for ever."""
        return f"{invoice_id}/{hashlib.sha256(chr(10).join(self).encode()).hexdigest()[:16]}"


class Lines:
    """Adds up lines exactly: whole numerators by denominator, one fraction at the end."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._sums: dict[Line, dict[int, int]] = defaultdict(lambda: defaultdict(int))
        """line -> denominator -> sum of numerators"""

    def add(
        self,
        lines: Sequence[Line],
        line_of_row: pa.Array,
        amounts: Sequence[tuple[int, int]],
        amount_of_row: pa.Array,
    ) -> None:
        """Add rows: lines and exact amounts (numerator, denominator), and for each row the numbers of its line and amount."""
        codes, different = coded(lines)
        rows = pa.table({"line": codes.take(line_of_row), "amount": amount_of_row})
        counted = rows.group_by(["line", "amount"]).aggregate([([], "count_all")])
        sums = [self._sums[line] for line in different]
        for line, amount, times in zip(*(c.to_pylist() for c in counted.columns), strict=True):
            numerator, denominator = amounts[amount]
            sums[line][denominator] += numerator * times

    @property
    def totals(self) -> dict[Line, Fraction]:
        """Return the exact amount of each line, in the order of the lines."""
        return {
            line: sum((Fraction(n, d) for d, n in parts.items()), Fraction(0))
            for line, parts in sorted(self._sums.items())
        }

    @property
    def payable(self) -> dict[str, Decimal]:
        """Return what the invoice comes to by currency: the sum of its rounded lines."""
        sums: dict[str, Decimal] = defaultdict(Decimal)
        for line, amount in self.totals.items():
            sums[line.currency] += rounded(amount, line.currency)
        return dict(sorted(sums.items()))

    def table(self) -> pa.Table:
        """Return the lines as an Invoice Detail of FOCUS 1.4."""
        rows = [self._row(line, amount) for line, amount in self.totals.items()]
        return table(_COLUMNS, rows)

    def _row(self, line: Line, amount: Fraction) -> dict[str, Any]:
        account, period = self._account, self._account.period
        invoice_id = account.invoice_id()
        grain = {
            "SubAccountId": line.namespace,
            "SkuId": line.class_name,
            "x_Category": line.kind,
            "x_CorrectedPeriod": line.corrects,
        }
        said = {key: value for key, value in sorted(grain.items()) if value}
        return {
            "BilledCost": Fraction(rounded(amount, line.currency)),
            "BillingAccountId": account.id,
            "BillingCurrency": line.currency,
            "BillingPeriodEnd": period.span.to_ms,
            "BillingPeriodStart": period.span.from_ms,
            "ChargeCategory": line.category,
            "InvoiceDetailCreated": period.span.from_ms,
            "InvoiceDetailDescription": ", ".join(said.values()),
            "InvoiceDetailGrain": json.dumps(said),
            "InvoiceDetailId": line.id(invoice_id),
            "InvoiceDetailLastUpdated": period.as_of_ms,
            "InvoiceId": invoice_id,
            "InvoiceIssueDate": period.span.to_ms if period.is_closed else None,
            "InvoiceIssueStatus": "Issued" if period.is_closed else "Open",
            "InvoiceIssuerName": account.seller.name,
            "PaymentDueDate": None,
            "PaymentTerms": account.seller.payment_terms,
            "ReferenceInvoiceId": account.invoice_id(line.corrects),
            "x_ExactCost": amount,
        }


_COLUMNS: Final = (
    Column("BilledCost", Kind.COST),
    Column("BillingAccountId"),
    Column("BillingCurrency"),
    Column("BillingPeriodEnd", Kind.TIME),
    Column("BillingPeriodStart", Kind.TIME),
    Column("ChargeCategory"),
    Column("InvoiceDetailCreated", Kind.TIME),
    Column("InvoiceDetailDescription"),
    Column("InvoiceDetailGrain"),
    Column("InvoiceDetailId"),
    Column("InvoiceDetailLastUpdated", Kind.TIME),
    Column("InvoiceId"),
    Column("InvoiceIssueDate", Kind.TIME),
    Column("InvoiceIssueStatus"),
    Column("InvoiceIssuerName"),
    Column("PaymentDueDate", Kind.TIME),
    Column("PaymentTerms"),
    Column("ReferenceInvoiceId"),
    Column("x_ExactCost", Kind.COST),
)
