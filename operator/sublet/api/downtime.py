"""Times in which GPUs that a claim has were known not to work. Part of `GpuClaim.status`, the operator's alone.

What is known is written here before it is a line of the ledger: credits to the tenant, and claims against the landlord,
are made of it. A cluster that doesn't answer is an outage (`sublet.api.outage`), of which nobody knows what worked.
"""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from sublet.api.common import Gpus, Instant
from sublet.api.relocation import Sequence
from sublet.api.schema import StatusModel

MOST_DOWNTIMES: Final = 64
"""Of one claim; the oldest that is over goes first, its lines are in the ledger."""


class DowntimeCause(StrEnum):
    """What was seen of the nodes, a closed set; of several at once the first in this order is named."""

    NODE_GONE = "NodeGone"
    """A node isn't there any more, as its cluster says."""
    NODE_NOT_READY = "NodeNotReady"
    """A node's kubelet isn't Ready."""
    GPUS_MISSING = "GpusMissing"
    """A node shows fewer GPUs than it has."""


class Downtime(StatusModel):
    """GPUs of one lease under one reservation that didn't work."""

    sequence: Sequence
    """The reservation that had them."""
    lease_uid: Annotated[str, Field(alias="leaseUID", max_length=36)]
    """UID of the GpuLease."""
    gpus: Gpus
    """How many of the claim's GPUs there didn't work."""
    cause: DowntimeCause
    """What was seen."""
    from_time: Instant
    """When it was seen first."""
    until_time: Instant | None = None
    """When it was seen over, or another number of GPUs was seen; until then, or until the meter stops, it lasts."""
