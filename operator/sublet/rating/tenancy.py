"""One tenant over all its time as the ledger tells it: what it had, gave up, lost, agreed to and was adjusted by. Pure.

Read by all that says what a tenant owes. A reservation that the ledger has no terms of (older than they are kept) has neither
names nor rounding nor credits; its GPU time and its price are as exact as any other's.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from sublet.api.billing import Cut
from sublet.api.ids import ClaimUID, LeaseUID, TenantUID
from sublet.api.times import Millis
from sublet.ledger.entry import Entry, EntryKind
from sublet.ledger.interval import Interval
from sublet.ledger.texts.adjustment import Adjustment
from sublet.ledger.texts.lease import LeaseTerms
from sublet.ledger.texts.rates import Rates
from sublet.ledger.texts.reservation import ReservationTerms
from sublet.ledger.texts.tenant import TenantTerms
from sublet.rating.books import Books, Lined
from sublet.rating.calendar import Span, month_at, month_span, next_month
from sublet.rating.model import Category, Charge
from sublet.rating.money import owed
from sublet.rating.prices import Price, Prices
from sublet.rating.timeline import Timeline

NOBODY: Cut = Cut()
"""Months of UTC, for a tenant that the ledger has no terms of."""


@dataclass(slots=True)
class Holdings:
    """A tenant's intervals, each kind in the order of its lines."""

    bound: dict[ClaimUID, list[Lined]] = field(default_factory=lambda: defaultdict(list))
    cancelled: dict[ClaimUID, list[Lined]] = field(default_factory=lambda: defaultdict(list))
    down: dict[ClaimUID, list[Lined]] = field(default_factory=lambda: defaultdict(list))

    def add(self, lined: Lined) -> None:
        """Put an interval where it belongs; kinds that no tenant pays for or is credited for are left out."""
        of_kind = {
            EntryKind.BOUND: self.bound,
            EntryKind.CANCELLED: self.cancelled,
            EntryKind.DOWNTIME: self.down,
        }.get(lined.interval.kind)
        if of_kind is not None and lined.interval.end_ms != lined.interval.start_ms:
            of_kind[lined.interval.claim_uid].append(lined)


@dataclass(frozen=True, slots=True)
class Tenancy:
    """One tenant over all its time."""

    tenant_uid: TenantUID
    terms: TenantTerms | None
    holdings: Holdings
    adjustments: Sequence[tuple[Entry, Adjustment]]
    reservations: Mapping[tuple[ClaimUID, int], ReservationTerms]
    leases: Mapping[LeaseUID, LeaseTerms]
    prices: Prices
    exchange_edges: tuple[Millis, ...]
    """Where exchange rates change, if the tenant is billed in a currency of its own: no charge lies over one."""

    closed_to: Mapping[str, Millis] = field(default_factory=dict)
    """Closed months, and when each ended, whatever the time zone says now."""

    @property
    def cut(self) -> Cut:
        """Return where its months and days begin."""
        return self.terms.billing if self.terms is not None else NOBODY

    def month_span(self, month: str) -> Span:
        """Return a month as it was closed, or as it will be: after those that are closed."""
        span = month_span(self.cut, month)
        before = (end for closed, end in self.closed_to.items() if closed < month)
        begin = max(span.from_ms, max(before, default=span.from_ms))
        return Span(begin, max(begin, self.closed_to.get(month, span.to_ms)))

    def month_at(self, at_ms: Millis) -> str:
        """Return the month whose period an instant lies in, whatever the time zone said when those that are closed were."""
        month = month_at(self.cut, at_ms)
        over = [next_month(closed) for closed, end in self.closed_to.items() if end <= at_ms]
        lasting = [closed for closed, end in self.closed_to.items() if end > at_ms]
        return min([max([month, *over]), *lasting])

    def agreed(self, interval: Interval) -> ReservationTerms | None:
        """Return what the reservation of an interval agreed to, None if the ledger doesn't say."""
        return self.reservations.get((interval.claim_uid, interval.sequence))

    def price_of(self, interval: Interval) -> tuple[Timeline[Price], str]:
        """Return what an interval costs over time, and the currency."""
        return self.prices.of(interval, self.agreed(interval))

    def priced(
        self, lined: Lined, category: Category, within: Span, gpu_milliseconds: int, price: Price
    ) -> Charge:
        """Return GPU time at a price as a charge."""
        return self.charge(
            lined,
            category,
            within,
            gpu_milliseconds=gpu_milliseconds,
            price=price,
            listed=owed(gpu_milliseconds, price.listed),
            amount=owed(gpu_milliseconds, price.charged),
        )

    def charge(
        self,
        lined: Lined,
        category: Category,
        within: Span,
        *,
        gpu_milliseconds: int = 0,
        price: Price | None = None,
        listed: Fraction,
        amount: Fraction,
        lines: tuple[int, int] | None = None,
    ) -> Charge:
        """Return a charge for an interval; `lines` if it is made of more of the ledger than that."""
        interval, first_seq, last_seq = lined
        agreed, lease = self.agreed(interval), self.leases.get(interval.lease_uid)
        first, last = lines or (first_seq, last_seq)
        return Charge(
            tenant_uid=self.tenant_uid,
            namespace=agreed.namespace if agreed else "",
            claim_uid=interval.claim_uid,
            claim_name=agreed.name if agreed else "",
            sequence=interval.sequence,
            class_name=agreed.class_name if agreed else "",
            lease_uid=interval.lease_uid,
            lease_alias=lease.alias if lease else "",
            product=lease.product if lease else "",
            tags_hash=interval.tags_hash,
            category=category,
            from_ms=within.from_ms,
            to_ms=within.to_ms,
            gpu_milliseconds=gpu_milliseconds,
            list_price=price.listed if price else None,
            price=price.charged if price else None,
            currency=self.price_of(interval)[1],
            list_amount=listed,
            amount=amount,
            first_seq=first,
            last_seq=last,
        )


def tenancy_of(books: Books, tenant_uid: TenantUID) -> Tenancy:
    """Return one tenant over all its time; of one that the ledger doesn't know, nothing."""
    holdings = Holdings()
    for lined in books.intervals(*_KINDS):
        if lined.interval.tenant_uid == tenant_uid:
            holdings.add(lined)
    return _tenancy(books, tenant_uid, holdings)


def tenancies_of(books: Books) -> dict[TenantUID, Tenancy]:
    """Return every tenant that the ledger knows, by UID, with one walk through its intervals."""
    found: dict[TenantUID, Holdings] = {uid: Holdings() for uid in books.tenants}
    for lined in books.intervals(*_KINDS):
        found.setdefault(lined.interval.tenant_uid, Holdings()).add(lined)
    for entry, _ in books.adjustments:
        found.setdefault(entry.fact.tenant_uid, Holdings())
    return {uid: _tenancy(books, uid, found[uid]) for uid in sorted(found)}


_KINDS = (EntryKind.BOUND, EntryKind.CANCELLED, EntryKind.DOWNTIME)


def _tenancy(books: Books, tenant_uid: TenantUID, holdings: Holdings) -> Tenancy:
    terms = books.tenants.get(tenant_uid)
    return Tenancy(
        tenant_uid=tenant_uid,
        terms=terms,
        holdings=holdings,
        adjustments=[x for x in books.adjustments if x[0].fact.tenant_uid == tenant_uid],
        reservations=books.reservations,
        leases=books.leases,
        prices=Prices(books, terms.discounts if terms is not None else ()),
        exchange_edges=exchange_edges(terms, books.rates),
        closed_to=_closed_to(books.periods.get(tenant_uid, ())),
    )


def _closed_to(closed: Sequence[Entry]) -> dict[str, Millis]:
    # of two that close the same period the first one holds
    return {month_of(entry): entry.fact.at_ms for entry in reversed(closed)}


def month_of(closing: Entry) -> str:
    """Return the month that a line closes, as year and month."""
    number = closing.fact.sequence
    return f"{number // 100:04d}-{number % 100:02d}"


def exchange_edges(terms: TenantTerms | None, rates: Rates | None) -> tuple[Millis, ...]:
    """Return where exchange rates change for a tenant with such terms; nowhere if it is billed as priced."""
    if terms is None or terms.billing.currency is None or rates is None:
        return ()
    return tuple(sorted({r.effective_time for r in rates.rates}))
