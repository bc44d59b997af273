"""The contract side of a GpuLease: who, how long, how many, for how much.

Read by the book (supply in time) and the ledger (what the landlord is owed). Written by the platform team.
"""

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from sublet.api.common import Gpus, Instant, Price, Seconds, Word
from sublet.api.dated import ONE_PRICE_AT_A_TIME
from sublet.api.networks import NETWORK, network_of
from sublet.api.schema import ApiModel, Rule, list_map, list_set, one_at_a_time, rules
from sublet.api.times import MS_PER_SECOND, Millis


class Contract(ApiModel):
    """The landlord's paper that this lease stands for."""

    id: Word
    """The contract's number at the landlord."""
    name: Annotated[str, Field(max_length=128)] = ""
    """What people call it."""


class Location(ApiModel):
    """Where the GPUs stand."""

    jurisdiction: Word
    """Whose law holds, such as EU or US."""
    country: Annotated[str, Field(pattern=r"^[A-Z]{2}$", max_length=2)]
    """ISO 3166 two-letter code."""
    region: Word
    """The landlord's region."""
    zone: Word | None = None
    """The landlord's zone."""


class Term(ApiModel):
    """From when to when, and what must happen before the end."""

    start_time: Instant
    """First instant of the lease, as 2026-10-01T00:00:00Z."""
    end_time: Instant | None = None
    """First instant after the lease, as 2026-10-01T00:00:00Z; open-ended without."""
    reclaim_lead_seconds: Seconds = 0
    """The landlord starts to take nodes back this long before endTime."""
    quarantine_seconds: Seconds = 0
    """A node rests this long between two claims, counted from when its last pod is gone."""
    clean_label: Annotated[
        str | None,
        Field(pattern=r"^([a-z0-9.-]+/)?[A-Za-z0-9]([-_.A-Za-z0-9]*[A-Za-z0-9])?$", max_length=253),
    ] = None
    """A node label that the landlord sets to "true" or the Unix time when a node is wiped; it is sold again only then.

    What the label said before the claim's last pod was gone doesn't count.
    """
    drain_seconds: Seconds = 0
    """Claims end this long before the landlord starts to take nodes."""

    cel_rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!has(self.endTime) || self.startTime < self.endTime",
            "endTime must be later than startTime",
            field_path=".endTime",
        ),
        Rule(
            "self.startTime == oldSelf.startTime", "startTime can't change", field_path=".startTime"
        ),
    )

    def last_usable_ms(self) -> Millis | None:
        """Return the first instant at which no claim may run: end - reclaimLead - quarantine - drain."""
        if self.end_time is None:
            return None
        lead = self.reclaim_lead_seconds + self.quarantine_seconds + self.drain_seconds
        return Millis(self.end_time - lead * MS_PER_SECOND)


class CommitmentMode(StrEnum):
    """Whether the landlord is paid for what was promised or for what was used."""

    TAKE_OR_PAY = "TakeOrPay"
    PAY_AS_YOU_GO = "PayAsYouGo"


class Phase(ApiModel):
    """One step of the commitment: from startTime on, `gpus` are paid for."""

    commitment_id: Word
    """The landlord's number of this step."""
    start_time: Instant
    """From when this step holds, as 2026-10-01T00:00:00Z."""
    gpus: Annotated[int, Field(ge=0, le=1_000_000, json_schema_extra={"format": "int32"})]
    """GPUs committed from then on, in all (not added to the step before)."""


_EXERCISED_STAYS = Rule(
    "!has(oldSelf.options) || oldSelf.options.all(o, !o.exercised || (has(self.options) && "
    "self.options.exists(n, n.exercised && n.startTime == o.startTime && "
    "n.exerciseByTime == o.exerciseByTime && n.gpus == o.gpus)))",
    "an option that was exercised stays as it is",
    field_path=".options",
)
"""On the commitment: a rule on a list isn't asked when the whole list goes."""


class Option(ApiModel):
    """A right to commit more GPUs from a later instant on."""

    exercise_by_time: Instant
    """Until when it can be exercised, as 2026-10-01T00:00:00Z."""
    start_time: Instant
    """From when its GPUs are committed, if it was exercised, as 2026-10-01T00:00:00Z."""
    gpus: Gpus
    """How many GPUs more, beside the phases."""
    exercised: bool = False
    """True: it was exercised; this can't be taken back."""

    cel_rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.exerciseByTime <= self.startTime",
            "exerciseByTime must not be later than startTime",
            field_path=".exerciseByTime",
        ),
    )


class Commitment(ApiModel):
    """How many GPUs are paid for, as a step function of time."""

    mode: CommitmentMode = CommitmentMode.TAKE_OR_PAY
    """TakeOrPay: paid whether used or not. PayAsYouGo: paid only while bound. It can't change."""
    phases: Annotated[
        tuple[Phase, ...],
        Field(min_length=1, max_length=256, json_schema_extra=list_map("commitmentId")),
    ]
    """The steps, in any order. One that is changed or goes was so until then; one that is added counts from its startTime, also if that is past."""
    options: Annotated[
        tuple[Option, ...],
        Field(
            max_length=64,
            json_schema_extra=list_map("startTime")
            | rules(
                one_at_a_time("startTime", "two options have the same startTime; make them one")
            ),
        ),
    ] = ()
    """Rights to commit more; what is exercised is committed beside the phases."""

    cel_rules: ClassVar[tuple[Rule, ...]] = (
        _EXERCISED_STAYS,
        Rule(
            "self.phases.all(a, self.phases.exists_one(b, b.startTime == a.startTime))",
            "two phases have the same startTime; the one that doesn't hold must go",
            field_path=".phases",
        ),
        Rule(
            "self.mode == oldSelf.mode", "mode can't change; make a new lease", field_path=".mode"
        ),
    )

    def gpus_at(self, at_ms: Millis) -> int:
        """Return the GPUs committed at an instant, exercised options included; 0 before the first step."""
        begun = [p for p in self.phases if p.start_time <= at_ms]
        level = max(begun, key=lambda p: p.start_time).gpus if begun else 0
        return level + sum(o.gpus for o in self.options if o.exercised and o.start_time <= at_ms)

    def edges(self) -> list[Millis]:
        """Return the instants at which the number may change, in order."""
        starts = {p.start_time for p in self.phases}
        return sorted(starts | {o.start_time for o in self.options if o.exercised})


class Maintenance(ApiModel):
    """A window in which GPUs of the lease aren't sold."""

    start_time: Instant
    """First instant of the window, as 2026-10-01T00:00:00Z."""
    end_time: Instant
    """First instant after it, as 2026-10-01T00:00:00Z."""
    gpus: Gpus | None = None
    """How many GPUs are away; the whole lease without."""

    cel_rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.startTime < self.endTime",
            "a window's endTime must be later than its startTime",
            field_path=".endTime",
        ),
    )


class BuyPrice(ApiModel):
    """The landlord's price from one instant on."""

    effective_time: Instant
    """From when this price holds, as 2026-10-01T00:00:00Z."""
    per_gpu_hour: Price
    """What one GPU costs us for one hour, as a decimal string in the lease's currency."""
    holding_per_gpu_hour: Price | None = None
    """What a committed GPU costs that isn't used; perGpuHour (TakeOrPay) or nothing (PayAsYouGo) without."""
    overage_per_gpu_hour: Price | None = None
    """What a GPU beyond the commitment costs; perGpuHour without."""


PRICE_RULES = rules(
    Rule(
        "oldSelf.all(o, self.exists(n, n.effectiveTime == o.effectiveTime && "
        "n.perGpuHour == o.perGpuHour && "
        "has(n.holdingPerGpuHour) == has(o.holdingPerGpuHour) && "
        "(!has(o.holdingPerGpuHour) || n.holdingPerGpuHour == o.holdingPerGpuHour) && "
        "has(n.overagePerGpuHour) == has(o.overagePerGpuHour) && "
        "(!has(o.overagePerGpuHour) || n.overagePerGpuHour == o.overagePerGpuHour)))",
        "prices are append-only: add an entry with a later effectiveTime",
    ),
    ONE_PRICE_AT_A_TIME,
)


class Egress(StrEnum):
    """Where tenants' pods may connect to."""

    INTERNET = "Internet"
    NONE = "None"


class PodSecurity(StrEnum):
    """The Pod Security level of claim namespaces."""

    RESTRICTED = "restricted"
    BASELINE = "baseline"


class RoleRule(ApiModel):
    """Kinds of one API group that tenants may use; onboarding must have listed them for this cluster."""

    api_group: Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=253)]
    """Such as kubeflow.org."""
    resources: Annotated[
        tuple[Annotated[str, Field(pattern=r"^[a-z0-9]+(/[a-z0-9]+)?$", max_length=128)], ...],
        Field(min_length=1, max_length=32, json_schema_extra=list_set()),
    ]
    """Plural names, such as pytorchjobs."""


_IS_NETWORK = rules(
    Rule(
        f"self.matches('{NETWORK}')",
        "this is no network; write it as 203.0.113.0/24 or 2001:db8::/32",
    )
)


class TenantAccess(ApiModel):
    """What pods of tenants may do on this lease; onboarding's policies are the upper bound."""

    egress: Egress = Egress.INTERNET
    """Internet: anything but `deniedCIDRs` and what is always denied. None: only their own namespace and DNS."""
    denied_cidrs: Annotated[
        tuple[Annotated[str, Field(max_length=43, json_schema_extra=_IS_NETWORK)], ...],
        Field(alias="deniedCIDRs", max_length=64, json_schema_extra=list_set()),
    ] = ()
    """Networks that pods may not reach. Private ones (10.0.0.0/8, 100.64.0.0/10, 172.16.0.0/12, 192.168.0.0/16, fc00::/7), link-local ones (169.254.0.0/16, fe80::/10) and cloud metadata are always denied."""
    pod_security: PodSecurity = PodSecurity.RESTRICTED
    """Pod Security level of claim namespaces."""
    extra_resources: Annotated[
        tuple[
            Annotated[str, Field(pattern=r"^[a-z0-9.-]+/([A-Za-z0-9_.-]+|\*)$", max_length=128)],
            ...,
        ],
        Field(max_length=16, json_schema_extra=list_set()),
    ] = ()
    """Further extended resources that pods may ask for, such as rdma/hca or rdma/*."""
    capabilities: Annotated[
        tuple[Annotated[str, Field(pattern=r"^[A-Z_]+$", max_length=32)], ...],
        Field(max_length=16, json_schema_extra=list_set()),
    ] = ()
    """Linux capabilities that pods may add, such as IPC_LOCK."""
    role_rules: Annotated[
        tuple[RoleRule, ...], Field(max_length=32, json_schema_extra=list_map("apiGroup"))
    ] = ()
    """Further API groups that the tenant may use in its claim namespace, such as training CRDs."""

    @property
    def misspelt_networks(self) -> tuple[str, ...]:
        """Return what of `deniedCIDRs` is no network: older schemas took it, and it stays until the list changes."""
        return tuple(each for each in self.denied_cidrs if network_of(each) is None)
