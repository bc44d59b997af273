"""What goes into one month's files of a tenant: its charges, made a few at a time. Pure.

The rows of a closed month come to what was billed, to the last fraction, for ever: they are rated again to be cut as finely as
was asked, and where that comes to anything else by now, what was billed stands uncut in its place.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Final

from sublet.api.ids import ClaimUID, TenantUID
from sublet.api.times import Millis, format_instant
from sublet.export.focus.account import Period
from sublet.ledger.texts.tenant import TenantTerms
from sublet.rating.books import Books
from sublet.rating.calendar import month_span
from sublet.rating.charges import ORDER, charges
from sublet.rating.grid import Grid
from sublet.rating.model import Category, Charge
from sublet.rating.periods import (
    Closed,
    NoSuchPeriod,
    as_closed,
    billed_by,
    closed_periods,
    corrections,
    open_period,
)
from sublet.rating.tenancy import Holdings, Tenancy

_CLAIMS: Final = 64
"""Whose charges are in memory at once."""


class NoAccount(ValueError):
    """The ledger has no terms of a tenant, so nobody can say whose account it is."""


@dataclass(frozen=True, slots=True)
class TenantMonth:
    """What one tenant's files of a month are made of."""

    books: Books
    """With the line of the ledger and the rates that hold for it: of a closed month, those that it was closed with."""
    terms: TenantTerms
    period: Period
    charges: Iterable[Charge]


def tenant_month(
    books: Books, tenancy: Tenancy, month: str, grid: Grid, as_of_ms: Millis
) -> TenantMonth:
    """Return one tenant's month; NoSuchPeriod, NoAccount."""
    if tenancy.terms is None:
        raise NoAccount(
            f"tenant {tenancy.tenant_uid}: the ledger has no terms of it, so there is no account to bill;"
            " is the GpuTenant there, and the operator running?"
        )
    closed = closed_periods(books, tenancy.tenant_uid)
    if month in closed:
        return _closed_month(books, tenancy, closed[month], grid)
    first = open_period(tenancy)
    if first is None or month < first[0]:
        raise NoSuchPeriod(
            f"tenant {tenancy.terms.name} has no billing period {month}: nothing was owed then"
        )
    span = first[1] if month == first[0] else month_span(tenancy.cut, month)
    if span.from_ms > as_of_ms:
        raise NoSuchPeriod(
            f"the billing period {month} of tenant {tenancy.terms.name} begins at {format_instant(span.from_ms)}"
        )
    period = Period(month, span, is_closed=False, as_of_ms=Millis(min(as_of_ms, span.to_ms)))

    def made() -> Iterator[Charge]:
        for part in _parts(tenancy):
            yield from charges(part, span, grid, as_of_ms)
        if month == first[0]:
            yield from sorted(corrections(books, tenancy, closed), key=ORDER)

    return TenantMonth(books, tenancy.terms, period, made())


def closed_months(books: Books, tenant_uid: TenantUID) -> set[str]:
    """Return the months of a tenant that are closed."""
    numbers = (entry.fact.sequence for entry in books.periods.get(tenant_uid, ()))
    return {f"{number // 100:04d}-{number % 100:02d}" for number in numbers}


def _closed_month(books: Books, tenancy: Tenancy, closed: Closed, grid: Grid) -> TenantMonth:
    text = closed.text
    billed, rates = billed_by(books, text)
    terms = billed or tenancy.terms
    assert terms is not None  # noqa: S101  the caller looked
    cut = as_closed(books, tenancy, text)
    then = replace(books, seq=text.seq, head=text.head, rates=rates)
    period = Period(closed.month, closed.span, is_closed=True, as_of_ms=closed.span.to_ms)
    return TenantMonth(then, terms, period, _as_billed(cut, closed, grid))


def _as_billed(tenancy: Tenancy, closed: Closed, grid: Grid) -> Iterator[Charge]:
    billed: dict[ClaimUID, list[Charge]] = defaultdict(list)
    for charge in closed.charges:
        billed[charge.claim_uid].append(charge)
    for part in _parts(tenancy):
        fine: dict[ClaimUID, list[Charge]] = defaultdict(list)
        for charge in charges(part, closed.span, grid, closed.span.to_ms):
            fine[charge.claim_uid].append(charge)
        for claim_uid in sorted({*_claims(part), *fine} & billed.keys()):
            yield from _cut(billed.pop(claim_uid), fine[claim_uid])
    for rest in billed.values():
        yield from rest


def _cut(billed: Sequence[Charge], fine: Sequence[Charge]) -> Iterator[Charge]:
    """Yield one claim's charges, cut finely where they come to what was billed."""
    was, now = _sums(c for c in billed if not c.corrects), _sums(fine)
    same = {key for key, total in was.items() if now.get(key) == total}
    cut = [c for c in fine if _key(c) in same]
    whole = [c for c in billed if c.corrects or _key(c) not in same]
    yield from sorted([*cut, *whole], key=ORDER)


def _sums(given: Iterable[Charge]) -> dict[tuple[Any, ...], tuple[Fraction, ...]]:
    """Return what charges that are alike come to: quantity, amount before discounts, amount."""
    found: dict[tuple[Any, ...], tuple[Fraction, ...]] = {}
    nothing = (Fraction(0),) * 3
    for c in given:
        before = found.get(_key(c), nothing)
        adds = (Fraction(c.gpu_milliseconds), c.list_amount, c.amount)
        found[_key(c)] = tuple(a + b for a, b in zip(before, adds, strict=True))
    return found


def _key(c: Charge) -> tuple[Any, ...]:
    """Return what tells charges of one claim apart."""
    line = c.first_seq if c.category is Category.ADJUSTMENT else 0
    return (
        c.sequence,
        c.lease_uid,
        c.category,
        c.list_price,
        c.price,
        c.currency,
        c.namespace,
        line,
    )


def _parts(tenancy: Tenancy) -> Iterator[Tenancy]:
    """Yield a tenancy in parts, whose charges follow each other in the order of all: adjustments first, then a few claims at a time."""
    yield replace(tenancy, holdings=Holdings())
    held = tenancy.holdings
    claims = _claims(tenancy)
    for start in range(0, len(claims), _CLAIMS):
        some = claims[start : start + _CLAIMS]
        part = Holdings(*(_only(of, some) for of in (held.bound, held.cancelled, held.down)))
        yield replace(tenancy, holdings=part, adjustments=())


def _claims(tenancy: Tenancy) -> list[ClaimUID]:
    held = tenancy.holdings
    return sorted({*held.bound, *held.cancelled, *held.down})


def _only(of: Mapping[ClaimUID, Any], claims: Iterable[ClaimUID]) -> dict[ClaimUID, Any]:
    return defaultdict(list, {uid: of[uid] for uid in claims if uid in of})
