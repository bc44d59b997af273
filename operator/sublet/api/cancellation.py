"""What it costs to give up a window that was promised ahead: the class's terms, the deal, and what was given up.

The class offers, the allocation keeps what was agreed at its reservation, the ledger reads what was given up.
"""

from decimal import Decimal
from typing import Annotated

from pydantic import Field

from sublet.api.common import Gpus, Instant, Seconds
from sublet.api.schema import ApiModel, StatusModel

Percent = Annotated[int, Field(ge=0, le=100, json_schema_extra={"format": "int32"})]


class Cancellation(ApiModel):
    """What giving up a window to come costs, or a part of it by shortening it."""

    free_before_start_seconds: Seconds
    """It costs nothing until so long before the window's start."""
    charge_percent: Percent
    """Per cent of the price of what is given up later than that."""


class CancellationTerms(Cancellation, StatusModel):
    """The class's terms as they were when the window was promised."""

    until_time: Instant
    """Until when the tenant asked for the window; raised and lowered with its duration."""

    def price(self, per_gpu_hour: Decimal) -> Decimal:
        """Return what a GPU-hour that is given up costs, exact."""
        return per_gpu_hour * self.charge_percent / 100


class GivenUp(StatusModel):
    """GPUs of one lease for a time that the tenant gave up too late: charged as the terms say."""

    sequence: Annotated[int, Field(ge=1, json_schema_extra={"format": "int32"})]
    """The allocation that they were promised by."""
    lease_uid: Annotated[str, Field(alias="leaseUID", max_length=36)]
    """UID of the GpuLease."""
    gpus: Gpus
    """How many."""
    from_time: Instant
    """From when."""
    until_time: Instant
    """Until when."""
