"""Tenant rows: charges as FOCUS has them. No landlord's price, name or margin comes in here.

What stands the same on many rows (a class's names, its price, tags) is made once per run, a claim's names once per group of
rows that follow each other; a row itself is two instants, a quantity and two amounts.
"""

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from itertools import pairwise
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from sublet.export.focus import arrays
from sublet.export.focus.account import Account
from sublet.export.focus.amounts import Ratio, decimals, gpu_hours, unscaled
from sublet.export.focus.columns import COST_SCALE, PRICE_SCALE, QUANTITY_SCALE, TENANT, TYPES, Kind
from sublet.export.focus.fields import Fields, fields_of
from sublet.export.focus.invoices import Line, Lines
from sublet.export.focus.runs import ONE, Run, run_of
from sublet.export.focus.said import Sayings
from sublet.rating.books import Books
from sublet.rating.model import Category, Charge

_MILLISECOND: Final = 1


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
            return self._table(fields_of(charges))

    def _table(self, fields: Fields) -> pa.Table:
        begins, rates = self._groups(fields)
        heads = [fields.charges[row] for row in begins]
        of_row = arrays.spread([*begins[1:], len(fields.charges)] if begins else [])
        codes, runs = arrays.coded(map(run_of, heads, rates))
        run_of_row = codes.take(of_row)
        lines = [self._sayings.line(run) for run in runs]
        columns = {
            **self._said(runs, lines, run_of_row),
            **{n: arrays.texts(v, of_row) for n, v in self._sayings.of_claims(heads).items()},
            **_instants(fields),
            **_quantities(fields, runs, run_of_row),
            **_prices(runs, run_of_row),
            **self._costs(fields, runs, lines, run_of_row),
        }
        return pa.table([columns[c.name] for c in TENANT], names=[c.name for c in TENANT])

    def _groups(self, fields: Fields) -> tuple[Sequence[int], Sequence[Ratio]]:
        """Return the first row of each group of rows at one exchange rate, and that rate."""
        rate, begins = self._rate, fields.begins
        if rate is None:
            return begins, [ONE] * len(begins)
        asked = [(c.currency, c.from_ms, c.corrects) for c in fields.charges]
        known = {key: rate(*key).as_integer_ratio() for key in dict.fromkeys(asked)}
        rates = [known[key] for key in asked]
        changes = (row for row, two in enumerate(pairwise(rates), 1) if two[0] != two[1])
        begins = sorted({*begins, *changes})
        return begins, [rates[row] for row in begins]

    def _said(
        self, runs: Sequence[Run], lines: Sequence[Line], of_row: pa.Array
    ) -> dict[str, pa.Array]:
        said = list(map(self._sayings.of, runs, lines))
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
        self, fields: Fields, runs: Sequence[Run], lines: Sequence[Line], run_of_row: pa.Array
    ) -> dict[str, pa.Array]:
        of_row = fields.amount_of_row
        owed = [amount for amount, _ in fields.amounts]
        listed = [amount for _, amount in fields.amounts]
        cost = original = _costs_of(of_row, owed)
        if _is_converted(runs):
            rate_of_run, rates = arrays.coded(run.rate for run in runs)
            rate_of_row = rate_of_run.take(run_of_row)
            of_row, pairs = arrays.coded(
                zip(of_row.to_pylist(), rate_of_row.to_pylist(), strict=True)
            )
            owed = [_times(owed[amount], rates[rate]) for amount, rate in pairs]
            listed = [_times(listed[amount], rates[rate]) for amount, rate in pairs]
            cost = _costs_of(of_row, owed)
        self.lines.add(lines, run_of_row, owed, of_row)
        return {
            "BilledCost": cost,
            "ContractedCost": cost,
            "EffectiveCost": cost,
            "ListCost": _costs_of(of_row, listed),
            "PricingCurrencyEffectiveCost": original,
        }


Words = tuple[str | None, ...]


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


def _is_converted(runs: Sequence[Run]) -> bool:
    return any(run.rate != ONE for run in runs)


def _instants(fields: Fields) -> dict[str, pa.Array]:
    kind = TYPES[Kind.TIME]
    start, end = fields.from_ms, fields.to_ms
    # an amount may be of an instant; a period that has no length isn't one
    end = pc.if_else(pc.equal(start, end), pc.add(end, _MILLISECOND), end)
    return {"ChargePeriodStart": start.cast(kind), "ChargePeriodEnd": end.cast(kind)}


def _quantities(fields: Fields, runs: Sequence[Run], run_of_row: pa.Array) -> dict[str, pa.Array]:
    different = fields.gpu_milliseconds.dictionary_encode()
    hours = gpu_hours(different.dictionary.to_pylist()).take(different.indices)
    is_used = pa.array([r.category is Category.USE for r in runs], pa.bool_()).take(run_of_row)
    is_priced = pa.array([r.is_priced for r in runs], pa.bool_()).take(run_of_row)
    priced = pc.if_else(is_priced, hours, pa.scalar(None, hours.type))
    zero = decimals([0], QUANTITY_SCALE)[0]
    return {
        "PricingQuantity": priced,
        "ConsumedQuantity": pc.if_else(pc.or_(is_used, pc.invert(is_priced)), priced, zero),
        "x_GpuMilliseconds": fields.gpu_milliseconds,
        "x_LedgerFirstSeq": fields.first_seq,
        "x_LedgerLastSeq": fields.last_seq,
    }


def _prices(runs: Sequence[Run], run_of_row: pa.Array) -> dict[str, pa.Array]:
    owed = [run.price if run.is_priced else None for run in runs]
    listed = [_ratio(run.list_price) if run.is_priced else None for run in runs]
    columns = {
        "PricingCurrencyContractedUnitPrice": _price_column(owed, run_of_row),
        "PricingCurrencyListUnitPrice": _price_column(listed, run_of_row),
    }
    if _is_converted(runs):
        owed = [p and _times(p, run.rate) for p, run in zip(owed, runs, strict=True)]
        listed = [p and _times(p, run.rate) for p, run in zip(listed, runs, strict=True)]
        return columns | {
            "ContractedUnitPrice": _price_column(owed, run_of_row),
            "ListUnitPrice": _price_column(listed, run_of_row),
        }
    return columns | {
        "ContractedUnitPrice": columns["PricingCurrencyContractedUnitPrice"],
        "ListUnitPrice": columns["PricingCurrencyListUnitPrice"],
    }


def _ratio(value: Any) -> Ratio:
    ratio: Ratio = value.as_integer_ratio()
    return ratio


def _times(amount: Ratio, rate: Ratio) -> Ratio:
    return (Fraction(*amount) * Fraction(*rate)).as_integer_ratio()


def _price_column(prices: Sequence[Ratio | None], of_row: pa.Array) -> pa.Array:
    codes, values = arrays.coded(prices)
    made = decimals(
        (None if v is None else unscaled(v[0], v[1], PRICE_SCALE) for v in values), PRICE_SCALE
    )
    return made.take(codes).take(of_row)


def _costs_of(of_row: pa.Array, amounts: Sequence[Ratio]) -> pa.Array:
    return decimals((unscaled(*v, COST_SCALE) for v in amounts), COST_SCALE).take(of_row)
