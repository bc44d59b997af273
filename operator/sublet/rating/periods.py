"""Billing periods of a tenant: which are closed and what was billed for them, which is open, and what is corrected in it. Pure.

Periods are months by the tenant's cut and are closed in their order; each begins where the last closed one ended. What was billed for a
closed one is read from its text for ever. What the ledger says otherwise by now is the difference between rating it again and
what was billed for it so far, and is billed in the first open period.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from sublet.api.ids import ClaimUID, LeaseUID, TenantUID
from sublet.api.times import Millis, format_instant
from sublet.ledger.entry import EntryKind, EntryType, Fact
from sublet.ledger.texts.period import BilledCharge, PeriodText
from sublet.ledger.texts.rates import Rates
from sublet.ledger.texts.tenant import TenantTerms
from sublet.rating.books import RATES, Books
from sublet.rating.calendar import Span, month_at, month_span, next_month
from sublet.rating.charges import ORDER, charges
from sublet.rating.grid import Grid
from sublet.rating.model import Category, Charge
from sublet.rating.statement import Statement, bearers, nobodys, statement
from sublet.rating.tenancy import Tenancy, exchange_edges, month_of

MS_PER_DAY: Final = 86_400_000


class NoSuchPeriod(ValueError):
    """A month that a tenant has no billing period for, or none that can be closed now."""


@dataclass(frozen=True, slots=True)
class Closed:
    """A closed period as it was billed."""

    text: PeriodText
    charges: tuple[Charge, ...]

    @property
    def month(self) -> str:
        """Return year and month."""
        return self.text.month

    @property
    def span(self) -> Span:
        """Return the period's instants as they were when it was closed."""
        return Span(self.text.from_time, self.text.to_time)


class ClosedPeriods(Mapping[str, Closed]):
    """A tenant's closed periods by month, in their order; each is read from its text when it is asked for, once."""

    def __init__(self, books: Books, tenant_uid: TenantUID) -> None:
        self._books, self._tenant_uid = books, tenant_uid
        self._lines = {month_of(x): x for x in reversed(books.periods.get(tenant_uid, ()))}
        self._known: dict[str, Closed] = {}

    def __getitem__(self, month: str) -> Closed:
        """Return a period as it was billed; KeyError, BrokenLedger if its text isn't there."""
        if month not in self._known:
            text = PeriodText.read(self._books.text(self._lines[month].fact.price_hash))
            billed = tuple(_read(self._tenant_uid, c) for c in text.charges)
            self._known[month] = Closed(text, billed)
        return self._known[month]

    def __iter__(self) -> Iterator[str]:
        return reversed(self._lines)

    def __len__(self) -> int:
        return len(self._lines)

    def rates_then(self, month: str) -> Rates | None:
        """Return the table of rates that a month was billed with; None if there was none, or it isn't closed."""
        return billed_by(self._books, self[month].text)[1] if month in self._lines else None


@dataclass(frozen=True, slots=True)
class Bill:
    """What a tenant owes for one period."""

    month: str
    span: Span
    is_closed: bool
    as_of_ms: Millis
    """Until when it is metered; of a closed one its end."""
    seq: int
    head: str
    """The last line of the ledger that it is made from."""
    charges: tuple[Charge, ...]
    statement: Statement
    terms: TenantTerms | None
    """The tenant's, by which it is billed."""
    namespaces: tuple[str, ...]
    """In which its statements stand."""


def closed_periods(books: Books, tenant_uid: TenantUID) -> ClosedPeriods:
    """Return a tenant's closed periods in their order: month -> as it was billed."""
    return ClosedPeriods(books, tenant_uid)


def first_month(tenancy: Tenancy) -> str | None:
    """Return the month in which a tenant first owed something; None if it never did."""
    held = tenancy.holdings
    lines = (x for of in (held.bound, held.cancelled) for each in of.values() for x in each)
    months = {month_at(tenancy.cut, x.interval.start_ms) for x in lines}
    months |= {said.period for _, said in tenancy.adjustments}
    return min(months, default=None)


def open_period(tenancy: Tenancy) -> tuple[str, Span] | None:
    """Return the first period that isn't closed; None if the tenant never owed anything."""
    if tenancy.closed_to:
        last = max(tenancy.closed_to)
        begins, month = tenancy.closed_to[last], next_month(last)
        return month, Span(begins, max(begins, month_span(tenancy.cut, month).to_ms))
    month_ = first_month(tenancy)
    return (month_, month_span(tenancy.cut, month_)) if month_ is not None else None


def bill(
    books: Books,
    tenancy: Tenancy,
    month: str,
    as_of_ms: Millis,
    *,
    closed: ClosedPeriods | None = None,
    is_anothers: Callable[[str], bool] = nobodys,
) -> Bill:
    """Return what a tenant owes for a month, corrections of earlier ones in the first open one; NoSuchPeriod, NoRate.

    `is_anothers` says whether a namespace is another tenant's by now: no statement of an open month stands there.
    """
    closed = closed if closed is not None else closed_periods(books, tenancy.tenant_uid)
    if month in closed:
        return _as_billed(books, closed, month)
    found = open_period(tenancy)
    if found is None or month < found[0]:
        raise NoSuchPeriod(f"{_name(tenancy)} has no billing period {month}: nothing was owed then")
    span = found[1] if month == found[0] else month_span(tenancy.cut, month)
    if span.from_ms > as_of_ms:
        raise NoSuchPeriod(
            f"the billing period {month} of {_name(tenancy)} begins at {format_instant(span.from_ms)}"
        )
    made = charges(tenancy, span, Grid.NONE, as_of_ms)
    if month == found[0]:
        made = sorted([*made, *corrections(books, tenancy, closed)], key=ORDER)
    as_of, terms = min(as_of_ms, span.to_ms), tenancy.terms
    lines = statement(made, terms, books.rates, closed.rates_then)
    names = bearers(made, terms, is_anothers)
    return Bill(
        month, span, False, as_of, books.seq, books.head, tuple(made), lines, terms, names
    )  # fmt: skip


def corrections(books: Books, tenancy: Tenancy, closed: Mapping[str, Closed]) -> list[Charge]:
    """Return what closed periods would be by now less what was billed for them so far.

    What is known by now of the time before the first of them, which no period is for, belongs to that one.
    """
    since = books.late.of(tenancy.tenant_uid)
    found: list[Charge] = []
    for index, each in enumerate(closed.values() if since is not None else ()):
        if each.span.to_ms < (since or 0):
            continue
        then = as_closed(books, tenancy, each.text)
        span = each.span if index else Span(Millis(0), each.span.to_ms)
        now = charges(then, span, Grid.NONE, span.to_ms)
        billed = [c for c in each.charges if not c.corrects]
        billed += [c for x in closed.values() for c in x.charges if c.corrects == each.month]
        found += _differences(each.month, now, billed, then.exchange_edges)
    return found


def as_closed(books: Books, tenancy: Tenancy, text: PeriodText) -> Tenancy:
    """Return a tenancy with the months and the exchange rates by which a period of it was billed, whatever they are now."""
    billed, rates = billed_by(books, text)
    terms = tenancy.terms
    # discounts are those of now: a late one is a correction
    if terms is not None and billed is not None:
        terms = terms.model_copy(update={"billing": billed.billing})
    return replace(tenancy, terms=terms, exchange_edges=exchange_edges(billed, rates))


def billed_by(books: Books, text: PeriodText) -> tuple[TenantTerms | None, Rates | None]:
    """Return the tenant's terms and the table of rates that a closed period was billed by."""
    terms = TenantTerms.read(books.text(text.terms)) if text.terms else None
    return terms, Rates.read(books.text(text.rates)) if text.rates else None


def closing(
    books: Books,
    tenancy: Tenancy,
    month: str,
    as_of_ms: Millis,
    is_anothers: Callable[[str], bool] = nobodys,
) -> tuple[Fact, str]:
    """Return the line that closes a tenant's first open period, and its text; NoSuchPeriod if it can't be closed, NoRate."""
    found = open_period(tenancy)
    if found is None or found[0] != month:
        raise NoSuchPeriod(f"{month} isn't the first open billing period of {_name(tenancy)}")
    if as_of_ms < found[1].to_ms:
        raise NoSuchPeriod(f"the billing period {month} of {_name(tenancy)} isn't over")
    made = bill(books, tenancy, month, found[1].to_ms, is_anothers=is_anothers)
    terms = tenancy.terms
    text = PeriodText(
        tenant=terms.name if terms else "",
        account=terms.billing_account_id if terms else "",
        month=month,
        from_time=made.span.from_ms,
        to_time=made.span.to_ms,
        terms=books.said.get(tenancy.tenant_uid, ""),
        rates=books.said.get(RATES, ""),
        namespaces=made.namespaces,
        seq=books.seq,
        head=books.head,
        charges=tuple(_written(c) for c in made.charges),
    )
    fact = Fact(
        claim_uid=ClaimUID(tenancy.tenant_uid),
        sequence=int(month.replace("-", "")),
        tenant_uid=tenancy.tenant_uid,
        lease_uid=LeaseUID(""),
        kind=EntryKind.PERIOD,
        type=EntryType.SET,
        gpus=0,
        at_ms=made.span.to_ms,
        price_hash=text.hash,
        tags_hash="",
        source_version=str(books.seq),  # what comes between this line and its text is late
    )
    return fact, text.text


def due_to_close(tenancy: Tenancy, now_ms: Millis, after_days: int) -> tuple[str, Span] | None:
    """Return the period that is to be closed now: over for so many days; None if there is none."""
    found = open_period(tenancy)
    if found is None or now_ms < found[1].to_ms + after_days * MS_PER_DAY:
        return None
    return found


def _as_billed(books: Books, closed: ClosedPeriods, month: str) -> Bill:
    text, made = closed[month].text, closed[month].charges
    terms, rates = billed_by(books, text)
    lines = statement(made, terms, rates, closed.rates_then)
    names = text.namespaces if text.namespaces is not None else bearers(made, terms)
    return Bill(
        month, closed[month].span, True, text.to_time, text.seq, text.head, made, lines, terms, names
    )  # fmt: skip


def _differences(
    month: str, now: Sequence[Charge], billed: Sequence[Charge], edges: Sequence[Millis]
) -> Iterator[Charge]:
    """Yield what is owed now and wasn't billed, or less than was, by what tells charges apart; none lies over an edge."""
    left, right = _sums(now, edges), _sums(billed, edges)
    for key in sorted({*left, *right}, key=str):
        new, old = left.get(key), right.get(key)
        like = new or old
        assert like is not None  # noqa: S101  the key is in one of both
        quantity = (new.gpu_milliseconds if new else 0) - (old.gpu_milliseconds if old else 0)
        amount = (new.amount if new else Fraction(0)) - (old.amount if old else Fraction(0))
        listed = (new.list_amount if new else Fraction(0)) - (
            old.list_amount if old else Fraction(0)
        )
        if quantity or amount or listed:
            yield replace(
                like, gpu_milliseconds=quantity, amount=amount, list_amount=listed, corrects=month
            )


def _sums(given: Iterable[Charge], edges: Sequence[Millis]) -> dict[tuple[Any, ...], Charge]:
    by_key: dict[tuple[Any, ...], list[Charge]] = defaultdict(list)
    for c in given:
        line = c.first_seq if c.category is Category.ADJUSTMENT else 0
        key = (c.claim_uid, c.sequence, c.lease_uid, c.category, c.list_price, c.price, c.currency)
        by_key[*key, c.namespace, line, bisect_right(edges, c.from_ms)].append(c)
    return {
        key: replace(
            some[0],
            from_ms=min(c.from_ms for c in some),
            to_ms=max(c.to_ms for c in some),
            gpu_milliseconds=sum(c.gpu_milliseconds for c in some),
            amount=sum((c.amount for c in some), Fraction(0)),
            list_amount=sum((c.list_amount for c in some), Fraction(0)),
            first_seq=min(c.first_seq for c in some),
            last_seq=max(c.last_seq for c in some),
        )
        for key, some in by_key.items()
    }


def _written(charge: Charge) -> BilledCharge:
    given = {name: getattr(charge, name) for name in BilledCharge.model_fields}
    exact = {name: str(given[name]) for name in ("list_amount", "amount")}
    prices = {
        name: None
        if given[name] is None
        else format(given[name], "f")
        if name == "list_price"
        else str(given[name])
        for name in ("list_price", "price")
    }
    return BilledCharge.model_construct(
        **given | exact | prices | {"category": charge.category.value}
    )


def _read(tenant_uid: TenantUID, said: BilledCharge) -> Charge:
    given = {name: getattr(said, name) for name in BilledCharge.model_fields}
    return Charge(
        tenant_uid=tenant_uid,
        **given
        | {
            "category": Category(said.category),
            "list_price": None if said.list_price is None else Decimal(said.list_price),
            "price": None if said.price is None else Fraction(said.price),
            "list_amount": Fraction(said.list_amount),
            "amount": Fraction(said.amount),
        },
    )


def _name(tenancy: Tenancy) -> str:
    return f"tenant {tenancy.terms.name if tenancy.terms else tenancy.tenant_uid}"
