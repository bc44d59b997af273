"""Times in which a cluster didn't answer while a claim was billed there. Part of `GpuClaim.status`, the operator's alone.

Nobody knows whether the GPUs worked meanwhile: the meter runs on, and the interval stands in the ledger as disputed.
"""

from typing import Annotated, Final

from pydantic import Field

from sublet.api.common import Gpus, Instant
from sublet.api.relocation import Sequence
from sublet.api.schema import StatusModel

MOST_OUTAGES: Final = 64
"""Of one reservation; the oldest that is over goes first, its lines are in the ledger."""


class Outage(StatusModel):
    """One cluster silent under one reservation."""

    sequence: Sequence
    """The reservation that was billed."""
    lease_uid: Annotated[str, Field(alias="leaseUID", max_length=36)]
    """UID of the GpuLease."""
    gpus: Gpus
    """GPUs that it had there."""
    from_time: Instant
    """When the cluster was last seen to work, or when the claim was bound if that was later."""
    until_time: Instant | None = None
    """When it answered again; until then, or until the meter stops, the interval is open."""
