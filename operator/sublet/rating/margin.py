"""Revenue, cost and what lies between, by lease, by class and by tenant, over a span. Pure; for the platform team alone.

Revenue is what charges say. A lease costs all that its landlord is owed, before he gives anything back
(`sublet.rating.sla`); a class or a tenant costs what its GPU time did
(`sublet.rating.attribution`), so the sum over tenants is that of the leases less what was unsold. Amounts are converted at the
beginning of the charge or cell, which cells are cut for; two currencies are never added.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from sublet.api.ids import LeaseUID
from sublet.api.times import Millis
from sublet.rating.attribution import portions
from sublet.rating.books import Books
from sublet.rating.calendar import Span
from sublet.rating.grid import until
from sublet.rating.margin_row import Row, Sums
from sublet.rating.model import Charge
from sublet.rating.money import Exchange
from sublet.rating.supply import Evidence, Supply, evidence_by_lease, supplies_of
from sublet.rating.uses import extras
from sublet.rating.wholesale import pieces

Table = dict[str, Sums]
"""Lease UID, class name or tenant UID -> what was added up"""


@dataclass(frozen=True, slots=True)
class Margins:
    """One span from three sides; revenue is the same in sum on each."""

    leases: tuple[Row, ...]
    """By UID; an empty one stands for what no lease was charged for, such as adjustments."""
    classes: tuple[Row, ...]
    """By name; empty where nobody knows the class."""
    tenants: tuple[Row, ...]


def margins(
    books: Books,
    charges: Sequence[Charge],
    span: Span,
    as_of_ms: Millis,
    exchange: Exchange | None = None,
) -> Margins:
    """Return the margins of a span, whose charges are given; NoRate if there is an exchange and it can't convert."""
    keep = exchange or Exchange()
    past = until(span, as_of_ms)
    leases, classes, tenants = Table(), Table(), Table()
    for charge in charges:
        for table, key in (
            (leases, charge.lease_uid),
            (classes, charge.class_name),
            (tenants, charge.tenant_uid),
        ):
            table.setdefault(key, Sums()).charge(charge, keep)
    supplies = supplies_of(books)
    for supply in supplies.values():
        _lease(leases.setdefault(supply.lease_uid, Sums()), supply, past, keep)
        _sides(books, supply, past, keep, (classes, tenants))
    for uid, evidence in sorted(evidence_by_lease(books).items()):
        if uid not in supplies:
            _uncosted(books, uid, evidence, past, (leases, classes, tenants))
    return Margins(
        *(tuple(table[k].row(k) for k in sorted(table)) for table in (leases, classes, tenants))
    )


def _lease(sums: Sums, supply: Supply, span: Span, exchange: Exchange) -> None:
    if span.from_ms >= span.to_ms:
        return
    cuts = [span.from_ms, *(e for e in exchange.edges if span.from_ms < e < span.to_ms), span.to_ms]
    for piece in pieces(supply, [Span(*each) for each in pairwise(cuts)]):
        sums.piece(supply, piece, exchange)
    for extra in extras(supply, span, span.to_ms):
        sums.cost_more(extra.amount, extra.currency, Millis(extra.to_ms - 1), exchange)


def _sides(
    books: Books, supply: Supply, span: Span, exchange: Exchange, tables: tuple[Table, Table]
) -> None:
    classes, tenants = tables
    for each in portions(supply, span, exchange):
        terms = books.reservations.get((each.claim_uid, each.sequence))
        for sums in (
            classes.setdefault(terms.class_name if terms else "", Sums()),
            tenants.setdefault(each.tenant_uid, Sums()),
        ):
            sums.portion(each)
    for extra in extras(supply, span, span.to_ms):
        terms = books.reservations.get((extra.claim_uid, extra.sequence))
        for sums in (
            classes.setdefault(terms.class_name if terms else "", Sums()),
            tenants.setdefault(extra.tenant_uid, Sums()),
        ):
            sums.cost_more(extra.amount, extra.currency, Millis(extra.to_ms - 1), exchange)


def _uncosted(
    books: Books,
    uid: LeaseUID,
    evidence: Evidence,
    span: Span,
    tables: tuple[Table, Table, Table],
) -> None:
    """Count GPU time of a lease that the ledger has no terms of: what it cost nobody knows."""
    leases, classes, tenants = tables
    for interval, _, _ in evidence.bound:
        quantity = interval.gpu_milliseconds(*span) if span.from_ms < span.to_ms else 0
        terms = books.reservations.get((interval.claim_uid, interval.sequence))
        for table, key in (
            (leases, uid),
            (classes, terms.class_name if terms else ""),
            (tenants, interval.tenant_uid),
        ):
            if quantity:
                table.setdefault(key, Sums()).uncosted += quantity
