"""How a bound claim comes to other nodes: make before break. Parts of `GpuClaim.status`, the operator's alone.

A move names the nodes that the claim will have; they are made ready beside the old ones. At the cutover it becomes the
allocation, in one write, and what it leaves is listed until it is free. So each instant has one set of nodes that is
billed, and whatever is held is named.
"""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from sublet.api.common import Gpus, Instant, ObjectName, Word
from sublet.api.schema import StatusModel, atomic_list, list_map
from sublet.api.times import Millis

Sequence = Annotated[int, Field(ge=1, le=999_999, json_schema_extra={"format": "int32"})]


class ReleaseCause(StrEnum):
    """Why a claim's GPUs are taken back."""

    DELETED = "Deleted"
    COMPLETED = "Completed"
    LEASE_ENDED = "LeaseEnded"
    SUSPENDED = "Suspended"
    PREEMPTED = "Preempted"
    MAINTENANCE = "Maintenance"
    BUDGET_EXHAUSTED = "BudgetExhausted"
    TENANT_SUSPENDED = "TenantSuspended"
    LEASE_LOST = "LeaseLost"

    @property
    def is_final(self) -> bool:
        """Say whether a claim released for this cause can never bind again."""
        return self in (
            ReleaseCause.DELETED,
            ReleaseCause.COMPLETED,
            ReleaseCause.LEASE_ENDED,
            ReleaseCause.LEASE_LOST,
        )


MOVED_FROM: Final = frozenset({ReleaseCause.LEASE_ENDED, ReleaseCause.MAINTENANCE})
"""Causes of an end that other nodes can save a claim from."""


MOST_LEAVING: Final = 16
"""So many moves may be on their way out of a claim at once; etcd has no room for more."""


PlaceKey = tuple[str, str]
"""(lease UID, node UID)"""


class PlacedNode(StatusModel):
    """GPUs of one node that the claim holds."""

    lease: Word
    """The lease's tenant alias."""
    lease_uid: Annotated[str, Field(alias="leaseUID", max_length=36)]
    """UID of the GpuLease."""
    product: Word
    """GPU product of the node."""
    gpus: Gpus
    """GPUs of this node that the claim holds."""
    node: ObjectName
    """Name of the node in the leased cluster."""
    node_uid: Annotated[str, Field(alias="nodeUID", max_length=36)]
    """UID of the node: a re-created namesake is another node."""
    home: Sequence | None = None
    """The reservation that made the claim's namespace in this node's cluster; the allocation's own without."""

    @property
    def key(self) -> PlaceKey:
        """Return what tells it from the claim's other nodes: a landlord can show the UIDs of another's nodes."""
        return (self.lease_uid, self.node_uid)


class MoveCause(StrEnum):
    """Why a claim comes to other nodes."""

    LEASE_ENDS = "LeaseEnds"
    NODE_FAILED = "NodeFailed"


class Move(StatusModel):
    """Other nodes for a bound claim: made ready first, then put in the place of the ones it has."""

    sequence: Sequence
    """The reservation that it becomes."""
    cause: MoveCause
    """Why."""
    decided_time: Instant
    """When the book decided."""
    cutover_time: Instant | None = None
    """When the new nodes take the place of the old ones; as soon as they are ready without."""
    until_time: Instant | None = None
    """When the claim ends at the latest on its new nodes; open-ended without."""
    until_cause: Annotated[ReleaseCause | None, Field()] = None
    """What ends the claim then."""
    placements: Annotated[
        tuple[PlacedNode, ...],
        Field(min_length=1, max_length=4_096, json_schema_extra=atomic_list()),
    ]
    """All nodes that the claim will have, those that it keeps included."""
    opened_time: Instant | None = None
    """From when pods of the tenant may have run on the new nodes; written before they can."""
    ready_time: Instant | None = None
    """Since when the new nodes can be used, beside the old ones."""
    abandoned: bool = False
    """The new nodes couldn't all be had; what was taken of them is being given back."""

    @property
    def end(self) -> tuple[Millis | None, ReleaseCause | None]:
        """Return when the claim ends on its new nodes at the latest, and what ends it then."""
        return (self.until_time, self.until_cause)

    @property
    def awaits_lease_end(self) -> bool:
        """Say whether its nodes are ready, and nothing is left to do until the old ones' lease ends."""
        return self.cause is MoveCause.LEASE_ENDS and self.ready_time is not None

    @property
    def is_open(self) -> bool:
        """Say whether pods of the tenant may have run on the new nodes."""
        return self.opened_time is not None or self.ready_time is not None


class LeaseGpus(StatusModel):
    """GPUs of one lease."""

    lease_uid: Annotated[str, Field(alias="leaseUID", max_length=36)]
    """UID of the GpuLease."""
    gpus: Gpus
    """How many."""


class Leaving(StatusModel):
    """Nodes that a claim doesn't have any more, or was to have, and that aren't free yet."""

    sequence: Sequence
    """The reservation that had them, or was to."""
    cause: MoveCause
    """Why they were left."""
    bound_time: Instant
    """From when that reservation was billed."""
    release_time: Instant
    """To when it was billed."""
    metered: Annotated[
        tuple[LeaseGpus, ...],
        Field(max_length=64, json_schema_extra=list_map("leaseUID")),
    ]
    """What was billed, by lease; nothing of a move that was given up."""
    placements: Annotated[
        tuple[PlacedNode, ...], Field(max_length=4_096, json_schema_extra=atomic_list())
    ]
    """The nodes that are being given back."""
    vacated_time: Instant | None = None
    """When the last pod was seen gone; the quarantine counts from then."""
    freed_time: Instant | None = None
    """When the nodes were free again."""
