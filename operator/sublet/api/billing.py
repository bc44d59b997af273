"""How time becomes money beside the price: rounding, cuts of the calendar, discounts, and what lost time is worth.

Part of GpuLease, GpuClass and GpuTenant; the ledger keeps them by content hash, so that an edit never re-rates the past.
"""

from typing import Annotated, Final

from pydantic import ConfigDict, Field

from sublet.api.cancellation import Percent
from sublet.api.common import Currency, Instant, ObjectName, Price, Seconds
from sublet.api.schema import ApiModel, StatusModel

ZONE_PATTERN: Final = r"^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}$"
TimeZone = Annotated[str, Field(pattern=ZONE_PATTERN, max_length=64)]
"""A name of the IANA time zone database, such as Europe/Madrid."""
CutHour = Annotated[int, Field(ge=0, le=23, json_schema_extra={"format": "int32"})]


class Cut(ApiModel):
    """Where days and months begin."""

    time_zone: TimeZone = "UTC"
    """IANA name of the time zone, such as Europe/Madrid."""
    day_cut_hour: CutHour = 0
    """Local hour at which a day begins, and on the first of a month the month."""


class LeaseBilling(Cut):
    """How the landlord counts."""

    round_up_to_seconds: Seconds = 0
    """PayAsYouGo: each use of GPUs is rounded up to a multiple of this; 0 or 1: not at all."""
    minimum_seconds: Seconds = 0
    """PayAsYouGo: each use counts at least so long."""


class Rounding(StatusModel):
    """What a tenant pays beside the time that was used; shown as lines of their own."""

    round_up_to_seconds: Seconds = 0
    """A claim's time is rounded up to a multiple of this when it ends; 0 or 1: not at all."""
    minimum_seconds: Seconds = 0
    """A claim counts at least so long."""
    minimum_amount: Price | None = None
    """A claim costs at least this, in the class's currency."""


class ClassSla(StatusModel):
    """What a tenant is credited for GPUs that didn't work."""

    grace_seconds: Seconds = 0
    """An incident of no more than this is not credited; a longer one is, from its beginning."""
    credit_percent: Annotated[int, Field(ge=0, le=1_000, json_schema_extra={"format": "int32"})] = (
        100
    )
    """Per cent of the price of the lost GPU time."""
    max_percent: Percent = 100
    """The most that a claim is credited for a billing period, in per cent of what it costs in it."""


class LeaseSla(ClassSla):
    """What the landlord owes for GPUs that didn't work."""

    model_config = ConfigDict(extra="ignore")

    max_percent: Percent = 100
    """The most that the landlord owes for a month, in per cent of its bill for that month."""
    claim_within_days: Annotated[int, Field(ge=1, le=3_650, json_schema_extra={"format": "int32"})]
    """How many days after an incident's end it must be claimed at the latest."""


class TenantBilling(Cut):
    """When a tenant's billing periods begin, and in what it is billed."""

    currency: Currency | None = None
    """Currency of its statements, by the table of dated rates; without, each in the currency of its prices."""


class Discount(ApiModel):
    """Per cent off the price from one instant on, until the next entry of the same class."""

    effective_time: Instant
    """From when it holds, as 2026-10-01T00:00:00Z."""
    class_name: ObjectName | None = None
    """Of this class only; of all others without."""
    percent: Percent
    """Per cent off; 0 ends an earlier discount."""
