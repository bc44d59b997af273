"""What a claim asks for, in the book's terms, or why it can't be served at all (claim-wide causes)."""

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Final

from sublet.api.dated import holding
from sublet.api.gpuclaim import FIRST_START_MS, NO_START_MS, Allocation, ClaimSpec, GpuClaim
from sublet.api.gpuclass import GpuClass
from sublet.api.gputenant import GpuTenant
from sublet.api.ids import ClaimUID, TenantUID
from sublet.api.pending import PendingReason
from sublet.api.times import MS_PER_SECOND, Millis, format_instant
from sublet.api.wording import how_many, raised_at
from sublet.book.approval import approval_refusal
from sublet.book.decisions import Refuse
from sublet.book.steps import FOREVER
from sublet.book.view import View

_NAMES_SHOWN: Final = 8
_OF_PLACE: Final = tuple(
    name
    for name in ClaimSpec.model_fields
    if name not in {"tags", "priority_class_name", "max_price_per_gpu_hour", "schedule"}
)
"""Fields of a claim's spec that decide where it can be; when is said by instants."""


def _always(_: "Demand") -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Demand:
    """A claim that may be served if a place is found."""

    claim: GpuClaim
    tenant: GpuTenant
    offer: GpuClass
    products: frozenset[str]
    """GPU products that its class stands for."""
    price: Decimal
    priority: int
    begin_ms: Millis
    """Where its window begins: at the start that it asks for, which may have passed, or now."""
    start_ms: Millis
    """From when it needs the GPUs: now, or a start to come."""
    asked_until_ms: Millis | None
    """The end by its own duration; None: open-ended."""
    latest_ms: Millis
    """The end by the class's longest duration, FOREVER if it has none."""
    stops_ms: Millis = FOREVER
    """Where one without a duration ends before maintenance; it doesn't move with the start."""
    is_ahead: bool = False
    """Its start is still to come: it is promised GPUs, and nodes only then."""
    memory_mib: int = 0
    """What each of its GPUs must have at least."""
    in_domain: bool = False
    """Its class sells several nodes in one NVLink domain only."""
    is_alone: bool = True
    """The claim keeps no other nodes; beside those it takes no part of one, as no quota says how much runs where."""
    has_means: Callable[["Demand"], bool] = field(default=_always, compare=False, repr=False)
    """Whether its tenant has the means for it, asked of the same demand with a start to come."""

    @property
    def uid(self) -> ClaimUID:
        """Return the claim's UID."""
        return ClaimUID(self.claim.metadata.uid)

    @property
    def tenant_uid(self) -> TenantUID:
        """Return the tenant's UID."""
        return TenantUID(self.tenant.metadata.uid)

    @property
    def gpus(self) -> int:
        """Return how many GPUs are asked for."""
        return self.claim.spec.gpus

    @property
    def own_end_ms(self) -> Millis:
        """Return when it ends if no lease ends it: by its own duration, else by the class's longest."""
        return self.asked_until_ms if self.asked_until_ms is not None else self.latest_ms

    @property
    def key(self) -> Hashable:
        """Return what makes a place for it a place: demands of the same key are refused alike."""
        spec = self.claim.spec
        when = (self.begin_ms, self.start_ms, self.asked_until_ms, self.latest_ms, self.is_ahead)
        return (self.tenant_uid, *when, *(getattr(spec, name) for name in _OF_PLACE))

    def at(self, start_ms: Millis) -> "Demand":
        """Return the same demand with another start, its window as long as before."""
        later = start_ms - self.begin_ms
        asked = self.asked_until_ms
        return replace(
            self,
            begin_ms=start_ms,
            start_ms=start_ms,
            asked_until_ms=Millis(asked + later) if asked is not None else None,
            latest_ms=Millis(self.latest_ms + later) if self.latest_ms < FOREVER else FOREVER,
        )

    def of_size(self, gpus: int) -> "Demand":
        """Return the demand for another number of GPUs."""
        return replace(self, claim=with_spec(self.claim, gpus=gpus))

    def until_on(self, lease_ends_ms: Millis) -> Millis:
        """Return when it would end on a lease with this last instant."""
        if self.asked_until_ms is not None:
            return self.asked_until_ms
        return min(self.latest_ms, lease_ends_ms, self.stops_ms)


class Rules:
    """Looks up tenants, classes, priorities and prices of one view."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._classes: Mapping[str, GpuClass] = {c.metadata.name: c for c in view.classes}
        self._tenants = tenants_by_namespace(view.tenants)
        self._by_name = {t.metadata.name: t for t in sorted(view.tenants, key=_age, reverse=True)}

    def offer(self, class_name: str) -> GpuClass | None:
        """Return a class by name."""
        return self._classes.get(class_name)

    def class_names(self) -> list[str]:
        """Return the names of all classes, in order."""
        return sorted(self._classes)

    def read(self, claim: GpuClaim) -> Demand | Refuse:
        """Return the claim's demand, or the claim-wide reason why it has none. Never fails: other claims wait too."""
        try:
            return self._read(claim)
        except Exception as error:  # noqa: BLE001  one claim must not stop the planning for all others
            message = f"the claim can't be read ({raised_at(error)}); please report it to the platform team"
            return _misconfigured(claim, message)

    def _read(self, claim: GpuClaim) -> Demand | Refuse:
        if (barred := _barred(claim)) is not None:
            return barred
        tenant = self._tenant(claim)
        if isinstance(tenant, Refuse):
            return tenant
        offer = self._offer(claim, tenant)
        if isinstance(offer, Refuse):
            return offer
        priority = self._priority(claim, tenant)
        if isinstance(priority, Refuse):
            return priority
        price = self._price(claim, offer)
        if isinstance(price, Refuse):
            return price
        return (
            self._timed(claim, tenant, offer, priority, price)
            if self.is_approved(claim, offer, claim.spec.gpus)
            else approval_refusal(claim, offer)
        )

    def is_approved(self, claim: GpuClaim, offer: GpuClass, gpus: int) -> bool:
        """Say whether a claim may have so many GPUs of a class without anybody's further approval."""
        limit = offer.spec.approval_above_gpus
        approved = self._view.approved.get(ClaimUID(claim.metadata.uid), 0)
        return limit is None or gpus <= max(limit, approved)

    def _tenant(self, claim: GpuClaim) -> GpuTenant | Refuse:
        """Return who pays for the claim's namespace."""
        namespace = claim.metadata.namespace
        if (unread := self._view.unread_tenants.get(namespace)) is not None:
            message = f"the GpuTenant {unread}, which names namespace {namespace}, can't be read; its condition Ready says why"
            return _refuse(claim, PendingReason.NO_TENANT, message)
        tenant = self._tenants.get(namespace) or self._by_name.get(self._view.default_tenant or "")
        if tenant is None:
            message = (
                f"namespace {namespace} belongs to no GpuTenant; ask the platform team to add it"
            )
            return _refuse(claim, PendingReason.NO_TENANT, message)
        if tenant.metadata.deletion_timestamp is not None:
            message = f"the GpuTenant of namespace {namespace} is being deleted"
            return _refuse(claim, PendingReason.NO_TENANT, message)
        if tenant.spec.suspended:
            message = (
                "the platform team has suspended the tenant; the claim waits until that is over"
            )
            return _refuse(claim, PendingReason.SUSPENDED, message)
        return tenant

    def _offer(self, claim: GpuClaim, tenant: GpuTenant) -> GpuClass | Refuse:
        """Return the class, if there is one by that name and the tenant may claim it."""
        name = claim.spec.class_name
        offer = self._classes.get(name)
        if offer is None or not tenant.spec.classes.admits(name):
            offered = (c for c in self._classes.values() if c.metadata.deletion_timestamp is None)
            names = (c.metadata.name for c in offered)
            allowed = _listed(n for n in names if tenant.spec.classes.admits(n))
            fault = (
                f"there is no GpuClass {name}"
                if offer is None
                else f"this tenant may not claim class {name}"
            )
            return _misconfigured(claim, f"{fault}; className may be: {allowed}")
        if offer.metadata.deletion_timestamp is not None:
            return _misconfigured(claim, f"class {name} is being deleted; choose another class")
        return offer

    def _priority(self, claim: GpuClaim, tenant: GpuTenant) -> int | Refuse:
        """Return the PriorityClass's value; priority counts only as far as the tenant's allow-list goes."""
        allowed = tenant.spec.priority_classes
        asked = claim.spec.priority_class_name
        if asked is None and not allowed:
            return 0
        if asked is not None and asked not in allowed:
            names = _listed(allowed) if allowed else "none; leave priorityClassName out"
            return _misconfigured(
                claim, f"priorityClassName {asked} isn't allowed to this tenant; allowed: {names}"
            )
        name = asked or allowed[0]
        value = self._view.priorities.get(name)
        if value is None:
            return _misconfigured(
                claim,
                f"there is no PriorityClass {name} on the hub, which this tenant's claims may use; "
                "ask the platform team to make it or to take it off the tenant",
            )
        return value

    def _price(self, claim: GpuClaim, offer: GpuClass) -> Decimal | Refuse:
        """Return the class's price that holds now, unless the claim refuses it."""
        found = holding(offer.spec.prices, self._view.now_ms)
        name = offer.metadata.name
        if found is None:
            return _misconfigured(claim, f"class {name} has no price that holds now")
        price = found.per_gpu_hour
        limit = claim.spec.max_price_per_gpu_hour
        if limit is not None and price > limit:
            message = (
                f"class {name} costs {price:f} {offer.spec.currency} per GPU-hour, "
                f"above maxPricePerGpuHour {limit:f}"
            )
            return _refuse(claim, PendingReason.PRICE_UNMET, message)
        return price

    def _timed(
        self, claim: GpuClaim, tenant: GpuTenant, offer: GpuClass, priority: int, price: Decimal
    ) -> Demand | Refuse:
        now, asked = self._view.now_ms, claim.spec.schedule
        duration, longest = asked.duration_seconds, offer.spec.max_duration_seconds
        if duration is not None and longest is not None and duration > longest:
            return _misconfigured(
                claim,
                f"class {offer.metadata.name} allows {how_many(longest, 'second')} at most; "
                f"schedule.durationSeconds is {duration}",
            )
        spread = claim.spec.placement.min_clusters
        if offer.spec.requires.nvlink_domain and spread > 1:
            return _misconfigured(
                claim,
                f"class {offer.metadata.name} sells several nodes in one NVLink domain only, and that is in one "
                f"cluster; placement.minClusters is {spread}",
            )
        begin = asked.start_time if asked.start_time is not None else now
        if not FIRST_START_MS <= begin < NO_START_MS:
            return _misconfigured(claim, "schedule.startTime must be in the years 1970 to 8999")
        left_ms = left_of(claim)
        if left_ms is not None and left_ms <= 0:
            return _misconfigured(
                claim,
                f"its {how_many(duration or 0, 'second', 'is', 'are')} used up; raise schedule.durationSeconds",
            )
        asked_until = Millis(begin + left_ms) if left_ms is not None else None
        latest = _later(begin, longest) or FOREVER
        if (ends := asked_until or latest) <= now:
            return _misconfigured(
                claim,
                f"its window is over since {format_instant(ends)}; choose a later schedule.startTime",
            )
        return Demand(
            claim=claim,
            tenant=tenant,
            offer=offer,
            products=frozenset(offer.spec.products),
            price=price,
            priority=priority,
            begin_ms=begin,
            start_ms=max(begin, now),
            asked_until_ms=asked_until,
            latest_ms=latest,
            is_ahead=begin > now,
            memory_mib=offer.spec.requires.memory_mi_b or 0,
            in_domain=offer.spec.requires.nvlink_domain,
        )

    def promised(self, claim: GpuClaim, allocation: Allocation) -> Demand | None:
        """Return the demand of a claim whose window begins, on the terms of its promise; None without its class or tenant.

        What was promised holds: a changed price, allow-list, quota or priority doesn't touch it.
        """
        offer = self._classes.get(claim.spec.class_name)
        tenant = next(
            (t for t in self._view.tenants if t.metadata.uid == allocation.tenant_uid), None
        )
        if offer is None or tenant is None:
            return None
        begin = claim.spec.schedule.start_time or self._view.now_ms
        return Demand(
            claim=claim,
            tenant=tenant,
            offer=offer,
            products=frozenset(offer.spec.products) | {b.product for b in allocation.bookings},
            price=allocation.price_per_gpu_hour,
            priority=allocation.priority,
            begin_ms=begin,
            start_ms=max(begin, self._view.now_ms),
            asked_until_ms=allocation.until_time,
            latest_ms=FOREVER,
            is_ahead=begin > self._view.now_ms,
            memory_mib=min((b.memory_mi_b or 0 for b in allocation.bookings), default=0),
            in_domain=offer.spec.requires.nvlink_domain and allocation.domain is not None,
        ).of_size(allocation.gpus)


def with_spec(claim: GpuClaim, **spec: object) -> GpuClaim:
    """Return a claim that asks for something else in these fields."""
    return claim.model_copy(update={"spec": claim.spec.model_copy(update=spec)})


def left_of(claim: GpuClaim) -> int | None:
    """Return how many milliseconds of its duration a claim has left, None if it is open-ended.

    What it ran before it was suspended or preempted is paid for and counts; a window of its own doesn't move.
    """
    duration = claim.spec.schedule.duration_seconds
    if duration is None:
        return None
    moves = claim.spec.schedule.start_time is None
    used = (claim.status.used_milliseconds or 0) if moves else 0
    return duration * MS_PER_SECOND - used


def _later(begin_ms: Millis, seconds: int | None) -> Millis | None:
    return Millis(begin_ms + seconds * MS_PER_SECOND) if seconds is not None else None


def tenants_by_namespace(tenants: Iterable[GpuTenant]) -> dict[str, GpuTenant]:
    """Return namespace -> tenant; of two tenants that name it, the older one has it."""
    found: dict[str, GpuTenant] = {}
    for tenant in sorted(tenants, key=_age):
        for namespace in tenant.spec.namespaces:
            found.setdefault(namespace, tenant)
    return found


def _barred(claim: GpuClaim) -> Refuse | None:
    """Return why a claim asks for nothing now, None if it does."""
    if claim.metadata.fault:
        return _misconfigured(claim, f"its spec can't be read: {claim.metadata.fault}")
    if claim.spec.suspended:
        message = "the claim is suspended and holds nothing"
        return _refuse(claim, PendingReason.SUSPENDED, message)
    return None


def _age(tenant: GpuTenant) -> tuple[int, str]:
    return (tenant.metadata.creation_timestamp or 0, tenant.metadata.uid)


def _listed(names: Iterable[str]) -> str:
    """Return names for a message, cut after a few."""
    known = sorted(names)
    more = len(known) - _NAMES_SHOWN
    text = ", ".join(known[:_NAMES_SHOWN]) or "none"
    return f"{text} and {more} more" if more > 0 else text


def _refuse(claim: GpuClaim, reason: PendingReason, message: str) -> Refuse:
    return Refuse(ClaimUID(claim.metadata.uid), reason, message)


def _misconfigured(claim: GpuClaim, message: str) -> Refuse:
    return _refuse(claim, PendingReason.MISCONFIGURED, message)
