"""Leases and claims as `sublet top` shows them: the few fields that it needs, decoded without a model of the whole.

A thousand claims are looked at in about a second this way; to load the models and to check every field of every
claim took a third of that again. Read by `top`, which never writes.
"""

from msgspec import Struct, field


class Condition(Struct, rename="camel", frozen=True):
    """What is true of an object."""

    type: str
    status: str
    reason: str = ""


class Meta(Struct, rename="camel", frozen=True):
    """Which object it is."""

    name: str
    namespace: str = ""


class Node(Struct, rename="camel", frozen=True):
    """A node that a claim has."""

    lease: str
    node: str
    node_uid: str = field(name="nodeUID")


class Booking(Struct, rename="camel", frozen=True):
    """Nodes of a lease that are promised."""

    lease: str


class Allocation(Struct, rename="camel", frozen=True):
    """What a claim holds, or held last."""

    tenant: str
    currency: str
    price_per_gpu_hour: str
    placements: tuple[Node, ...] = ()
    bookings: tuple[Booking, ...] = ()
    bound_time: str | None = None
    until_time: str | None = None


class Move(Struct, rename="camel", frozen=True):
    """All nodes that a claim is on its way to."""

    placements: tuple[Node, ...]


class Leaving(Struct, rename="camel", frozen=True):
    """Nodes that a claim is giving back, or gave."""

    placements: tuple[Node, ...]
    freed_time: str | None = None


class Pending(Struct, rename="camel", frozen=True):
    """Why a claim waits."""

    reason: str


class ClaimSpec(Struct, rename="camel", frozen=True):
    """What a claim asks for."""

    class_name: str
    gpus: int


class ClaimStatus(Struct, rename="camel", frozen=True):
    """Where a claim stands."""

    conditions: tuple[Condition, ...] = ()
    pending: Pending | None = None
    allocation: Allocation | None = None
    move: Move | None = None
    leaving: tuple[Leaving, ...] = ()


class Claim(Struct, rename="camel", frozen=True):
    """A GpuClaim."""

    metadata: Meta
    spec: ClaimSpec
    status: ClaimStatus = ClaimStatus()

    @property
    def held(self) -> Allocation | None:
        """Return what it holds: its status keeps what it held last, too; see `book.holdings`."""
        held = {c.type for c in self.status.conditions if c.status == "True"}
        return self.status.allocation if held & {"Reserved", "Releasing"} else None

    @property
    def nodes(self) -> tuple[str, ...]:
        """Return the names of all nodes it is on, comes to or leaves; see `api.move_status`."""
        status = self.status
        known = [
            *(p for each in status.leaving if not each.freed_time for p in each.placements),
            *(status.move.placements if status.move else ()),
            *(status.allocation.placements if status.allocation else ()),
        ]
        return tuple({p.node_uid: p.node for p in known}.values())


class Price(Struct, rename="camel", frozen=True):
    """What a landlord asks from an instant on."""

    effective_time: str
    per_gpu_hour: str


class Location(Struct, rename="camel", frozen=True):
    """Where a lease's nodes are."""

    region: str


class Term(Struct, rename="camel", frozen=True):
    """How long a lease runs."""

    end_time: str | None = None


class LeaseSpec(Struct, rename="camel", frozen=True):
    """What was leased."""

    provider: str
    product: str
    currency: str
    location: Location
    term: Term
    prices: tuple[Price, ...] = ()


class Counts(Struct, rename="camel", frozen=True):
    """GPUs of a lease."""

    committed: int = 0
    delivered: int = 0
    healthy: int = 0
    bound: int = 0
    reserved: int = 0
    free: int = 0


class LeaseStatus(Struct, rename="camel", frozen=True):
    """What became of it."""

    conditions: tuple[Condition, ...] = ()
    inventory: Counts | None = None
    kubernetes_version: str | None = None


class Lease(Struct, rename="camel", frozen=True):
    """A GpuLease."""

    metadata: Meta
    spec: LeaseSpec
    status: LeaseStatus = LeaseStatus()
