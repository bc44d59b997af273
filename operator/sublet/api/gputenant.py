"""`GpuTenant`: one paying customer. Written by the platform team; tenants can't see or change it."""

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from sublet.api.billing import Discount, TenantBilling
from sublet.api.common import Condition, Currency, Gpus, Name, ObjectMeta, ObjectName, Price, Word
from sublet.api.origin import Origin, Restorable
from sublet.api.periods import BudgetPeriod
from sublet.api.schema import (
    ApiModel,
    Rule,
    StatusModel,
    atomic_list,
    list_map,
    list_set,
    rules,
)


class ClassQuota(ApiModel):
    """How many GPUs of one class the tenant may hold at once, over all its namespaces."""

    class_name: ObjectName
    """Name of the GpuClass."""
    gpus: Annotated[int, Field(ge=0, le=1_000_000, json_schema_extra={"format": "int32"})]
    """The most GPUs held at once."""


class ProtectedGpus(ApiModel):
    """GPUs of one class up to which the tenant's claims come before others of the same priority."""

    class_name: ObjectName
    """Name of the GpuClass."""
    gpus: Gpus
    """Up to how many GPUs held at once."""


class NameFilter(ApiModel):
    """Which names are allowed: those of `allow` (all, if empty) without those of `deny`."""

    allow: Annotated[tuple[Word, ...], Field(max_length=64, json_schema_extra=list_set())] = ()
    """Only these; all if empty."""
    deny: Annotated[tuple[Word, ...], Field(max_length=64, json_schema_extra=list_set())] = ()
    """Never these."""

    def admits(self, name: str) -> bool:
        """Say whether a name passes."""
        return name not in self.deny and (not self.allow or name in self.allow)


class AtLimit(StrEnum):
    """What happens when a budget is used up."""

    HOLD = "Hold"
    DRAIN = "Drain"


class Budget(ApiModel):
    """What the tenant may spend in a period of the calendar, in UTC."""

    amount: Price
    """The most that may be spent in one period, as a decimal string in `currency`."""
    currency: Currency
    """ISO 4217 code. Classes with prices in another currency can't be claimed."""
    period: BudgetPeriod
    """Month, Quarter or Year of the calendar in UTC, after which the amount is there anew; Total: once for all time."""
    at_limit: AtLimit = AtLimit.HOLD
    """Hold: claims that don't fit wait, those that run go on. Drain: once the amount is spent, claims of Preemptible
    classes are taken back too, after their noticeSeconds."""


_APPEND_ONLY = "discounts are append-only: add an entry with a later effectiveTime"
DISCOUNT_RULES = rules(
    Rule(
        "oldSelf.all(o, self.exists(n, n.effectiveTime == o.effectiveTime && n.percent == o.percent && "
        "has(n.className) == has(o.className) && (!has(o.className) || n.className == o.className)))",
        _APPEND_ONLY,
    ),
    Rule(
        "self.all(a, self.exists_one(b, b.effectiveTime == a.effectiveTime && "
        "has(b.className) == has(a.className) && (!has(a.className) || b.className == a.className)))",
        "two discounts of the same class have the same effectiveTime; only one can hold",
    ),
)


class TenantSpec(ApiModel):
    """Who pays, from where it may ask, and for how much."""

    namespaces: Annotated[
        tuple[Name, ...], Field(min_length=1, max_length=256, json_schema_extra=list_set())
    ]
    """Namespaces of the hub whose claims are this tenant's. A namespace belongs to one tenant only."""
    billing_account_id: Word
    """The account that statements and usage files name."""
    billing: TenantBilling = TenantBilling()
    """When its billing periods begin, and in what it is billed."""
    discounts: Annotated[
        tuple[Discount, ...],
        Field(max_length=128, json_schema_extra=atomic_list() | DISCOUNT_RULES),
    ] = ()
    """Dated discounts; the latest one that is not in the future holds. Entries are added, never changed."""
    quotas: Annotated[
        tuple[ClassQuota, ...], Field(max_length=64, json_schema_extra=list_map("className"))
    ] = ()
    """Limits per class. A class that is not listed has no limit."""
    weight: Annotated[int, Field(ge=1, le=10_000, json_schema_extra={"format": "int32"})] = 100
    """Its part where claims of equal priority compete: twice the weight, twice the GPUs."""
    protected_gpus: Annotated[
        tuple[ProtectedGpus, ...], Field(max_length=64, json_schema_extra=list_map("className"))
    ] = ()
    """GPUs per class up to which its claims come first among equal priorities."""
    priority_classes: Annotated[
        tuple[ObjectName, ...],
        Field(max_length=16, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
    ] = ()
    """PriorityClasses of the hub that claims may name; the first is the default. Empty: priority 0 for all."""
    classes: NameFilter = NameFilter()
    """Which GpuClasses the tenant may claim."""
    leases: NameFilter = NameFilter()
    """Which leases the tenant's claims may land on, by the leases' tenantAlias."""
    jurisdictions: Annotated[
        tuple[Word, ...], Field(max_length=16, json_schema_extra=list_set())
    ] = ()
    """Jurisdictions that its claims may land in, such as EU; no claim can widen them. All if empty."""
    budget: Budget | None = None
    """What it may spend; without, as much as its quotas allow."""
    suspended: bool = False
    """True: its claims give their GPUs back and wait, promises are given up, and nothing new is served."""

    cel_rules: ClassVar[tuple[Rule, ...]] = (
        # a rule of the list itself isn't asked when the list goes
        Rule(
            "!has(oldSelf.discounts) || oldSelf.discounts.size() == 0 || has(self.discounts)",
            _APPEND_ONLY,
            field_path=".discounts",
        ),
    )

    def class_names(self) -> dict[str, tuple[str, ...]]:
        """Return which classes it names, such as are there or not: field -> names."""
        return {
            "quotas": tuple(each.class_name for each in self.quotas),
            "discounts": tuple(each.class_name for each in self.discounts if each.class_name),
            "protectedGpus": tuple(each.class_name for each in self.protected_gpus),
            "classes.allow": self.classes.allow,
            "classes.deny": self.classes.deny,
        }

    def protected_of(self, class_name: str) -> int:
        """Return up to how many GPUs of a class its claims come first."""
        return next((p.gpus for p in self.protected_gpus if p.class_name == class_name), 0)

    def quota_of(self, class_name: str) -> int | None:
        """Return the limit for a class in GPUs, None where there is none."""
        return next((q.gpus for q in self.quotas if q.class_name == class_name), None)


class TenantStatus(StatusModel):
    """What the operator says of a tenant."""

    observed_generation: Annotated[int, Field(ge=0, json_schema_extra={"format": "int64"})] = 0
    """The generation of spec that this status describes."""
    conditions: Annotated[
        tuple[Condition, ...], Field(max_length=16, json_schema_extra=list_map("type"))
    ] = ()
    """Ready: claims of its namespaces are served. InUse: live claims hold it against deletion. TimeZoneUnknown: there is no such billing.timeZone. Adopted: False while it waits for adoption after a restore."""
    origin: Origin | None = None
    """Who it was, if it was restored from a backup."""


class GpuTenant(Restorable):
    """One paying customer: its namespaces on the hub, its account and its limits."""

    metadata: ObjectMeta
    spec: TenantSpec
    status: TenantStatus = TenantStatus()
