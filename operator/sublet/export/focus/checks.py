"""What must hold on every row of a Cost and Usage file of ours. Pure; says each fault in one line.

These are the faults that FOCUS validators were seen to miss: a category that isn't one, a wrong product of price and quantity,
a unit in other letters, costs that don't belong together. What must hold between rows is in `sums`.
"""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa

from sublet.api.times import MS_PER_HOUR
from sublet.export.focus.amounts import unscaled
from sublet.export.focus.columns import QUANTITY_SCALE
from sublet.export.focus.said import UNIT

_ALLOWED: Final[dict[str, frozenset[str | None]]] = {
    "ChargeCategory": frozenset({"Usage", "Purchase", "Tax", "Credit", "Adjustment"}),
    "ChargeClass": frozenset({None, "Correction"}),
    "ChargeFrequency": frozenset({"One-Time", "Recurring", "Usage-Based"}),
    "PricingCategory": frozenset({None, "Standard", "Dynamic", "Committed", "Other"}),
    "CapacityReservationStatus": frozenset({None, "Used", "Unused"}),
    "CommitmentDiscountStatus": frozenset({None, "Used", "Unused"}),
    "CommitmentDiscountCategory": frozenset({None, "Spend", "Usage"}),
    "ServiceCategory": frozenset({"Compute"}),
    "PricingUnit": frozenset({None, UNIT}),
    "ConsumedUnit": frozenset({None, UNIT}),
    "CommitmentDiscountUnit": frozenset({None, UNIT}),
    "x_LeaseState": frozenset(
        {"purchase", "used", "unused", "unavailable", "beyond_commitment", "rounding"}
    ),
}
_PRODUCTS: Final = (
    ("ContractedUnitPrice", "PricingQuantity", "ContractedCost"),
    ("ListUnitPrice", "PricingQuantity", "ListCost"),
    ("PricingCurrencyContractedUnitPrice", "PricingQuantity", "PricingCurrencyEffectiveCost"),
)
_QUANTITY_STEP: Final = Decimal(1).scaleb(-QUANTITY_SCALE)
_PRICE_STEP: Final = Decimal("1e-16")
_COST_STEP: Final = Decimal("1e-17")
_UNITS: Final = (
    ("PricingQuantity", "PricingUnit"),
    ("ConsumedQuantity", "ConsumedUnit"),
    ("CommitmentDiscountQuantity", "CommitmentDiscountUnit"),
)
Faults = Iterator[str]


def rows(table: pa.Table) -> Faults:
    """Yield what is wrong with single rows."""
    yield from _words(table)
    yield from _products(table)
    yield from _quantities(table)
    yield from _costs(table)
    yield from _instants(table)


def different(table: pa.Table, names: Sequence[str]) -> Iterator[tuple[tuple[Any, ...], int]]:
    """Yield the different values of some columns together, with the number of rows that have them."""
    counted = chosen(table, names).group_by(list(names)).aggregate([([], "count_all")])
    columns = [c.to_pylist() for c in counted.columns]
    for *values, count in zip(*columns, strict=True):
        yield tuple(values), count


def chosen(table: pa.Table, names: Sequence[str]) -> pa.Table:
    """Return some columns of a table, texts as they are in a file."""
    return pa.table({n: _plain(table.column(n)) for n in names})


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(pa.string()) if pa.types.is_dictionary(column.type) else column


def _words(table: pa.Table) -> Faults:
    for name, allowed in _ALLOWED.items():
        if name in table.column_names:
            for (value,), count in different(table, [name]):
                if value not in allowed:
                    yield f"{name} is {value!r} on {count} rows, which it can't be"


def _products(table: pa.Table) -> Faults:
    for price_name, quantity_name, cost_name in _PRODUCTS:
        names = (price_name, quantity_name, cost_name, "ChargeCategory")
        for (price, quantity, cost, category), count in different(table, names):
            if price is None or quantity is None:
                continue
            if category == "Purchase" and cost_name == "PricingCurrencyEffectiveCost":
                continue  # what a purchase costs lies in the usage that it covers
            room = price * _QUANTITY_STEP + abs(quantity) * _PRICE_STEP + _COST_STEP
            # a purchase is the sum of a few rounded parts
            if abs(price * quantity - cost) > room * (4 if category == "Purchase" else 1):
                yield (
                    f"{cost_name} is {cost} on {count} rows where {price_name} x {quantity_name} is"
                    f" {price * quantity}"
                )


def _quantities(table: pa.Table) -> Faults:
    names = ("x_GpuMilliseconds", "PricingQuantity", "ChargeCategory")
    for (milliseconds, quantity, category), count in different(table, names):
        if quantity is None:
            continue
        exact = Decimal(unscaled(milliseconds, MS_PER_HOUR, QUANTITY_SCALE)).scaleb(-QUANTITY_SCALE)
        room = 4 * _QUANTITY_STEP if category == "Purchase" else 0
        if abs(quantity - exact) > room:
            yield f"PricingQuantity is {quantity} on {count} rows of {milliseconds} GPU-milliseconds"
    for quantity_name, unit_name in _UNITS:
        if quantity_name in table.column_names:
            pairs = pa.table(
                {
                    "quantity": table.column(quantity_name).is_null(),
                    "unit": _plain(table.column(unit_name)).is_null(),
                }
            )
            for (no_quantity, no_unit), count in different(pairs, ("quantity", "unit")):
                if no_quantity is not no_unit:
                    yield f"{quantity_name} and {unit_name} don't stand together on {count} rows"


def _costs(table: pa.Table) -> Faults:
    names = ("ChargeCategory", "ChargeClass", "BilledCost", "EffectiveCost", "ContractedCost")
    for (category, class_, billed, effective, contracted), count in different(table, names):
        where = f"on {count} rows of {category}"
        if category == "Purchase" and effective:
            yield f"EffectiveCost is {effective} {where}; it lies in the usage that is covered"
        elif category != "Purchase" and effective != contracted:
            yield f"EffectiveCost is {effective} and ContractedCost {contracted} {where}"
        if category == "Purchase" and billed != contracted:
            yield f"BilledCost is {billed} and ContractedCost {contracted} {where}"
        if category != "Purchase" and billed not in (0, effective):
            yield f"BilledCost is {billed} and EffectiveCost {effective} {where}"
        if category in {"Usage", "Purchase"} and class_ is None and billed < 0:
            yield f"BilledCost is {billed} {where}, which only corrections and credits may be"


def _instants(table: pa.Table) -> Faults:
    for kind in ("ChargePeriod", "BillingPeriod"):
        names = (f"{kind}Start", f"{kind}End")
        for (start, end), count in different(table, names):
            if start >= end:
                yield f"{kind} ends at {end} and begins at {start} on {count} rows"
    within = ("ChargePeriodStart", "ChargePeriodEnd", "BillingPeriodStart", "BillingPeriodEnd")
    for (start, end, since, until, class_), count in different(table, (*within, "ChargeClass")):
        if class_ is None and not (since <= start and end <= until):
            yield f"{count} rows of {start} to {end} stand in the period {since} to {until}"
