"""`GpuClass`: one retail offer. Written by the platform team; stands to GpuClaim as StorageClass to a claim."""

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from sublet.api.billing import ClassSla, Rounding
from sublet.api.cancellation import Cancellation
from sublet.api.common import (
    Condition,
    Currency,
    Instant,
    ObjectMeta,
    ObjectName,
    Price,
    Product,
    Seconds,
)
from sublet.api.dated import ONE_PRICE_AT_A_TIME
from sublet.api.origin import Origin, Restorable
from sublet.api.schema import ApiModel, Rule, StatusModel, list_map, list_set, rules


class Pricing(StrEnum):
    """How a claim's price follows the dated prices."""

    FIXED = "Fixed"
    FLOATING = "Floating"


class Guarantee(StrEnum):
    """Whether a claim keeps its GPUs against claims of a higher priority."""

    GUARANTEED = "Guaranteed"
    PREEMPTIBLE = "Preemptible"


class SellPrice(ApiModel):
    """The price from one instant on, until the next entry's."""

    effective_time: Instant
    """From when this price holds, as 2026-10-01T00:00:00Z."""
    per_gpu_hour: Price
    """Price of one GPU for one hour, as a decimal string in the class's currency."""


class HostShare(StatusModel):
    """CPU, memory and disk of a node that come with each GPU when a claim takes a part of a node."""

    cpu_per_gpu: Annotated[int, Field(ge=1, le=1_024, json_schema_extra={"format": "int32"})]
    """CPU cores per GPU."""
    memory_mi_b_per_gpu: Annotated[
        int,
        Field(alias="memoryMiBPerGpu", ge=1, le=16_777_216, json_schema_extra={"format": "int32"}),
    ]
    """Memory per GPU, in MiB."""
    storage_mi_b_per_gpu: Annotated[
        int | None,
        Field(
            alias="storageMiBPerGpu", ge=1, le=1_073_741_824, json_schema_extra={"format": "int32"}
        ),
    ] = None
    """The node's own disk per GPU, in MiB: what containers write, their logs and emptyDirs; without it nothing keeps one claim from filling what others on the node need."""


class Requires(ApiModel):
    """What nodes must have beside the product."""

    memory_mi_b: Annotated[
        int | None,
        Field(alias="memoryMiB", ge=1, le=16_777_216, json_schema_extra={"format": "int32"}),
    ] = None
    """Least memory of one GPU, in MiB, as the nodes' label nvidia.com/gpu.memory says; unknown is too little."""
    nvlink_domain: bool = False
    """True: a claim on several nodes gets them in one NVLink domain, whatever its topology says."""


class ClassSpec(ApiModel):
    """What is offered, and for how much."""

    products: Annotated[
        tuple[Product, ...], Field(min_length=1, max_length=16, json_schema_extra=list_set())
    ]
    """GPU products that this class stands for, as the nodes' label nvidia.com/gpu.product names them."""
    requires: Requires = Requires()
    """What their nodes must have beside that."""
    pricing: Pricing = Pricing.FIXED
    """Fixed: a claim keeps the price of the instant it was reserved at, for its whole term. Floating: open-ended claims
    follow the dated prices; those with a duration keep theirs."""
    prices: Annotated[
        tuple[SellPrice, ...],
        Field(
            min_length=1,
            max_length=128,
            json_schema_extra=list_map("effectiveTime")
            | rules(
                Rule(
                    "oldSelf.all(o, self.exists(n, n.effectiveTime == o.effectiveTime && "
                    "n.perGpuHour == o.perGpuHour))",
                    "prices are append-only: add an entry with a later effectiveTime",
                ),
                ONE_PRICE_AT_A_TIME,
            ),
        ),
    ]
    """Dated prices; the latest one that is not in the future holds. Entries are added, never changed."""
    currency: Currency
    """ISO 4217 code of all prices of this class."""
    host_share: HostShare | None = None
    """Limits CPU, memory and disk of claims on a part of a node; whole nodes have all of it."""
    guarantee: Guarantee = Guarantee.GUARANTEED
    """Preemptible: claims of a higher priority may take the GPUs back, after noticeSeconds."""
    notice_seconds: Annotated[
        int, Field(ge=0, le=604_800, json_schema_extra={"format": "int32"})
    ] = 0
    """How long before its GPUs are taken back a claim of a Preemptible class is told."""
    successors: Annotated[
        tuple[ObjectName, ...],
        Field(max_length=16, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
    ] = ()
    """Classes whose GPUs may stand in when a claim's lease ends and its own class has none left; the first comes first."""
    move_lead_seconds: Annotated[
        int, Field(ge=0, le=2_592_000, json_schema_extra={"format": "int32"})
    ] = 86_400
    """How long before its lease ends a claim is given other nodes beside its own; 0: it ends with its lease."""
    max_duration_seconds: Annotated[Seconds | None, Field(ge=1)] = None
    """The longest a claim of this class may last, in seconds; open-ended claims end after it too."""
    rounding: Rounding | None = None
    """What is charged beside the time used, as agreed when a claim is reserved."""
    sla: ClassSla | None = None
    """What tenants are credited for GPUs that don't work, as agreed when a claim is reserved; nothing without."""
    cancellation: Cancellation | None = None
    """What it costs to give up a window that was promised ahead; nothing without."""
    approval_above_gpus: Annotated[
        int | None, Field(ge=0, le=1_000_000, json_schema_extra={"format": "int32"})
    ] = None
    """A claim of more GPUs than this waits until somebody with the right to `approve` claims has approved it."""

    cel_rules: ClassVar[tuple[Rule, ...]] = (
        Rule("self.currency == oldSelf.currency", "currency can't change; make a new class"),
    )


class ClassStatus(StatusModel):
    """What the operator says of a class."""

    observed_generation: Annotated[int, Field(ge=0, json_schema_extra={"format": "int64"})] = 0
    """The generation of spec that this status describes."""
    conditions: Annotated[
        tuple[Condition, ...], Field(max_length=16, json_schema_extra=list_map("type"))
    ] = ()
    """Ready: the class can be claimed. InUse: live claims hold it against deletion."""
    origin: Origin | None = None
    """Who it was, if it was restored from a backup: claims whose prices float follow it by that UID."""


class GpuClass(Restorable):
    """One retail offer: which GPU products it stands for and what they cost."""

    metadata: ObjectMeta
    spec: ClassSpec
    status: ClassStatus = ClassStatus()
