"""`GpuLease`: one wholesale contract for one GPU product. Written by the platform team, never seen by tenants."""

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from sublet.api.billing import LeaseBilling, LeaseSla
from sublet.api.common import Condition, Currency, Instant, ObjectMeta, ObjectName, Product, Word
from sublet.api.last_word import MOST_LEFTOVERS, Leftover, Lost, LostStatus
from sublet.api.lease_terms import (
    PRICE_RULES,
    BuyPrice,
    Commitment,
    Contract,
    Location,
    Maintenance,
    TenantAccess,
    Term,
)
from sublet.api.names import UID_PATTERN
from sublet.api.origin import Origin, Restorable
from sublet.api.schema import ApiModel, Rule, StatusModel, atomic_list, list_map, list_set

Count = Annotated[int, Field(ge=0, json_schema_extra={"format": "int32"})]


class NodeSharing(StrEnum):
    """Whether one node may hold several claims at once."""

    NONE = "None"
    SAME_TENANT = "SameTenant"
    ANY_TENANT = "AnyTenant"


class KubeconfigSecretRef(ApiModel):
    """A Secret in the operator's own namespace with label sublet.dev/cluster-credentials."""

    name: ObjectName
    """Name of the Secret."""
    key: Annotated[str, Field(pattern=r"^[-._a-zA-Z0-9]+$", max_length=253)] = "kubeconfig"
    """Key that holds the kubeconfig; `value` reads a Cluster API Secret as it is."""


class InCluster(ApiModel):
    """The hub itself, reached as the ServiceAccount sublet-leased and never with the hub's own rights."""


class ClusterRef(ApiModel):
    """How the leased cluster is reached."""

    kubeconfig_secret_ref: KubeconfigSecretRef | None = None
    """By a kubeconfig."""
    in_cluster: InCluster | None = None
    """It is the hub itself, whose GPU nodes belong to the lease; write `inCluster: {}`."""
    cluster_uid: Annotated[
        str | None, Field(alias="clusterUID", pattern=UID_PATTERN, max_length=36)
    ] = None
    """UID that the cluster's kube-system namespace must have; pinned at first contact if not given, and no other after that."""

    cel_rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "has(self.kubeconfigSecretRef) != has(self.inCluster)",
            "give exactly one of kubeconfigSecretRef and inCluster",
        ),
    )


class LeaseSpec(ApiModel):
    """What was leased, where it is, and what it costs."""

    provider: Word
    """The landlord who bills us."""
    host_provider: Word | None = None
    """Whose hardware it is, if not the landlord's own."""
    contract: Contract
    """The landlord's paper."""
    tenant_alias: Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]
    """What tenants see instead of the landlord's name."""
    cluster_ref: ClusterRef
    """How the leased cluster is reached."""
    product: Product
    """The GPU product, as the nodes' label nvidia.com/gpu.product names it."""
    product_aliases: Annotated[
        tuple[Product, ...], Field(max_length=16, json_schema_extra=list_set())
    ] = ()
    """Other names that nodes give the same product."""
    node_selector: Annotated[
        dict[str, Annotated[str, Field(max_length=63)]], Field(max_length=16)
    ] = Field(default_factory=dict)
    """Labels of the nodes that belong to this lease; nvidia.com/gpu.present=true is always added."""
    location: Location
    """Where the GPUs stand."""
    term: Term
    """From when to when."""
    commitment: Commitment
    """How many GPUs are paid for."""
    prices: Annotated[
        tuple[BuyPrice, ...],
        Field(
            min_length=1,
            max_length=128,
            json_schema_extra=list_map("effectiveTime") | PRICE_RULES,
        ),
    ]
    """Dated prices; the latest one that is not in the future holds. Entries are added, never changed."""
    currency: Currency
    """ISO 4217 code of all prices of this lease."""
    billing: LeaseBilling = LeaseBilling()
    """How the landlord counts days, months and use."""
    sla: LeaseSla | None = None
    """What the landlord owes for GPUs that don't work; nothing without."""
    maintenance: Annotated[
        tuple[Maintenance, ...], Field(max_length=64, json_schema_extra=list_map("startTime"))
    ] = ()
    """Windows in which capacity isn't sold. Claims that are in stay; nothing new may overlap a window."""
    node_sharing: NodeSharing = NodeSharing.SAME_TENANT
    """Whether one node may hold several claims: None, of the same tenant, or of any."""
    tenant_access: TenantAccess = TenantAccess()
    """What pods of tenants may do."""
    accepting_claims: bool = True
    """False: sell no more, keep who is in."""
    release_orphans: Annotated[
        tuple[Annotated[str, Field(pattern=UID_PATTERN, max_length=36)], ...],
        Field(max_length=64, json_schema_extra=list_set()),
    ] = ()
    """UIDs of claims that the hub doesn't know any more and whose GPUs are to be taken back: a person's word."""
    lost: Lost | None = None
    """A person's word that the cluster will not come back; the only way to free capacity that can't be reached."""

    cel_rules: ClassVar[tuple[Rule, ...]] = (
        Rule("self.currency == oldSelf.currency", "currency can't change; make a new lease"),
        Rule("self.product == oldSelf.product", "product can't change; make a new lease"),
        Rule(
            "self.tenantAlias == oldSelf.tenantAlias", "tenantAlias can't change; make a new lease"
        ),
        Rule(
            "(has(self.billing) ? self.billing.timeZone : 'UTC') == "
            "(has(oldSelf.billing) ? oldSelf.billing.timeZone : 'UTC') && "
            "(has(self.billing) ? self.billing.dayCutHour : 0) == "
            "(has(oldSelf.billing) ? oldSelf.billing.dayCutHour : 0)",
            "billing.timeZone and billing.dayCutHour can't change: months that were metered end by them; make a new lease",
        ),
    )

    @property
    def products(self) -> tuple[str, ...]:
        """Return every name the product goes by."""
        return (self.product, *self.product_aliases)


class Unsellable(ApiModel):
    """GPUs that are there and can't be sold, by reason."""

    reason: Annotated[str, Field(pattern=r"^[A-Za-z]+$", max_length=64)]
    """Why, as one CamelCase word."""
    gpus: Count
    """How many."""


class InventoryStatus(ApiModel):
    """The lease's GPUs, counted."""

    generation: Annotated[int, Field(ge=0, json_schema_extra={"format": "int64"})] = 0
    """Rises with every change of the counts."""
    changed_time: Instant | None = None
    """When the counts last changed."""
    committed: Count = 0
    """Paid for now."""
    delivered: Count = 0
    """Seen on nodes."""
    healthy: Count = 0
    """Usable."""
    reserved: Count = 0
    """Held for claims whose nodes aren't handed over yet."""
    bound: Count = 0
    """Held by bound claims."""
    free: Count = 0
    """Sellable now."""
    unsellable: Annotated[
        tuple[Unsellable, ...], Field(max_length=32, json_schema_extra=list_map("reason"))
    ] = ()
    """There, but not for sale, by reason."""


class OutlookStep(ApiModel):
    """The lease's GPUs from one instant to come on, until the next step's."""

    time: Instant
    """From when these counts hold (RFC 3339, UTC)."""
    committed: Count = 0
    """GPUs committed by the contract; 0 outside the term."""
    sellable: Count = 0
    """GPUs that can be held by claims: committed and usable today, or undelivered as below; 0 once nobody may run."""
    undelivered: Count = 0
    """GPUs of `sellable` that a later phase of the commitment brings and that stand on no node yet."""
    maintenance: Count = 0
    """Committed GPUs that maintenance takes away; not in `sellable`."""
    reserved: Count = 0
    """GPUs held by claims, bound or not, as far as is known today."""
    free: Count = 0
    """GPUs of `sellable` that nobody holds. A sum over nodes: what a claim needs in one place may not be there."""


class ExercisedOption(StatusModel):
    """An option of the commitment that was exercised."""

    start_time: Instant
    """The option's startTime."""
    seen_time: Instant
    """When the operator first saw it exercised."""


class LeaseStatus(StatusModel):
    """What the operator says of a lease."""

    observed_generation: Annotated[int, Field(ge=0, json_schema_extra={"format": "int64"})] = 0
    """The generation of spec that this status describes."""
    conditions: Annotated[
        tuple[Condition, ...], Field(max_length=16, json_schema_extra=list_map("type"))
    ] = ()
    """Ready, CredentialsValid, Reachable, IdentityConfirmed, IsolationReady, RightsComplete, ClockSynced, CapacityMet, Expiring, Orphaned, Overcommitted, InUse; where there is something to say OptionsOpen, Lost, TimeZoneUnknown, Adopted."""
    cluster_uid: Annotated[str | None, Field(alias="clusterUID", max_length=36)] = None
    """UID of the cluster's kube-system namespace, pinned at first contact; another cluster needs another lease."""
    credential_version: Annotated[str | None, Field(max_length=64)] = None
    """resourceVersion of the Secret whose credential the cluster accepted last; `sublet onboard --rotate` waits for it."""
    kubernetes_version: Annotated[str | None, Field(max_length=64)] = None
    """What the leased API server says it is."""
    inventory: InventoryStatus | None = None
    """The lease's GPUs, counted."""
    outlook: Annotated[
        tuple[OutlookStep, ...], Field(max_length=64, json_schema_extra=list_map("time"))
    ] = ()
    """The next steps at which the counts change, in order, at most 64; what is now stands in `inventory`."""
    exercised_options: Annotated[
        tuple[ExercisedOption, ...], Field(max_length=64, json_schema_extra=list_map("startTime"))
    ] = ()
    """When exercised options were first seen to be."""
    origin: Origin | None = None
    """Who it was, if it was restored from a backup."""
    last_seen_time: Instant | None = None
    """While the cluster doesn't answer: when it was last seen to work."""
    lost: LostStatus | None = None
    """The cluster counts as lost; its GPUs are never sold under this lease again."""
    leftovers: Annotated[
        tuple[Leftover, ...], Field(max_length=MOST_LEFTOVERS, json_schema_extra=atomic_list())
    ] = ()
    """What claims left in the cluster by a person's word, until it is seen gone."""
    leftovers_more: Annotated[
        int | None, Field(ge=1, le=1_000_000, json_schema_extra={"format": "int32"})
    ] = None
    """Claims of a lost lease beyond those, for which the list has no room; what they left is cleaned as orphans."""

    @property
    def left_claims(self) -> int:
        """Return how many claims left something, listed or not."""
        return len(self.leftovers) + (self.leftovers_more or 0)


class GpuLease(Restorable):
    """One wholesale contract: landlord, cluster, nodes, term, commitment, prices."""

    metadata: ObjectMeta
    spec: LeaseSpec
    status: LeaseStatus = LeaseStatus()

    cel_rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!(has(oldSelf.status) && has(oldSelf.status.conditions) && "
            "oldSelf.status.conditions.exists(c, c.type == 'Lost' && c.status == 'True')) || "
            "(has(self.spec.lost) == has(oldSelf.spec.lost) && "
            "(!has(self.spec.lost) || self.spec.lost == oldSelf.spec.lost))",
            "the cluster counts as lost already, and its claims have ended; make a new lease if it is back",
            field_path=".spec.lost",
            reason="FieldValueForbidden",
        ),
        Rule(
            "!has(self.spec.clusterRef.clusterUID) || !has(oldSelf.status) || !has(oldSelf.status.clusterUID) || "
            "self.spec.clusterRef.clusterUID == oldSelf.status.clusterUID || "
            "(has(oldSelf.spec.clusterRef.clusterUID) && "
            "self.spec.clusterRef.clusterUID == oldSelf.spec.clusterRef.clusterUID)",
            "clusterUID can't become another than status.clusterUID; make a new lease for another cluster",
            field_path=".spec.clusterRef.clusterUID",
            reason="FieldValueForbidden",
        ),
    )

    @property
    def is_lost(self) -> bool:
        """Say whether its cluster counts as lost, by a person's word that took effect."""
        return self.status.lost is not None
