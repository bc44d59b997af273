"""Tenant rows: charges as FOCUS has them. No landlord's price, name or margin comes in here.

What stands the same on many rows (a claim's names, price, tags) is made once per run of them; a row itself is two
instants, a quantity and two amounts.
"""

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import chain, groupby, repeat
from operator import attrgetter
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from sublet.export.focus import arrays
from sublet.export.focus.account import Account
from sublet.export.focus.amounts import decimals, gpu_hours, unscaled
from sublet.export.focus.columns import COST_SCALE, PRICE_SCALE, TENANT, schema
from sublet.export.focus.invoices import Lines
from sublet.export.focus.runs import Run, run_of
from sublet.export.focus.said import Sayings
from sublet.rating.books import Books
from sublet.rating.model import Category, Charge

_ORDER: Final = attrgetter(
    "claim_uid", "from_ms", "to_ms", "category", "lease_uid", "class_name", "corrects", "first_seq"
)
_MILLISECOND: Final = 1


class Group(NamedTuple):
    """Rows of one run at one exchange rate."""

    run: Run
    rate: Fraction
    rows: int
    first_seq: int


class TenantRows:
    """Makes one tenant's rows and adds up its invoice as it goes."""

    def __init__(self, books: Books, account: Account) -> None:
        self._rate = account.conversion(books.rates)
        self._sayings = Sayings(books, account)
        self.lines = Lines(account)
        self._account = account

    def table(self, charges: Sequence[Charge]) -> pa.Table:
        """Return charges as rows of FOCUS 1.4, sorted by claim and time; NoRate, TooLarge if they can't be."""
        ordered = sorted(charges, key=_ORDER)
        groups = list(self._groups(ordered))
        of_row = arrays.spread(g.rows for g in groups)
        columns = {
            **self._said(groups, of_row),
            **_instants(ordered),
            **_quantities(ordered, groups, of_row),
            **_prices(groups, of_row),
            **self._costs(ordered, groups),
        }
        return pa.table([columns[c.name] for c in TENANT], names=[c.name for c in TENANT])

    def _groups(self, charges: Sequence[Charge]) -> Iterator[Group]:
        for key, members in groupby(charges, _key(self._rate)):
            fields, rate = key if self._rate else (key, _ONE)
            run, rows = Run(*fields), list(members)
            if run.category is Category.ADJUSTMENT:  # each has a reason of its own
                yield from (Group(run, rate, 1, row.first_seq) for row in rows)
            else:
                yield Group(run, rate, len(rows), rows[0].first_seq)

    def _said(self, groups: Sequence[Group], of_row: pa.Array) -> dict[str, pa.Array]:
        said = [self._sayings.of(g.run, g.first_seq) for g in groups]
        columns = {
            name: arrays.texts([each[i] for each in said], of_row)
            for i, name in enumerate(self._sayings.names)
        }
        return columns | self._same(of_row)

    def _same(self, of_row: pa.Array) -> dict[str, pa.Array]:
        """Return what stands the same on every row."""
        period = self._account.period.span
        kind = schema(TENANT).field("BillingPeriodStart").type
        first = pc.multiply(of_row, 0).cast(pa.int32())
        same = {
            name: pa.DictionaryArray.from_arrays(first, pa.array([value], pa.string()))
            for name, value in self._sayings.same.items()
        }
        instants = {"BillingPeriodStart": period.from_ms, "BillingPeriodEnd": period.to_ms}
        return same | {
            name: pa.array([at], pa.int64()).cast(kind).take(first) for name, at in instants.items()
        }

    def _costs(self, charges: Sequence[Charge], groups: Sequence[Group]) -> dict[str, pa.Array]:
        owed = [c.amount.as_integer_ratio() for c in charges]
        listed = [c.list_amount.as_integer_ratio() for c in charges]
        priced = _cost_column(owed)
        if any(g.rate != 1 for g in groups):
            rates = list(chain.from_iterable(repeat(g.rate, g.rows) for g in groups))
            owed = [(c.amount * r).as_integer_ratio() for c, r in zip(charges, rates, strict=True)]
            listed = [
                (c.list_amount * r).as_integer_ratio() for c, r in zip(charges, rates, strict=True)
            ]
        lines = chain.from_iterable(
            repeat(self._sayings.line(g.run), g.rows) for g in groups
        )
        self.lines.add(lines, owed)
        cost = _cost_column(owed)
        return {
            "BilledCost": cost,
            "ContractedCost": cost,
            "EffectiveCost": cost,
            "ListCost": _cost_column(listed),
            "PricingCurrencyEffectiveCost": priced,
        }


_ONE: Final = Fraction(1)


def _key(rate: Callable[[str, Any], Fraction] | None) -> Callable[[Charge], Any]:
    if rate is None:
        return run_of
    return lambda charge: (run_of(charge), rate(charge.currency, charge.from_ms))


def _instants(charges: Sequence[Charge]) -> dict[str, pa.Array]:
    kind = schema(TENANT).field("ChargePeriodStart").type
    start = pa.array([c.from_ms for c in charges], pa.int64())
    end = pa.array([c.to_ms for c in charges], pa.int64())
    # an amount may be of an instant; a period that has no length isn't one
    end = pc.if_else(pc.equal(start, end), pc.add(end, _MILLISECOND), end)
    return {"ChargePeriodStart": start.cast(kind), "ChargePeriodEnd": end.cast(kind)}


def _quantities(
    charges: Sequence[Charge], groups: Sequence[Group], of_row: pa.Array
) -> dict[str, pa.Array]:
    milliseconds = [c.gpu_milliseconds for c in charges]
    hours = arrays.made(milliseconds, gpu_hours)
    none = pa.scalar(None, hours.type)
    is_used = pa.array([g.run.category is Category.USE for g in groups], pa.bool_())
    is_priced = pa.array([g.run.is_priced for g in groups], pa.bool_())
    zero = decimals([0], hours.type.scale)[0]
    return {
        "PricingQuantity": pc.if_else(is_priced.take(of_row), hours, none),
        "ConsumedQuantity": pc.if_else(
            is_priced.take(of_row), pc.if_else(is_used.take(of_row), hours, zero), none
        ),
        "x_GpuMilliseconds": pa.array(milliseconds, pa.int64()),
        "x_LedgerFirstSeq": pa.array([c.first_seq for c in charges], pa.int64()),
        "x_LedgerLastSeq": pa.array([c.last_seq for c in charges], pa.int64()),
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
    def make(values: list[Ratio | None]) -> pa.Array:
        return decimals(
            (None if v is None else unscaled(*v, PRICE_SCALE) for v in values), PRICE_SCALE
        )

    return arrays.made(prices, make).take(of_row)


def _cost_column(costs: Sequence[Ratio]) -> pa.Array:
    return arrays.made(
        costs, lambda values: decimals((unscaled(*v, COST_SCALE) for v in values), COST_SCALE)
    )
