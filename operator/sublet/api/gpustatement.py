"""`GpuStatement`: what a tenant owes for one billing period, in one of its namespaces and one currency. Written by the operator alone.

Made of the ledger and nothing else: deleted by hand it comes back. Tenants read it with their own rights in their namespace; it
names no lease, no landlord and no other namespace.
"""

from typing import Annotated, ClassVar

from pydantic import Field

from sublet.api.common import Condition, Currency, Instant, ObjectMeta, ObjectName, Word
from sublet.api.names import UID_PATTERN
from sublet.api.schema import ApiModel, Rule, StatusModel, atomic_list, list_map

MOST_LINES = 512
Month = Annotated[str, Field(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])$", max_length=7, min_length=7)]
Amount = Annotated[str, Field(pattern=r"^-?[0-9]+(\.[0-9]+)?$", max_length=48)]
"""A decimal string; credits are below 0."""
Int64 = Annotated[int, Field(json_schema_extra={"format": "int64"})]


class StatementSpec(ApiModel):
    """Whose statement it is, and for when. Never changed."""

    tenant: ObjectName
    """Name of the GpuTenant."""
    tenant_uid: Annotated[
        str, Field(alias="tenantUID", pattern=UID_PATTERN, min_length=36, max_length=36)
    ]
    """Its UID: a tenant that was made anew under the same name is another one."""
    month: Month
    """The billing period, as year and month."""
    currency: Currency
    """ISO 4217 code; each currency has a statement of its own."""

    cel_rules: ClassVar[tuple[Rule, ...]] = (
        Rule("self == oldSelf", "a statement is always of the same tenant, month and currency"),
    )


class StatementLine(ApiModel):
    """What is owed for one class and kind of charge."""

    category: Annotated[str, Field(pattern=r"^[A-Za-z]+$", max_length=32)]
    """Use, Cancelled, Rounding, Minimum, Credit or Adjustment."""
    class_name: ObjectName | None = None
    """Name of the GpuClass; none of what is no class's."""
    corrects: Month | None = None
    """The closed period that it restates, the first one of several; none of the period's own."""
    tags: Annotated[dict[str, Annotated[str, Field(max_length=128)]], Field(max_length=32)] = Field(
        default_factory=dict
    )
    """The claims' tags as they were reserved."""
    gpu_hours: Amount
    """GPU time in hours, to six places, for reading."""
    gpu_milliseconds: Int64
    """GPU time, exact."""
    unit_price: Amount | None = None
    """Per GPU-hour, after discounts, where all of the line has one."""
    list_amount: Amount
    """Before discounts."""
    amount: Amount
    """What is owed, in whole smallest units of the currency."""


class StatementStatus(StatusModel):
    """The statement itself."""

    observed_generation: Annotated[int, Field(ge=0, json_schema_extra={"format": "int64"})] = 0
    """The generation of spec that this status describes."""
    account: Word | None = None
    """The billing account that invoices name."""
    from_time: Instant | None = None
    """When the period begins, by the tenant's time zone and cut."""
    to_time: Instant | None = None
    """When it ends."""
    as_of_time: Instant | None = None
    """Until when it is metered; of a closed one its end."""
    ledger_seq: Int64 | None = None
    """The last line of the ledger that it is made of …"""
    ledger_head: Annotated[str, Field(max_length=64)] | None = None
    """… and that line's hash, which proves all lines before it."""
    total: Amount | None = None
    """The sum of all lines."""
    lines: Annotated[
        tuple[StatementLine, ...], Field(max_length=MOST_LINES, json_schema_extra=atomic_list())
    ] = ()
    """By class and kind, as finely as there is room for; they add up to the total."""
    tags_omitted: bool | None = None
    """True: there would be too many lines with tags, so they stand without."""
    lines_folded: bool | None = None
    """True: there would be too many lines all the same, so those of several classes, and of several corrected months, stand as one."""
    conditions: Annotated[
        tuple[Condition, ...], Field(max_length=8, json_schema_extra=list_map("type"))
    ] = ()
    """Ready: it is made of the ledger as it is. Closed: it never changes any more; what comes later is corrected in the next one."""


class GpuStatement(ApiModel):
    """What a tenant owes for one billing period in one namespace and one currency, line by line."""

    metadata: ObjectMeta
    spec: StatementSpec
    status: StatementStatus = StatementStatus()
