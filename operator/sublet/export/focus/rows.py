"""Tenant rows: charges as FOCUS has them. No landlord's price, name or margin comes in here.

What stands the same on many rows (a claim's names, price, tags) is made once per run of them; a row itself is two
instants, a quantity and two amounts.
"""

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from itertools import chain, groupby, repeat
from operator import attrgetter
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from sublet.export.focus import arrays
from sublet.export.focus.account import Account
from sublet.export.focus.amounts import decimals, gpu_hours, unscaled
from sublet.export.focus.columns import COST_SCALE, PRICE_SCALE, QUANTITY_SCALE, TENANT, TYPES, Kind
from sublet.export.focus.invoices import Line, Lines
from sublet.export.focus.runs import Run, kin_of, run_of
from sublet.export.focus.said import Sayings
from sublet.rating.books import Books
from sublet.rating.model import Category, Charge
from sublet.rating.money import Rate

_ORDER: Final = attrgetter(
    "claim_uid", "from_ms", "to_ms", "category", "lease_uid", "class_name", "corrects", "first_seq"
)
_amounts: Final = attrgetter(
    "amount.numerator", "amount.denominator", "list_amount.numerator", "list_amount.denominator"
)
_MILLISECOND: Final = 1


class Group(NamedTuple):
    """Rows of one run at one exchange rate."""

    run: Run
    line: Line
    rate: Fraction
    rows: int
    first_seq: int


class TenantRows:
    """Makes one tenant's rows and adds up its invoice as it goes."""

    def __init__(self, books: Books, account: Account) -> None:
        self._rate = account.conversion(books)
        self._sayings = Sayings(books, account)
        self.lines = Lines(account)
        self._account = account

    def table(self, charges: Sequence[Charge]) -> pa.Table:
        """Return charges as rows of FOCUS 1.4, sorted by claim and time; NoRate, TooLarge if they can't be."""
        with _uncollected():
            return self._table(sorted(charges, key=_ORDER))

    def _table(self, ordered: Sequence[Charge]) -> pa.Table:
        groups = list(self._groups(ordered))
        of_row = arrays.spread(g.rows for g in groups)
        columns = {
            **self._said(groups, of_row),
            **_instants(ordered),
            **_quantities(ordered, groups, of_row),
            **_prices(groups, of_row),
            **self._costs(ordered, groups, of_row),
        }
        return pa.table([columns[c.name] for c in TENANT], names=[c.name for c in TENANT])

    def _groups(self, charges: Sequence[Charge]) -> Iterator[Group]:
        for key, members in groupby(charges, _key(self._rate)):
            rows, rate = list(members), key[1] if self._rate else _ONE
            # an adjustment has a reason, a currency and a namespace of its own
            is_adjusted = rows[0].category is Category.ADJUSTMENT
            for some in [[row] for row in rows] if is_adjusted else [rows]:
                run = Run(*run_of(some[0]))
                yield Group(run, self._sayings.line(run), rate, len(some), some[0].first_seq)

    def _said(self, groups: Sequence[Group], of_row: pa.Array) -> dict[str, pa.Array]:
        said = [self._sayings.of(g.run, g.line, g.first_seq) for g in groups]
        columns = {
            name: arrays.texts(values, of_row)
            for name, values in zip(self._sayings.names, _turned(said), strict=True)
        }
        return columns | self._same(of_row)

    def _same(self, of_row: pa.Array) -> dict[str, pa.Array]:
        """Return what stands the same on every row."""
        period = self._account.period.span
        same = {name: arrays.same(value, len(of_row)) for name, value in self._sayings.same.items()}
        instants = {"BillingPeriodStart": period.from_ms, "BillingPeriodEnd": period.to_ms}
        return same | {
            name: pa.repeat(pa.scalar(at, TYPES[Kind.TIME]), len(of_row))
            for name, at in instants.items()
        }

    def _costs(
        self, charges: Sequence[Charge], groups: Sequence[Group], of_row: pa.Array
    ) -> dict[str, pa.Array]:
        codes, values = arrays.coded(map(_amounts, charges))
        cost = original = _costs_of(codes, [v[:2] for v in values])
        if any(g.rate != 1 for g in groups):
            rates = chain.from_iterable(repeat(g.rate, g.rows) for g in groups)
            codes, values = arrays.coded(map(_at, charges, rates))
            cost = _costs_of(codes, [v[:2] for v in values])
        owed = [v[:2] for v in values]
        self.lines.add([g.line for g in groups], of_row, owed, codes)
        return {
            "BilledCost": cost,
            "ContractedCost": cost,
            "EffectiveCost": cost,
            "ListCost": _costs_of(codes, [v[2:] for v in values]),
            "PricingCurrencyEffectiveCost": original,
        }


Words = tuple[str | None, ...]
_ONE: Final = Fraction(1)


def _turned(said: Sequence[Words]) -> Sequence[Words]:
    """Return the columns of rows; of none, columns without a value."""
    return list(zip(*said, strict=True)) or [()] * len(Sayings.names)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Put off looking for cycles: there are none, and each search would walk through all charges that are held."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _key(rate: Rate | None) -> Callable[[Charge], Any]:
    if rate is None:
        return kin_of
    return lambda charge: (kin_of(charge), rate(charge.currency, charge.from_ms, charge.corrects))


def _instants(charges: Sequence[Charge]) -> dict[str, pa.Array]:
    kind = TYPES[Kind.TIME]
    start = arrays.whole(map(attrgetter("from_ms"), charges))
    end = arrays.whole(map(attrgetter("to_ms"), charges))
    # an amount may be of an instant; a period that has no length isn't one
    end = pc.if_else(pc.equal(start, end), pc.add(end, _MILLISECOND), end)
    return {"ChargePeriodStart": start.cast(kind), "ChargePeriodEnd": end.cast(kind)}


def _quantities(
    charges: Sequence[Charge], groups: Sequence[Group], of_row: pa.Array
) -> dict[str, pa.Array]:
    milliseconds = arrays.whole(map(attrgetter("gpu_milliseconds"), charges))
    different = milliseconds.dictionary_encode()
    hours = gpu_hours(different.dictionary.to_pylist()).take(different.indices)
    is_used = pa.array([g.run.category is Category.USE for g in groups], pa.bool_()).take(of_row)
    is_priced = pa.array([g.run.is_priced for g in groups], pa.bool_()).take(of_row)
    priced = pc.if_else(is_priced, hours, pa.scalar(None, hours.type))
    zero = decimals([0], QUANTITY_SCALE)[0]
    return {
        "PricingQuantity": priced,
        "ConsumedQuantity": pc.if_else(pc.or_(is_used, pc.invert(is_priced)), priced, zero),
        "x_GpuMilliseconds": milliseconds,
        "x_LedgerFirstSeq": arrays.whole(map(attrgetter("first_seq"), charges)),
        "x_LedgerLastSeq": arrays.whole(map(attrgetter("last_seq"), charges)),
    }


def _prices(groups: Sequence[Group], of_row: pa.Array) -> dict[str, pa.Array]:
    owed = [_ratio(g.run.price) if g.run.is_priced else None for g in groups]
    listed = [_ratio(g.run.list_price) if g.run.is_priced else None for g in groups]
    columns = {
        "PricingCurrencyContractedUnitPrice": _price_column(owed, of_row),
        "PricingCurrencyListUnitPrice": _price_column(listed, of_row),
    }
    if any(g.rate != 1 for g in groups):
        owed = [_times(p, g.rate) for p, g in zip(owed, groups, strict=True)]
        listed = [_times(p, g.rate) for p, g in zip(listed, groups, strict=True)]
        return columns | {
            "ContractedUnitPrice": _price_column(owed, of_row),
            "ListUnitPrice": _price_column(listed, of_row),
        }
    return columns | {
        "ContractedUnitPrice": columns["PricingCurrencyContractedUnitPrice"],
        "ListUnitPrice": columns["PricingCurrencyListUnitPrice"],
    }


Ratio = tuple[int, int]


def _ratio(value: Any) -> Ratio:
    ratio: Ratio = value.as_integer_ratio()
    return ratio


def _times(price: Ratio | None, rate: Fraction) -> Ratio | None:
    return None if price is None else _ratio(Fraction(*price) * rate)


def _price_column(prices: Sequence[Ratio | None], of_row: pa.Array) -> pa.Array:
    codes, values = arrays.coded(prices)
    made = decimals(
        (None if v is None else unscaled(v[0], v[1], PRICE_SCALE) for v in values), PRICE_SCALE
    )
    return made.take(codes).take(of_row)


def _costs_of(codes: pa.Array, values: Sequence[Ratio]) -> pa.Array:
    return decimals((unscaled(*v, COST_SCALE) for v in values), COST_SCALE).take(codes)


def _at(charge: Charge, rate: Fraction) -> tuple[int, int, int, int]:
    """Return a charge's amounts at a rate of exchange."""
    owed, listed = charge.amount * rate, charge.list_amount * rate
    return *owed.as_integer_ratio(), *listed.as_integer_ratio()
