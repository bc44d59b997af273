"""Which statements there should be, and what they say, by the books. Pure.

For each tenant: the last closed periods, and every open one that has begun. Each namespace that the tenant has, or had when the
period was closed, has one for each currency in which anything is owed. A statement that is there and of which nothing is owed
any more, since the tenant's currency or namespaces changed, says 0: all of a month add up to what is owed.
"""

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Final

from sublet.api.common import Condition, Status
from sublet.api.gpustatement import MOST_LINES, StatementLine, StatementSpec, StatementStatus
from sublet.api.times import MS_PER_HOUR, Millis
from sublet.ledger.texts.rates import NoRate
from sublet.ledger.texts.tenant import TenantTerms
from sublet.rating.books import Books
from sublet.rating.calendar import month_at, next_month
from sublet.rating.minor_units import rounded
from sublet.rating.periods import Bill, Closed, bill, billed_by, closed_periods, open_period
from sublet.rating.statement import Line, Part, Statement, by_namespace
from sublet.rating.tenancy import Tenancy

KEPT_MONTHS: Final = 13
"""So many closed periods have statements; older ones are in the ledger, and objects of them are left alone."""
_PLACES: Final = 6
_CODE: Final = 3
"""Letters of a currency's code."""

Key = tuple[str, str]
"""namespace, name"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One statement as it should be."""

    namespace: str
    name: str
    spec: StatementSpec
    status: StatementStatus
    """Without conditions."""
    is_closed: bool


@dataclass(frozen=True, slots=True)
class Unmade:
    """A tenant's month that can't be made a statement of, and why."""

    tenant: str
    month: str
    why: str


def wanted(
    books: Books, tenancy: Tenancy, name: str, now_ms: Millis, live: Collection[Key] = ()
) -> Iterator[Wanted | Unmade]:
    """Yield one tenant's statements, those of `live` that are its own among them.

    `name` begins their names, and is the tenant's unless another had it before.
    """
    if tenancy.terms is None:
        return
    closed = closed_periods(books, tenancy.tenant_uid)
    for month in _months(tenancy, closed, now_ms):
        try:
            made = bill(books, tenancy, month, now_ms)
        except NoRate as error:
            yield Unmade(name, month, str(error))
            continue
        billed = billed_by(books, closed[month].text)[0] if month in closed else None
        terms = billed or tenancy.terms
        parts = by_namespace(made.statement, terms.namespaces)
        owed = {(namespace, c) for namespace, each in parts.items() for c in each.totals}
        for namespace, currency in sorted(owed | _there(live, f"{name}-{month}-")):
            part = parts.get(namespace, Statement())
            yield _one(books, (terms, tenancy.tenant_uid, name), made, namespace, part, currency)


def _there(live: Collection[Key], prefix: str) -> set[tuple[str, str]]:
    """Return namespace and currency of the statements that there are of a month."""
    return {
        (namespace, name.removeprefix(prefix).upper())
        for namespace, name in live
        if name.startswith(prefix) and len(name) == len(prefix) + _CODE
    }


def _months(tenancy: Tenancy, closed: dict[str, Closed], now_ms: Millis) -> Iterator[str]:
    yield from sorted(closed)[-KEPT_MONTHS:]
    first = open_period(tenancy, closed)
    month, last = (first[0] if first else ""), month_at(tenancy.cut, now_ms)
    while month and month <= last and (first is None or first[1].from_ms <= now_ms):
        yield month
        month = next_month(month)


def _one(
    books: Books,
    whose: tuple[TenantTerms, str, str],
    made: Bill,
    namespace: str,
    statement: Statement,
    currency: str,
) -> Wanted:
    terms, uid, name = whose
    mine = [line for line in statement.lines if line.key.currency == currency]
    with_tags = sum(len(line.parts) for line in mine) <= MOST_LINES
    lines = tuple(x for line in mine for x in _lines(books, line, with_tags=with_tags))
    status = StatementStatus(
        observed_generation=1,
        account=terms.billing_account_id,
        from_time=made.span.from_ms,
        to_time=made.span.to_ms,
        as_of_time=made.as_of_ms,
        ledger_seq=made.seq,
        ledger_head=made.head,
        total=format(statement.totals.get(currency, rounded(Fraction(0), currency)), "f"),
        lines=lines[:MOST_LINES],
        tags_omitted=None if with_tags else True,
    )
    spec = StatementSpec(tenant=terms.name, tenant_uid=uid, month=made.month, currency=currency)
    full_name = f"{name}-{made.month}-{currency.lower()}"
    return Wanted(namespace, full_name, spec, status, made.is_closed)


def _lines(books: Books, line: Line, *, with_tags: bool) -> Iterator[StatementLine]:
    whole = Part("", line.gpu_milliseconds, line.listed, line.amount)
    parts: Sequence[Part] = line.parts if with_tags else (whole,)
    price = line.unit_price
    for part in parts:
        yield StatementLine(
            category=line.key.category.value,
            class_name=line.key.class_name or None,
            corrects=line.key.corrects or None,
            tags=json.loads(books.text(part.tags_hash)) if part.tags_hash else {},
            gpu_hours=_hours(part.gpu_milliseconds),
            gpu_milliseconds=part.gpu_milliseconds,
            unit_price=None if price is None else _decimal(Decimal(price.numerator) / price.denominator),
            list_amount=format(part.listed, "f"),
            amount=format(part.amount, "f"),
        )  # fmt: skip


def _hours(gpu_milliseconds: int) -> str:
    return _decimal(Decimal(gpu_milliseconds) / MS_PER_HOUR)


def _decimal(value: Decimal) -> str:
    return format(round(value, _PLACES), "f")


def conditions(
    wanted_: Wanted, before: Sequence[Condition], now_ms: Millis
) -> tuple[Condition, ...]:
    """Return what a statement says of itself; a status that stays keeps the instant since when it holds."""
    closed = wanted_.is_closed
    said = (
        ("Ready", Status.TRUE, "Metered", "made of the ledger up to asOfTime"),
        (
            "Closed",
            Status.TRUE if closed else Status.FALSE,
            "PeriodClosed" if closed else "PeriodOpen",
            "what comes later is corrected in the next open period"
            if closed
            else "it changes until the period is closed",
        ),
    )
    return tuple(_condition(*each, before, now_ms) for each in said)


def unready(before: Sequence[Condition], why: str, now_ms: Millis) -> tuple[Condition, ...]:
    """Return the conditions of a statement that can't be made now."""
    others = [c for c in before if c.type != "Ready"]
    return (_condition("Ready", Status.FALSE, "NoRate", why, before, now_ms), *others)


def _condition(
    type_: str,
    status: Status,
    reason: str,
    message: str,
    before: Sequence[Condition],
    now_ms: Millis,
) -> Condition:
    old = next((c for c in before if c.type == type_), None)
    since = old.last_transition_time if old is not None and old.status is status else now_ms
    return Condition(
        type=type_,
        status=status,
        reason=reason,
        message=message,
        observed_generation=1,
        last_transition_time=since,
    )
