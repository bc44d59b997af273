"""The margin report: what each lease, class and tenant earned and cost in a span, what was owed back, and each day's GPUs. Pure.

All of it is rated from the ledger as it is now; what was billed for closed periods stands in their statements. Days and months are
those of UTC, since leases and tenants may cut theirs elsewhere. An incident counts in the span in which it ended, whole; one that lasts
at the end of the span is listed and not added up. For the platform team alone.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, Final

from sublet.api.billing import Cut
from sublet.api.times import MS_PER_HOUR, Millis
from sublet.ledger.texts.lease import LeaseTerms
from sublet.ledger.texts.tenant import TenantTerms
from sublet.rating.books import Books
from sublet.rating.calendar import Span, days, month_at, month_span
from sublet.rating.charges import charges
from sublet.rating.grid import Grid, until
from sublet.rating.margin import margins
from sublet.rating.margin_row import Row
from sublet.rating.model import Charge, LeaseState
from sublet.rating.money import Exchange, Money, plus
from sublet.rating.netting import Netted, netting
from sublet.rating.sla import incidents
from sublet.rating.supply import Supply, supplies_of
from sublet.rating.tenancy import tenancies_of
from sublet.rating.wholesale import pieces

UTC_CUT: Final = Cut()
_MOST_DAYS: Final = 100
"""Longer spans are shown by the month."""
Steps = tuple["Step", ...]


@dataclass(frozen=True, slots=True)
class Step:
    """A day or a month: GPU-milliseconds by state."""

    span: Span
    quantity: Mapping[LeaseState, int]

    def gpus(self, state: LeaseState) -> Fraction:
        """Return how many GPUs were in a state on average."""
        return Fraction(self.quantity.get(state, 0), self.span.to_ms - self.span.from_ms)


@dataclass(frozen=True, slots=True)
class Line:
    """One lease, class or tenant."""

    name: str
    """As the ledger knows it; the UID where it doesn't."""
    row: Row
    owed: Money
    """By the landlord, for incidents that ended in the span; empty of a class or a tenant."""
    credited: Money
    """To tenants; above 0."""

    @property
    def sold_gpu_milliseconds(self) -> Fraction:
        """Return the GPU time that tenants had."""
        return self.row.quantity[LeaseState.USED] + self.row.quantity[LeaseState.BEYOND]

    @property
    def break_even_price(self) -> tuple[str, Fraction] | None:
        """Return the price of a sold GPU-hour at which revenue is the cost; None if nothing was sold, or it isn't one currency."""
        sold, cost = self.sold_gpu_milliseconds, self.row.cost
        if not sold or self.row.uncosted or len(cost) != 1:
            return None
        ((currency, amount),) = cost.items()
        return currency, amount * MS_PER_HOUR / sold


@dataclass(frozen=True, slots=True)
class Report:
    """A span from all sides."""

    span: Span
    as_of_ms: Millis
    """Until when it is metered."""
    seq: int
    head: str
    """The last line of the ledger that it is made from."""
    currency: str | None
    """In which all is said; None: each amount in its own."""
    leases: tuple[Line, ...]
    classes: tuple[Line, ...]
    tenants: tuple[Line, ...]
    steps: Mapping[str, Steps]
    """Lease's UID -> its days or months"""
    incidents: tuple[Netted, ...]
    by_month: bool = False
    """Steps are months."""


@dataclass(slots=True)
class _Sla:
    """What was owed and credited: key -> money."""

    owed: dict[str, Money] = field(default_factory=lambda: defaultdict(dict))
    credited: dict[str, Money] = field(default_factory=lambda: defaultdict(dict))


def report(
    books: Books,
    span: Span,
    as_of_ms: Millis,
    exchange: Exchange | None = None,
    currency: str | None = None,
) -> Report:
    """Return the report of a span; NoRate if it is to be in one currency and an amount can't be."""
    keep = exchange or Exchange()
    past = until(span, as_of_ms)
    supplies = supplies_of(books)
    owed_by_tenants = list(_charges(books, span, as_of_ms, keep))
    found = margins(books, owed_by_tenants, span, as_of_ms, keep)
    seen = [
        incident
        for supply in supplies.values()
        for incident in incidents(supply, past, past.to_ms, books.head)
    ]
    netted = netting(seen, owed_by_tenants, keep)
    leases, classes, tenants = _sums(netted, keep)
    by_month = span.to_ms - span.from_ms > _MOST_DAYS * 24 * MS_PER_HOUR
    cells = _months(past) if by_month else days(UTC_CUT, past)
    return Report(
        span=span,
        as_of_ms=past.to_ms,
        seq=books.seq,
        head=books.head,
        currency=currency,
        leases=_lines(found.leases, _names(books.leases), leases),
        classes=_lines(found.classes, {}, classes),
        tenants=_lines(found.tenants, _names(books.tenants), tenants),
        steps={uid: tuple(_steps(s, cells)) for uid, s in supplies.items()},
        incidents=tuple(netted),
        by_month=by_month,
    )


def _charges(books: Books, span: Span, as_of_ms: Millis, exchange: Exchange) -> Iterator[Charge]:
    edges = tuple(exchange.edges)
    for tenancy in tenancies_of(books).values():
        # cut where rates change, as costs are
        cut = replace(tenancy, exchange_edges=edges) if edges else tenancy
        yield from charges(cut, span, Grid.NONE, as_of_ms)


def _sums(netted: Sequence[Netted], exchange: Exchange) -> tuple[_Sla, _Sla, _Sla]:
    leases, classes, tenants = _Sla(), _Sla(), _Sla()
    for each in netted:
        incident = each.incident
        if incident is not None and incident.is_over:
            for currency, amount in each.owed.items():
                uid = incident.lease_uid
                leases.owed[uid] = plus(leases.owed[uid], currency, amount)
        for credit in each.credits:
            at_ms = credit.to_ms if incident is None else incident.to_ms
            given = exchange.convert(-credit.amount, credit.currency, at_ms)
            for sla, key in (
                (leases, credit.lease_uid),
                (classes, credit.class_name),
                (tenants, credit.tenant_uid),
            ):
                sla.credited[key] = plus(sla.credited[key], *given)
    return leases, classes, tenants


def _lines(rows: Sequence[Row], names: Mapping[str, str], sla: _Sla) -> tuple[Line, ...]:
    found = [
        Line(names.get(row.uid, row.uid), row, sla.owed[row.uid], sla.credited[row.uid])
        for row in rows
    ]
    return tuple(sorted(found, key=lambda x: (x.name, x.row.uid)))


def _names(terms: Mapping[Any, LeaseTerms] | Mapping[Any, TenantTerms]) -> dict[str, str]:
    return {uid: each.name for uid, each in terms.items()}


def _steps(supply: Supply, cells: Sequence[Span]) -> Iterator[Step]:
    sums: dict[Millis, dict[LeaseState, int]] = {c.from_ms: defaultdict(int) for c in cells}
    begin = Millis(0)
    for piece in pieces(supply, cells):
        begin = piece.from_ms if piece.from_ms in sums else begin
        for state, quantity in piece.quantity.items():
            sums[begin][state] += quantity
    for cell in cells:
        yield Step(cell, dict(sums[cell.from_ms]))


def _months(span: Span) -> list[Span]:
    found, at = [], span.from_ms
    while at < span.to_ms:
        end = min(month_span(UTC_CUT, month_at(UTC_CUT, at)).to_ms, span.to_ms)
        found.append(Span(at, end))
        at = end
    return found
