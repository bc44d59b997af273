"""What a tenant owes for one billing period, line by line. Pure.

A line is the exact sum of its charges, converted where the tenant is billed in another currency, and rounded once, half to even.
Its parts by tags, and its share of each namespace where it has none of its own, add up to it by largest remainder; so every
statement that is made of it adds up to the tenant's invoice.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from itertools import accumulate, pairwise
from typing import Final, NamedTuple

from sublet.ledger.texts.rates import Rates
from sublet.ledger.texts.tenant import TenantTerms
from sublet.rating.minor_units import apportioned, rounded
from sublet.rating.model import Category, Charge
from sublet.rating.money import rate_into

_ONE: Final = Fraction(1)


class LineKey(NamedTuple):
    """What the charges of one line have in common, in the order of the lines."""

    currency: str
    corrects: str
    """The closed period that it restates; empty for the period's own."""
    namespace: str
    """Empty for what is the tenant's as a whole."""
    class_name: str
    category: Category
    is_priced: bool
    """A quantity at a price, rather than money alone."""


class Part(NamedTuple):
    """What of a line has the same tags."""

    tags_hash: str
    gpu_milliseconds: int
    listed: Decimal
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an invoice."""

    key: LineKey
    gpu_milliseconds: int
    unit_price: Fraction | None
    """Per GPU-hour, where all charges of the line have one, in its currency."""
    listed: Decimal
    """Before discounts, rounded for itself."""
    amount: Decimal
    exact: Fraction
    parts: tuple[Part, ...]
    """By tags; they add up to the line."""


@dataclass(slots=True)
class _Sum:
    gpu_milliseconds: int = 0
    listed: Fraction = Fraction(0)
    amount: Fraction = Fraction(0)
    prices: set[Fraction | None] = field(default_factory=set)

    def add(self, charge: Charge, rate: Fraction) -> None:
        self.prices.add(None if charge.price is None else charge.price * rate)
        self.gpu_milliseconds += charge.gpu_milliseconds
        self.listed += charge.list_amount * rate
        self.amount += charge.amount * rate


@dataclass(frozen=True, slots=True)
class Statement:
    """All lines of a tenant's period."""

    lines: tuple[Line, ...] = field(default=())

    @property
    def totals(self) -> dict[str, Decimal]:
        """Return what is owed by currency: the sum of the rounded lines."""
        found: dict[str, Decimal] = defaultdict(Decimal)
        for line in self.lines:
            found[line.key.currency] += line.amount
        return dict(found)


def statement(
    charges: Iterable[Charge],
    terms: TenantTerms | None,
    rates: Rates | None,
    then: Callable[[str], Rates | None] = lambda _: None,
) -> Statement:
    """Return the lines of some charges; NoRate if one can't be converted into the tenant's currency.

    `then` says with which table of rates a closed month was billed, by which its corrections are converted too.
    """
    into = terms.billing.currency if terms is not None else None
    rate = rate_into(into, rates, terms.name if terms is not None else "", then)
    sums: dict[LineKey, dict[str, _Sum]] = defaultdict(lambda: defaultdict(_Sum))
    """line -> tags hash -> sum"""
    for charge in charges:
        at_rate = (
            rate(charge.currency, charge.from_ms, charge.corrects) if rate is not None else _ONE
        )
        sums[_key(charge, into or charge.currency)][charge.tags_hash].add(charge, at_rate)
    return Statement(tuple(_line(key, sums[key]) for key in sorted(sums)))


def nobodys(_: str) -> bool:
    """Say of any namespace that no other tenant has it."""
    return False


def bearers(
    charges: Iterable[Charge],
    terms: TenantTerms | None,
    is_anothers: Callable[[str], bool] = nobodys,
) -> tuple[str, ...]:
    """Return the namespaces in which a tenant's statements stand: those that it names or claimed in, and no other tenant has."""
    named = {each.namespace for each in charges if each.namespace}
    named.update(terms.namespaces if terms is not None else ())
    return tuple(sorted(name for name in named if not is_anothers(name)))


def by_namespace(statement_: Statement, namespaces: Sequence[str]) -> dict[str, Statement]:
    """Return what each namespace's part of a statement is; lines of none of them are shared out by what each owes.

    Every given namespace has a statement. Without any, everything stays under the empty name.
    """
    names = sorted({*namespaces}) or [""]
    found: dict[str, list[Line]] = {name: [] for name in names}
    weights = _weights(statement_, names)
    for line in statement_.lines:
        if line.key.namespace in found:
            found[line.key.namespace].append(line)
            continue
        for name, share in zip(names, _shares(line, weights[line.key.currency]), strict=True):
            found[name].append(share)
    return {
        name: Statement(tuple(sorted(lines, key=lambda x: x.key))) for name, lines in found.items()
    }


def _weights(statement_: Statement, names: Sequence[str]) -> dict[str, list[Fraction]]:
    """Return by currency which part of what is shared out each one bears; they add up to 1."""
    found: dict[str, list[Fraction]] = {}
    for currency in {line.key.currency for line in statement_.lines}:
        own = dict.fromkeys(names, Fraction(0))
        for line in statement_.lines:
            if line.key.currency == currency and line.key.namespace in own:
                own[line.key.namespace] += abs(line.exact)
        total = sum(own.values(), Fraction(0))
        equal = Fraction(1, len(names))
        found[currency] = [own[name] / total if total else equal for name in names]
    return found


def _shares(line: Line, weights: Sequence[Fraction]) -> list[Line]:
    currency = line.key.currency
    whole = Fraction(line.amount)
    amounts = apportioned(line.amount, [whole * w for w in weights], currency)
    listed = apportioned(line.listed, [Fraction(line.listed) * w for w in weights], currency)
    # to the end of each part along the whole, so that none is lost
    ends = [round(line.gpu_milliseconds * end) for end in accumulate(weights, initial=Fraction(0))]
    quantities = [end - begin for begin, end in pairwise(ends)]
    return [
        Line(line.key, quantity, None, before, amount, line.exact * weight, (Part("", quantity, before, amount),))
        for weight, quantity, amount, before in zip(weights, quantities, amounts, listed, strict=True)
    ]  # fmt: skip


def _key(charge: Charge, currency: str) -> LineKey:
    return LineKey(
        currency=currency,
        corrects=charge.corrects,
        namespace=charge.namespace,
        class_name=charge.class_name,
        category=charge.category,
        is_priced=charge.price is not None,
    )


def _line(key: LineKey, by_tags: dict[str, _Sum]) -> Line:
    tags = sorted(by_tags)
    sums = [by_tags[each] for each in tags]
    exact = sum((s.amount for s in sums), Fraction(0))
    amount = rounded(exact, key.currency)
    amounts = apportioned(amount, [s.amount for s in sums], key.currency)
    listed = rounded(sum((s.listed for s in sums), Fraction(0)), key.currency)
    before = apportioned(listed, [s.listed for s in sums], key.currency)
    prices = set[Fraction | None]().union(*(s.prices for s in sums))
    return Line(
        key=key,
        gpu_milliseconds=sum(s.gpu_milliseconds for s in sums),
        unit_price=prices.pop() if len(prices) == 1 else None,
        listed=listed,
        amount=amount,
        exact=exact,
        parts=tuple(
            Part(each, s.gpu_milliseconds, of_listed, of_amount)
            for each, s, of_listed, of_amount in zip(tags, sums, before, amounts, strict=True)
        ),
    )
