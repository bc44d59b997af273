"""The columns that we fill, in their order, with type and scale. Source: the FOCUS 1.4 data model, Cost and Usage.

Columns that only say null are left out: FOCUS has them where the feature exists. Ours begin with `x_` and stand last.
FOCUS fixes no scale; these are the ones that are published in docs/focus.md.
"""

from enum import StrEnum
from typing import Final, NamedTuple

import pyarrow as pa

QUANTITY_SCALE: Final = 14
PRICE_SCALE: Final = 16
COST_SCALE: Final = 17
PRECISION: Final = 38
"""Digits that Parquet's decimal has room for."""


class Version(StrEnum):
    """Which columns a file has."""

    V1_4 = "1.4"
    V1_2 = "1.2"
    """For readers that know ProviderName and PublisherName alone."""


class Kind(StrEnum):
    """What a column holds."""

    TEXT = "text"
    COST = "cost"
    PRICE = "price"
    QUANTITY = "quantity"
    TIME = "time"
    COUNT = "count"


TYPES: Final = {
    Kind.TEXT: pa.string(),
    Kind.COST: pa.decimal128(PRECISION, COST_SCALE),
    Kind.PRICE: pa.decimal128(PRECISION, PRICE_SCALE),
    Kind.QUANTITY: pa.decimal128(PRECISION, QUANTITY_SCALE),
    Kind.TIME: pa.timestamp("ms", tz="UTC"),
    Kind.COUNT: pa.int64(),
}
SCALES: Final = {
    Kind.COST: COST_SCALE,
    Kind.PRICE: PRICE_SCALE,
    Kind.QUANTITY: QUANTITY_SCALE,
}


class Column(NamedTuple):
    """One column of a data set."""

    name: str
    kind: Kind = Kind.TEXT


_COMMON: Final = (
    Column("BilledCost", Kind.COST),
    Column("BillingAccountId"),
    Column("BillingAccountName"),
    Column("BillingAccountType"),
    Column("BillingCurrency"),
    Column("BillingPeriodEnd", Kind.TIME),
    Column("BillingPeriodStart", Kind.TIME),
    Column("ChargeCategory"),
    Column("ChargeClass"),
    Column("ChargeDescription"),
    Column("ChargeFrequency"),
    Column("ChargePeriodEnd", Kind.TIME),
    Column("ChargePeriodStart", Kind.TIME),
    Column("ConsumedQuantity", Kind.QUANTITY),
    Column("ConsumedUnit"),
    Column("ContractedCost", Kind.COST),
    Column("ContractedUnitPrice", Kind.PRICE),
    Column("EffectiveCost", Kind.COST),
    Column("HostProviderName"),
    Column("InvoiceId"),
    Column("InvoiceIssuerName"),
    Column("ListCost", Kind.COST),
    Column("ListUnitPrice", Kind.PRICE),
    Column("PricingCategory"),
    Column("PricingCurrency"),
    Column("PricingCurrencyContractedUnitPrice", Kind.PRICE),
    Column("PricingCurrencyEffectiveCost", Kind.COST),
    Column("PricingCurrencyListUnitPrice", Kind.PRICE),
    Column("PricingQuantity", Kind.QUANTITY),
    Column("PricingUnit"),
    Column("RegionId"),
    Column("RegionName"),
    Column("ResourceId"),
    Column("ResourceName"),
    Column("ResourceType"),
    Column("ServiceCategory"),
    Column("ServiceName"),
    Column("ServiceProviderName"),
    Column("ServiceSubcategory"),
    Column("SkuId"),
    Column("SkuMeter"),
    Column("SkuPriceDetails"),
    Column("SkuPriceId"),
)
_TENANT_ONLY: Final = (
    Column("InvoiceDetailId"),
    Column("SubAccountId"),
    Column("SubAccountName"),
    Column("SubAccountType"),
    Column("Tags"),
)
_WHOLESALE_ONLY: Final = (
    Column("AvailabilityZone"),
    Column("CapacityReservationId"),
    Column("CapacityReservationStatus"),
    Column("CommitmentDiscountCategory"),
    Column("CommitmentDiscountId"),
    Column("CommitmentDiscountName"),
    Column("CommitmentDiscountQuantity", Kind.QUANTITY),
    Column("CommitmentDiscountStatus"),
    Column("CommitmentDiscountType"),
    Column("CommitmentDiscountUnit"),
    Column("ContractApplied"),
)
_TENANT_OWN: Final = (
    Column("x_Category"),
    Column("x_CorrectedPeriod"),
    Column("x_GpuMilliseconds", Kind.COUNT),
    Column("x_Lease"),
    Column("x_LedgerFirstSeq", Kind.COUNT),
    Column("x_LedgerLastSeq", Kind.COUNT),
)
_WHOLESALE_OWN: Final = (
    Column("x_CorrectedPeriod"),
    Column("x_GpuMilliseconds", Kind.COUNT),
    Column("x_LeaseId"),
    Column("x_LeasePhase"),
    Column("x_LeaseState"),
)

TENANT: Final = (*sorted((*_COMMON, *_TENANT_ONLY)), *_TENANT_OWN)
WHOLESALE: Final = (*sorted((*_COMMON, *_WHOLESALE_ONLY)), *_WHOLESALE_OWN)

_RENAMED_IN_1_2: Final = {
    "ServiceProviderName": "ProviderName",
    "HostProviderName": "PublisherName",
}
_NOT_IN_1_2: Final = ("ContractApplied", "InvoiceDetailId")
_IN_1_2: Final = tuple(
    sorted(
        (_RENAMED_IN_1_2.get(c.name, c.name), c)
        for c in (*_COMMON, *_TENANT_ONLY, *_WHOLESALE_ONLY)
        if c.name not in _NOT_IN_1_2
    )
)
"""(name in 1.2, column in 1.4)"""


def schema(columns: tuple[Column, ...]) -> pa.Schema:
    """Return the types of columns as a file has them."""
    return pa.schema([pa.field(c.name, TYPES[c.kind]) for c in columns])


def as_version(table: pa.Table, version: Version) -> pa.Table:
    """Return a 1.4 Cost and Usage as a version has it.

    Readers of 1.2 want every column that the version has, so what is left out of ours stands there as null.
    """
    if version is Version.V1_4:
        return table
    columns = {
        new: table.column(old.name)
        if old.name in table.column_names
        else pa.nulls(table.num_rows, TYPES[old.kind])
        for new, old in _IN_1_2
    }
    own = {name: table.column(name) for name in table.column_names if name.startswith("x_")}
    return pa.table(columns | own)
