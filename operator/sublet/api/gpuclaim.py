"""`GpuClaim`: a tenant's request for GPUs. Spec is the tenant's, status the operator's alone."""

from enum import StrEnum
from typing import Annotated, ClassVar, Final

from pydantic import Field

from sublet.api.billing import ClassSla, Rounding
from sublet.api.cancellation import CancellationTerms, GivenUp
from sublet.api.common import Condition, Gpus, Instant, ObjectMeta, ObjectName, Price, Seconds, Word
from sublet.api.downtime import MOST_DOWNTIMES, Downtime
from sublet.api.gpuclass import HostShare, Pricing
from sublet.api.last_word import ForceRelease
from sublet.api.origin import Origin, Restorable
from sublet.api.outage import MOST_OUTAGES, Outage
from sublet.api.pending import Offer, Pending
from sublet.api.relocation import MOST_LEAVING, Leaving, Move, PlacedNode, ReleaseCause, Sequence
from sublet.api.schema import ApiModel, Rule, StatusModel, atomic, atomic_list, list_map, rules
from sublet.api.times import Millis, parse_instant
from sublet.api.topology import SPREAD_RULES, Placement, Topology


class Replacement(StrEnum):
    """What is done about a node that fails while the claim holds it."""

    NEVER = "Never"
    ON_FAILURE = "OnFailure"


FIRST_START_MS: Final = Millis(0)
NO_START_MS: Final = parse_instant("9000-01-01T00:00:00Z")
"""Far enough from the calendar's end that any start has an end, however often one claim waits for another."""
_START: Final = rules(
    Rule(
        "self >= timestamp('1970-01-01T00:00:00Z') && self < timestamp('9000-01-01T00:00:00Z')",
        "startTime must be in the years 1970 to 8999",
    )
)


class Schedule(ApiModel):
    """From when, and for how long."""

    start_time: Annotated[Instant | None, Field(json_schema_extra=_START)] = None
    """From when the GPUs are needed, as 2026-10-01T00:00:00Z: they are promised ahead and held in this window only. As soon as possible without."""
    duration_seconds: Annotated[Seconds | None, Field(ge=1)] = None
    """Seconds from startTime, or from the reservation, to the end; open-ended without."""


_RESERVED = (
    "(has(oldSelf.status) && has(oldSelf.status.conditions) && "
    "oldSelf.status.conditions.exists(c, c.type == 'Reserved' && c.status == 'True'))"
)


def _same(field: str) -> str:
    """Return CEL that says whether a field of the spec is as it was; optionals would cost more than a rule may."""
    new, old = f"self.spec.{field}", f"oldSelf.spec.{field}"
    return f"(has({new}) == has({old}) && (!has({new}) || {new} == {old}))"


_FIXED = {  # what is fixed while the claim is reserved -> CEL that says whether it is as it was
    "className": _same("className"),
    "gpus": _same("gpus"),
    "gpusPerNode": _same("gpusPerNode"),
    "minGpus": _same("minGpus"),
    "topology": _same("topology"),
    "placement": _same("placement"),
    "priorityClassName": _same("priorityClassName"),
    "schedule.startTime": "self.spec.?schedule.?startTime == oldSelf.spec.?schedule.?startTime",
}


def _fixed() -> Rule:
    """Return the root rule that freezes what the claim was reserved by.

    It is one rule, and the short look at the conditions comes first: the server evaluates each rule at every write of the
    status; while many were written, evaluating one for each field and the others took 11 % of its time.
    """
    *others, last = _FIXED
    changed = " + ".join(f"({same} ? '' : '{field} ')" for field, same in _FIXED.items())
    cannot = "can't change while the claim is reserved; make a new claim"
    return Rule(
        f"!{_RESERVED} || ({' && '.join(_FIXED.values())})",
        f"{', '.join(others)} and {last} {cannot}",
        field_path=".spec",
        reason="FieldValueForbidden",
        message_expression=f'{changed} + "{cannot}"',
    )


_ENDED: str = (
    "!has(oldSelf.status) || !has(oldSelf.status.conditions) || "
    "!oldSelf.status.conditions.exists(c, c.type == 'Ended' && c.status == 'True') || "
    "self.spec == oldSelf.spec"
)


class ClaimSpec(ApiModel):
    """What is asked for."""

    class_name: ObjectName
    """Name of the GpuClass."""
    gpus: Gpus
    """How many GPUs in all; more than 4,096 nodes are refused with an offer that splits them."""
    gpus_per_node: Annotated[
        int | None, Field(ge=1, le=64, json_schema_extra={"format": "int32"})
    ] = None
    """Take exactly this many GPUs of each node; `gpus` must be a multiple of it."""
    min_gpus: Gpus | None = None
    """Take as many GPUs as there are, but not fewer than this; all of `gpus` or nothing without."""
    topology: Topology = Topology()
    """How close together the GPUs must be."""
    placement: Placement = Placement()
    """Where the GPUs may be."""
    schedule: Schedule = Schedule()
    """For how long."""
    priority_class_name: ObjectName | None = None
    """One of the PriorityClasses that the tenant may use."""
    max_price_per_gpu_hour: Price | None = None
    """Refuse a dearer price; a decimal string in the class's currency."""
    tags: Annotated[dict[str, Annotated[str, Field(max_length=128)]], Field(max_length=32)] = Field(
        default_factory=dict
    )
    """Cost centre, project …: copied into the ledger when the claim is reserved."""
    suspended: bool = False
    """True: give the GPUs back and keep the object; a claim created so holds nothing."""
    replacement: Replacement = Replacement.NEVER
    """OnFailure: a node that stays sick for five minutes is replaced by another, if there is one."""
    force_release: ForceRelease | None = None
    """A person's word, of the platform team: a release that hangs needn't wait for its cluster any longer."""

    cel_rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!has(self.gpusPerNode) || self.gpus % self.gpusPerNode == 0",
            "gpus must be a multiple of gpusPerNode",
            field_path=".gpus",
        ),
        Rule(
            "!has(self.minGpus) || self.minGpus <= self.gpus",
            "minGpus must be at most gpus",
            field_path=".minGpus",
        ),
        Rule(
            "!has(self.tags) || self.tags.all(k, k.matches('^[A-Za-z0-9][-_.A-Za-z0-9]{0,62}$'))",
            "a tag's name must be letters, digits, '-', '_' or '.', at most 63 of them",
            field_path=".tags",
        ),
        *SPREAD_RULES,
    )


class Booking(StatusModel):
    """Nodes of one lease that are alike and promised for a window to come; which they are is decided at its start."""

    lease: Word
    """The lease's tenant alias."""
    lease_uid: Annotated[str, Field(alias="leaseUID", max_length=36)]
    """UID of the GpuLease."""
    product: Word
    """GPU product of the lease."""
    nodes: Annotated[int, Field(ge=1, le=4_096, json_schema_extra={"format": "int32"})]
    """How many nodes."""
    gpus_per_node: Annotated[int, Field(ge=1, le=64, json_schema_extra={"format": "int32"})]
    """GPUs of each of them."""
    domain: Annotated[str | None, Field(max_length=63)] = None
    """NVLink domain in which room for them is kept, as the nodes' label nvidia.com/gpu.clique names it."""
    memory_mi_b: Annotated[
        int | None, Field(alias="memoryMiB", ge=1, json_schema_extra={"format": "int32"})
    ] = None
    """What each of their GPUs has at least, if a class asks for memory."""

    @property
    def gpus(self) -> int:
        """Return the GPUs in all."""
        return self.nodes * self.gpus_per_node


class Allocation(StatusModel):
    """What the claim holds; written by one compare-and-set, replaced as a whole."""

    sequence: Sequence
    """Counts the claim's reservations; part of the claim namespace's name."""
    tenant: ObjectName
    """Name of the GpuTenant that pays."""
    tenant_uid: Annotated[str, Field(alias="tenantUID", max_length=36)]
    """UID of the GpuTenant that pays."""
    requested_by: Annotated[str, Field(max_length=1024)] = ""
    """Who asked, as admission stamped it."""
    approved_by: Annotated[str, Field(max_length=1024)] = ""
    """Who approved the claim, if anybody did, as admission saw it."""
    price_per_gpu_hour: Price
    """The price fixed at reservation."""
    currency: Annotated[str, Field(max_length=3)]
    """Its currency."""
    price_hash: Annotated[str, Field(max_length=64)]
    """Content hash under which the ledger keeps the price."""
    pricing: Pricing = Pricing.FIXED
    """Whether the price is kept, or follows the class's dated prices."""
    class_name: Annotated[str, Field(max_length=253)] = ""
    """Name of the GpuClass, as the claim asked for it then."""
    class_uid: Annotated[str, Field(alias="classUID", max_length=36)] = ""
    """UID of the GpuClass."""
    rounding: Rounding | None = None
    """What is charged beside the time used, as the class said at reservation."""
    sla: ClassSla | None = None
    """What is credited for GPUs that don't work, as the class said at reservation."""
    host_share: HostShare | None = None
    """CPU, memory and disk that come with each GPU of a part of a node, as the class said at reservation."""
    host_share_noted: bool = False
    """True: hostShare is what was agreed, none if there is none. Reservations of older versions say nothing of it: they have what the class says now."""
    tags: Annotated[dict[str, Annotated[str, Field(max_length=128)]], Field(max_length=32)] = Field(
        default_factory=dict
    )
    """The claim's tags as they were when it was reserved; what the bill carries."""
    priority: Annotated[int, Field(json_schema_extra={"format": "int32"})] = 0
    """Value of the PriorityClass at reservation."""
    decided_time: Instant
    """When the book decided."""
    bound_time: Instant | None = None
    """From when the claim is billed for these nodes."""
    since_time: Instant | None = None
    """From when it was billed for the nodes before them, over moves and replacements; boundTime without."""
    vacated_time: Instant | None = None
    """When, of a reservation that is given back before it was bound, the last pod was seen gone; the quarantine counts from then."""
    until_time: Instant | None = None
    """When the claim ends at the latest; open-ended without."""
    until_cause: Annotated[ReleaseCause | None, Field()] = None
    """What ends the claim then: its own duration, the lease, a claim of higher priority or the budget."""
    placements: Annotated[
        tuple[PlacedNode, ...],
        Field(max_length=4_096, json_schema_extra=atomic_list()),
    ] = ()
    """The nodes; none before the start of a window that was promised ahead."""
    bookings: Annotated[
        tuple[Booking, ...], Field(max_length=4_096, json_schema_extra=atomic_list())
    ] = ()
    """What was promised ahead; kept when it has become nodes."""
    cancellation: CancellationTerms | None = None
    """What giving up a window that was promised ahead costs, as agreed at reservation."""
    given_up: Annotated[
        tuple[GivenUp, ...], Field(max_length=1_024, json_schema_extra=atomic_list())
    ] = ()
    """What of it was given up too late, and is charged."""

    @property
    def gpus(self) -> int:
        """Return the GPUs held, or promised ahead, in all."""
        if not self.placements:
            return sum(b.gpus for b in self.bookings)
        return sum(p.gpus for p in self.placements)

    @property
    def says_host_share(self) -> bool:
        """Say whether it is noted what comes with a GPU: none isn't the same as not noted."""
        return self.host_share_noted or self.host_share is not None

    @property
    def end(self) -> tuple[Millis | None, ReleaseCause | None]:
        """Return when it ends at the latest, and what ends it then."""
        return (self.until_time, self.until_cause)

    @property
    def domain(self) -> str | None:
        """Return the NVLink domain that it is promised in, None if it is several or not known."""
        found = {b.domain for b in self.bookings}
        return found.pop() if len(found) == 1 else None

    @property
    def is_ahead(self) -> bool:
        """Say whether it is a promise that hasn't become nodes."""
        return not self.placements

    @property
    def lease_uids(self) -> set[str]:
        """Return the leases it stands on."""
        return {p.lease_uid for p in self.placements} or {b.lease_uid for b in self.bookings}


class Release(StatusModel):
    """The decision to take the GPUs back; written before anything is destroyed."""

    cause: ReleaseCause
    """Why."""
    release_time: Instant
    """When the tenant's meter stopped."""
    sequence: Sequence
    """The allocation that is released."""
    vacated_time: Instant | None = None
    """When the last pod was seen gone; the quarantine counts from then."""


class ClusterAccess(StatusModel):
    """Where in one leased cluster the tenant may work."""

    alias: Word
    """The lease's tenant alias; also the context's name in the kubeconfig."""
    namespace: Annotated[str, Field(max_length=63)]
    """The claim's namespace there."""
    expiration_time: Instant
    """When the token in the kubeconfig ends, or when the kubeconfig lost it; it is renewed at half its life."""
    endpoint_digest: Annotated[str | None, Field(max_length=64)] = None
    """Digest of the address and CA that the kubeconfig has; when the cluster is reached otherwise, the kubeconfig is written anew."""


class Access(StatusModel):
    """How the tenant gets in."""

    secret_name: ObjectName
    """Secret beside the claim with a kubeconfig under the key `value`."""
    clusters: Annotated[
        tuple[ClusterAccess, ...], Field(max_length=64, json_schema_extra=list_map("alias"))
    ]
    """One context per leased cluster."""
    renewal_time: Instant | None = None
    """When the tokens are renewed: at half of the life that the clusters granted."""
    lost_time: Instant | None = None
    """When the Secret was found deleted; until it is written again, and older tokens are revoked everywhere."""
    secret_version: Annotated[str | None, Field(max_length=64)] = None
    """resourceVersion of the Secret as Sublet wrote it last; another one shows that somebody changed it."""


class ClaimStatus(StatusModel):
    """What the operator says of a claim."""

    observed_generation: Annotated[int, Field(ge=0, json_schema_extra={"format": "int64"})] = 0
    """The generation of spec that this status describes."""
    conditions: Annotated[
        tuple[Condition, ...], Field(max_length=16, json_schema_extra=list_map("type"))
    ] = ()
    """Ready, Reserved, Bound, Releasing, Ended; where there is something to say Degraded, Reachable, PriceExceeded, Expiring, AccessRenewed, Adopted; Reconciling and Stalled for kstatus."""
    pending: Pending | None = None
    """Why the claim isn't reserved."""
    offers: Annotated[tuple[Offer, ...], Field(max_length=8, json_schema_extra=atomic_list())] = ()
    """What would bind instead, cheapest change first; what a suspended claim would get (a quote)."""
    allocation: Annotated[Allocation | None, Field(json_schema_extra=atomic())] = None
    """What the claim holds, or held last."""
    release: Release | None = None
    """The decision to take the GPUs back."""
    last_sequence: Sequence | None = None
    """The last reservation that was begun, if it isn't the allocation's: a move that was given up had one."""
    move: Annotated[Move | None, Field(json_schema_extra=atomic())] = None
    """Nodes that are made ready beside the allocation's, to take the place of some or all of them."""
    leaving: Annotated[
        tuple[Leaving, ...], Field(max_length=MOST_LEAVING, json_schema_extra=list_map("sequence"))
    ] = ()
    """Nodes that others have taken the place of, or that a move was to bring and didn't, until they are free."""
    used_milliseconds: Annotated[int | None, Field(ge=0, json_schema_extra={"format": "int64"})] = (
        None
    )
    """How long its earlier terms ran, before it was suspended or taken back; counts towards schedule.durationSeconds."""
    outages: Annotated[
        tuple[Outage, ...], Field(max_length=MOST_OUTAGES, json_schema_extra=atomic_list())
    ] = ()
    """When its clusters didn't answer while it was billed: disputed intervals in the ledger."""
    downtimes: Annotated[
        tuple[Downtime, ...], Field(max_length=MOST_DOWNTIMES, json_schema_extra=atomic_list())
    ] = ()
    """When GPUs of it were known not to work while it was billed: downtime intervals in the ledger."""
    access: Access | None = None
    """How the tenant gets in."""
    earlier_secret_version: Annotated[str | None, Field(max_length=64)] = None
    """resourceVersion of the Secret as an earlier reservation left it: while it stays so, no later one has handed anything over."""
    origin: Origin | None = None
    """Who it was, if it was restored from a backup."""

    @property
    def next_sequence(self) -> int:
        """Return the number of the next reservation: none is used twice, and no namespace is."""
        last = self.allocation.sequence if self.allocation is not None else 0
        return max(last, self.last_sequence or 0) + 1


class GpuClaim(Restorable):
    """A tenant's request for GPUs of a class."""

    metadata: ObjectMeta
    spec: ClaimSpec
    status: ClaimStatus = ClaimStatus()

    cel_rules: ClassVar[tuple[Rule, ...]] = (
        _fixed(),
        Rule(_ENDED, "this claim has ended for good; delete it and make a new one", ".spec"),
    )
