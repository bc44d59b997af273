"""What a claim asks for, in the book's terms, or why it can't be served at all (claim-wide causes)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from sublet.api.gpuclaim import GpuClaim, PendingReason
from sublet.api.gpuclass import GpuClass
from sublet.api.gputenant import GpuTenant
from sublet.api.ids import ClaimUID, TenantUID
from sublet.api.times import MS_PER_SECOND, Millis
from sublet.book.decisions import Refuse
from sublet.book.view import View


@dataclass(frozen=True, slots=True)
class Demand:
    """A claim that may be served if a place is found."""

    claim: GpuClaim
    uid: ClaimUID
    tenant: GpuTenant
    tenant_uid: TenantUID
    offer: GpuClass
    price: Decimal
    priority: int
    asked_until_ms: Millis | None
    """The end by its own duration; None: open-ended."""
    latest_ms: Millis | None
    """The end by the class's longest duration, for open-ended claims."""

    @property
    def gpus(self) -> int:
        """Return how many GPUs are asked for."""
        return self.claim.spec.gpus


class Rules:
    """Looks up tenants, classes, priorities and prices of one view."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._classes: Mapping[str, GpuClass] = {c.metadata.name: c for c in view.classes}
        self._tenants = tenants_by_namespace(view.tenants)
        self._by_name = {t.metadata.name: t for t in view.tenants}

    def tenant_of(self, namespace: str) -> GpuTenant | None:
        """Return the tenant that pays for a namespace."""
        found = self._tenants.get(namespace)
        if found is None and self._view.default_tenant is not None:
            return self._by_name.get(self._view.default_tenant)
        return found

    def read(self, claim: GpuClaim) -> Demand | Refuse:
        """Return the claim's demand, or the claim-wide reason why it has none."""
        spec = claim.spec
        tenant = self.tenant_of(claim.metadata.namespace)
        if tenant is None:
            return _refuse(
                claim,
                PendingReason.NO_TENANT,
                f"namespace {claim.metadata.namespace} belongs to no GpuTenant; ask the platform team to add it",
            )
        if spec.suspended:
            return _refuse(
                claim, PendingReason.SUSPENDED, "the claim is suspended and holds nothing"
            )
        offer = self._classes.get(spec.class_name)
        if offer is None:
            names = (
                ", ".join(sorted(n for n in self._classes if tenant.spec.classes.admits(n)))
                or "none"
            )
            return _misconfigured(
                claim, f"there is no GpuClass {spec.class_name}; there are: {names}"
            )
        if not tenant.spec.classes.admits(spec.class_name):
            return _misconfigured(claim, f"this tenant may not claim class {spec.class_name}")
        priority = self._priority(claim, tenant)
        if isinstance(priority, Refuse):
            return priority
        return self._priced(claim, tenant, offer, priority)

    def _priority(self, claim: GpuClaim, tenant: GpuTenant) -> int | Refuse:
        """Return the PriorityClass's value; priority counts only as far as the tenant's allow-list goes."""
        allowed = tenant.spec.priority_classes
        asked = claim.spec.priority_class_name
        if asked is None:
            return self._view.priorities.get(allowed[0], 0) if allowed else 0
        if asked not in allowed:
            names = ", ".join(allowed) or "none; leave priorityClassName out"
            return _misconfigured(
                claim, f"priorityClassName {asked} isn't allowed to this tenant; allowed: {names}"
            )
        if asked not in self._view.priorities:
            return _misconfigured(claim, f"there is no PriorityClass {asked} on the hub")
        return self._view.priorities[asked]

    def _priced(
        self, claim: GpuClaim, tenant: GpuTenant, offer: GpuClass, priority: int
    ) -> Demand | Refuse:
        now = self._view.now_ms
        begun = [p for p in offer.spec.prices if p.effective_time <= now]
        if not begun:
            return _misconfigured(claim, f"class {offer.metadata.name} has no price that holds now")
        price = max(begun, key=lambda p: p.effective_time).per_gpu_hour
        limit = claim.spec.max_price_per_gpu_hour
        if limit is not None and price > limit:
            return _refuse(
                claim,
                PendingReason.PRICE_UNMET,
                f"class {offer.metadata.name} costs {price} {offer.spec.currency} per GPU-hour, "
                f"above maxPricePerGpuHour {limit}",
            )
        duration, longest = claim.spec.schedule.duration_seconds, offer.spec.max_duration_seconds
        if duration is not None and longest is not None and duration > longest:
            return _misconfigured(
                claim,
                f"class {offer.metadata.name} allows {longest} seconds at most; asked for {duration}",
            )
        return Demand(
            claim=claim,
            uid=ClaimUID(claim.metadata.uid),
            tenant=tenant,
            tenant_uid=TenantUID(tenant.metadata.uid),
            offer=offer,
            price=price,
            priority=priority,
            asked_until_ms=Millis(now + duration * MS_PER_SECOND) if duration is not None else None,
            latest_ms=Millis(now + longest * MS_PER_SECOND) if longest is not None else None,
        )


def tenants_by_namespace(tenants: Iterable[GpuTenant]) -> dict[str, GpuTenant]:
    """Return namespace -> tenant; of two tenants that name it, the older one has it."""
    found: dict[str, GpuTenant] = {}
    for tenant in sorted(tenants, key=_age):
        for namespace in tenant.spec.namespaces:
            found.setdefault(namespace, tenant)
    return found


def _age(tenant: GpuTenant) -> tuple[int, str]:
    return (tenant.metadata.creation_timestamp or 0, tenant.metadata.uid)


def _refuse(claim: GpuClaim, reason: PendingReason, message: str) -> Refuse:
    return Refuse(ClaimUID(claim.metadata.uid), reason, message)


def _misconfigured(claim: GpuClaim, message: str) -> Refuse:
    return _refuse(claim, PendingReason.MISCONFIGURED, message)
