"""Which statements there should be, and what they say, by the books. Pure.

For each tenant: the last closed periods, and every open one that has begun. Each namespace that the tenant has, or had when the
period was closed, has one for each currency in which anything is owed. A statement that is there and of which nothing is owed
any more, since the tenant's currency or namespaces changed, says 0: all of a month add up to what is owed. In a namespace that is
another tenant's by now there is none: what was used there in an open month is shared out over the others.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Final

from sublet.api.common import Condition, Status, find_condition, next_condition
from sublet.api.gpustatement import StatementSpec, StatementStatus
from sublet.api.ids import TenantUID
from sublet.api.times import Millis
from sublet.hub.statements.lines import shown
from sublet.hub.statements.owners import Owners
from sublet.ledger.texts.rates import NoRate
from sublet.ledger.texts.tenant import TenantTerms
from sublet.rating.books import Books
from sublet.rating.calendar import month_at, next_month
from sublet.rating.minor_units import rounded
from sublet.rating.periods import Bill, ClosedPeriods, bill, closed_periods, open_period
from sublet.rating.statement import Statement, by_namespace
from sublet.rating.tenancy import Tenancy

KEPT_MONTHS: Final = 13
"""So many closed periods have statements; older ones are in the ledger, and objects of them are left alone."""
_CODE: Final = 3
"""Letters of a currency's code."""
_PARTS: Final = 3
"""Of a statement's name after the tenant's: year, month, currency."""

NOBODY: Final = Owners()
"""No namespace is another tenant's."""

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
    reason: str
    """One word."""
    why: str

    @classmethod
    def of(cls, tenant: str, month: str, error: ValueError) -> "Unmade":
        """Return what an error says of a month."""
        reason = "NoRate" if isinstance(error, NoRate) else "LedgerUnread"
        return cls(tenant, month, reason, str(error))


def names(books: Books) -> dict[str, TenantUID]:
    """Return what the names of a tenant's statements begin with -> its UID: its own name, unless another had that before."""
    found: dict[str, TenantUID] = {}
    for uid, terms in books.tenants.items():  # in the order in which they came
        found[terms.name if terms.name not in found else f"{terms.name}-{uid[:8]}"] = uid
    return found


def strays(books: Books, live: Collection[Key], owners: Owners) -> list[Key]:
    """Return the statements that stand in a namespace of another tenant than theirs."""
    whose = {name: books.tenants[uid].name for name, uid in names(books).items()}
    return [
        (namespace, name)
        for namespace, name in live
        if (tenant := whose.get(name.rsplit("-", _PARTS)[0])) is not None
        and owners.is_anothers(namespace, tenant)
    ]


def wanted(
    books: Books,
    tenancy: Tenancy,
    name: str,
    now_ms: Millis,
    live: Collection[Key] = (),
    owners: Owners = NOBODY,
) -> Iterator[Wanted | Unmade]:
    """Yield one tenant's statements, those of `live` that are its own among them.

    `name` begins their names, and is the tenant's unless another had it before. A month of which the ledger can't be understood
    holds up no other.
    """
    if tenancy.terms is None:
        return
    closed = closed_periods(books, tenancy.tenant_uid)
    is_anothers = partial(owners.is_anothers, tenant=tenancy.terms.name)
    for month in _months(tenancy, closed, now_ms):
        try:
            made = bill(books, tenancy, month, now_ms, closed=closed, is_anothers=is_anothers)
            found = list(
                _of_month(
                    books, (made.terms or tenancy.terms, tenancy.tenant_uid, name), made, live
                )
            )
        except ValueError as error:
            yield Unmade.of(name, month, error)
        else:
            yield from (each for each in found if not is_anothers(each.namespace))


def _of_month(
    books: Books, whose: tuple[TenantTerms, str, str], made: Bill, live: Collection[Key]
) -> Iterator[Wanted]:
    parts = by_namespace(made.statement, made.namespaces)
    owed = {(namespace, c) for namespace, each in parts.items() for c in each.totals}
    for namespace, currency in sorted(owed | _there(live, f"{whose[2]}-{made.month}-")):
        if namespace:
            yield _one(books, whose, made, namespace, parts.get(namespace, Statement()), currency)


def _there(live: Collection[Key], prefix: str) -> set[tuple[str, str]]:
    """Return namespace and currency of the statements that there are of a month."""
    return {
        (namespace, name.removeprefix(prefix).upper())
        for namespace, name in live
        if name.startswith(prefix) and len(name) == len(prefix) + _CODE
    }


def _months(tenancy: Tenancy, closed: ClosedPeriods, now_ms: Millis) -> Iterator[str]:
    yield from sorted(closed)[-KEPT_MONTHS:]
    first = open_period(tenancy)
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
    lines = shown(books, [x for x in statement.lines if x.key.currency == currency])
    status = StatementStatus(
        observed_generation=1,
        account=terms.billing_account_id,
        from_time=made.span.from_ms,
        to_time=made.span.to_ms,
        as_of_time=made.as_of_ms,
        ledger_seq=made.seq,
        ledger_head=made.head,
        total=format(statement.totals.get(currency, rounded(Fraction(0), currency)), "f"),
        lines=lines.lines,
        tags_omitted=lines.without_tags or None,
        lines_folded=lines.folded or None,
    )
    spec = StatementSpec(tenant=terms.name, tenant_uid=uid, month=made.month, currency=currency)
    full_name = f"{name}-{made.month}-{currency.lower()}"
    return Wanted(namespace, full_name, spec, status, made.is_closed)


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


def unready(unmade: Unmade, before: Sequence[Condition], now_ms: Millis) -> tuple[Condition, ...]:
    """Return the conditions of a statement that can't be made now."""
    others = [c for c in before if c.type != "Ready"]
    ready = _condition("Ready", Status.FALSE, unmade.reason, unmade.why, before, now_ms)
    return (ready, *others)


def _condition(
    type_: str,
    status: Status,
    reason: str,
    message: str,
    before: Sequence[Condition],
    now_ms: Millis,
) -> Condition:
    last = find_condition(tuple(before), type_)
    return next_condition(type_, (status, reason, message), last, 1, now_ms)
