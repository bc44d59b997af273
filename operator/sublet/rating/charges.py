"""Everything that a tenant owes over a span, as charges. Pure; the same books give the same charges, in the same order.

Over any grid the sums are the same, and those of spans that follow each other are the sum over all of them: each charge belongs
to the cell of its last millisecond.
"""

from collections.abc import Iterator
from fractions import Fraction
from operator import attrgetter
from typing import Final

from sublet.api.ids import ClaimUID, LeaseUID, TenantUID
from sublet.api.times import Millis
from sublet.rating.books import Books
from sublet.rating.calendar import Span
from sublet.rating.credits import credit_charges
from sublet.rating.gpu_time import time_charges
from sublet.rating.grid import Cells, Grid, cut_by, until
from sublet.rating.model import Category, Charge
from sublet.rating.rounding import rounding_charges
from sublet.rating.tenancy import Tenancy, tenancy_of

ORDER: Final = attrgetter("claim_uid", "from_ms", "to_ms", "category", "lease_uid", "first_seq")


def charges_of(
    books: Books, tenant_uid: TenantUID, span: Span, grid: Grid, as_of_ms: Millis
) -> list[Charge]:
    """Return what one tenant owes over a span, by claim and time; nothing after `as_of_ms`."""
    return charges(tenancy_of(books, tenant_uid), span, grid, as_of_ms)


def charges(tenancy: Tenancy, span: Span, grid: Grid, as_of_ms: Millis) -> list[Charge]:
    """Return what one tenant owes over a span, by claim and time; nothing after `as_of_ms`."""
    past = until(span, as_of_ms)
    cells = Cells(cut_by(grid, tenancy.cut, past), tenancy.exchange_edges)
    if past.from_ms >= past.to_ms:
        return []
    held = tenancy.holdings
    found: list[Charge] = []
    for lines in held.bound.values():
        found += time_charges(tenancy, lines, Category.USE, cells)
        found += rounding_charges(tenancy, lines, cells)
    for lines in held.cancelled.values():
        found += time_charges(tenancy, lines, Category.CANCELLED, cells)
    for claim_uid in held.down:
        found += credit_charges(tenancy, claim_uid, span, as_of_ms)
    found += _adjustments(tenancy, past)
    return sorted(found, key=ORDER)


def _adjustments(tenancy: Tenancy, past: Span) -> Iterator[Charge]:
    """Yield what people charged and credited, each where it was made, within the period that it is about."""
    for entry, said in tenancy.adjustments:
        month = tenancy.month_span(said.period)
        at_ms = Millis(min(max(entry.fact.at_ms, month.from_ms), month.to_ms - 1))
        if past.from_ms <= at_ms < past.to_ms:
            amount = Fraction(said.amount)
            yield Charge(
                tenant_uid=tenancy.tenant_uid,
                namespace=said.namespace,
                claim_uid=ClaimUID(""),
                claim_name="",
                sequence=0,
                class_name="",
                lease_uid=LeaseUID(""),
                lease_alias="",
                product="",
                tags_hash="",
                category=Category.ADJUSTMENT,
                from_ms=at_ms,
                to_ms=at_ms,
                gpu_milliseconds=0,
                list_price=None,
                price=None,
                currency=said.currency,
                list_amount=amount,
                amount=amount,
                first_seq=entry.seq,
                last_seq=entry.seq,
            )
