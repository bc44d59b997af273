"""Tenants with budgets, and what the ledger says that they spent. Eight GPUs cost 8 USD an hour here."""

from decimal import Decimal
from typing import Any

from sublet.api.gputenant import GpuTenant
from sublet.api.ids import TenantUID
from sublet.api.periods import period_start
from sublet.api.times import MS_PER_HOUR, Millis, parse_instant
from sublet.book.account import Account, Metered
from tests.builders.api import NOW, as_class, as_tenant, gpu_class, tenant

DECEMBER = parse_instant("2026-12-01T00:00:00Z")
"""When the month after NOW begins: 206 hours later."""
CLASSES = (
    as_class(gpu_class(price="1")),
    as_class(gpu_class("spot", price="1", guarantee="Preemptible", noticeSeconds=600)),
    as_class(gpu_class("now", price="1", guarantee="Preemptible")),
    as_class(gpu_class("euro", price="1", currency="EUR")),
    as_class(gpu_class("free", price="0")),
)


def payer(amount: str = "100", *, at_limit: str = "Hold", **fields: Any) -> GpuTenant:
    """Return the tenant acme with a budget."""
    budget = {"amount": amount, "currency": "USD", "period": "Month", "atLimit": at_limit}
    return as_tenant(tenant(budget=budget | fields))


def account(
    hours: float = 0, *, as_of_ms: Millis = NOW, of: GpuTenant | None = None
) -> dict[TenantUID, Account]:
    """Return the account of a tenant that was billed for so many GPU-hours at 1 USD in the present period."""
    each = of or payer()
    assert each.spec.budget is not None
    since = period_start(each.spec.budget.period, as_of_ms)
    metered = Metered(Decimal(1), "USD", int(hours * MS_PER_HOUR))
    return {TenantUID(each.metadata.uid): Account(since, as_of_ms, (metered,) if hours else ())}
