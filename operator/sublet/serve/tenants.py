"""Counters of tenants from the ledger: billed GPU time, gross charges, and what people gave back or charged beside.

Gross charges are at list price, before discounts, rounding and credits; the bill is `sublet.rating`'s. A series of which a part
isn't known yet is absent.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal

from prometheus_client.core import Metric

from sublet.api.ids import TenantUID
from sublet.api.times import MS_PER_SECOND, Millis
from sublet.serve.families import Labels, Row, counter
from sublet.serve.look import Look
from sublet.serve.names import Names, earliest

_MONEY = ["tenant", "currency"]


def tenant_families(look: Look, names: Names) -> Iterator[Metric]:
    """Yield the counters of all tenants."""
    time: dict[Labels, int | None] = {}
    since: dict[Labels, Millis] = {}
    for (tenant, lease), quantity in look.bound.items():
        labels = (names.tenant(tenant), names.lease(lease), names.product(lease))
        known = time.get(labels, 0)
        time[labels] = None if known is None or quantity is None else known + quantity
        earliest(since, labels, look.since.get(("bound", tenant, lease)))
    yield counter(
        "sublet_tenant_billable_gpu_seconds",
        "Billable GPU-seconds of a tenant, from the ledger.",
        ["tenant", "lease", "gpu_product"],
        [(k, v / MS_PER_SECOND) for k, v in time.items() if v is not None],
        since,
    )
    begun: dict[Labels, Millis] = {}
    for tenant, currency in look.charges:
        earliest(begun, (names.tenant(tenant), currency), look.since.get(("tenant", tenant)))
    text = "Gross charges of a tenant at list price, from the ledger, in units of the currency."
    yield counter("sublet_tenant_charges", text, _MONEY, _money(look.charges, names), begun)
    text = "What people credited a tenant with, from the ledger, in units of the currency."
    yield counter("sublet_tenant_credits", text, _MONEY, _money(look.credits, names))
    text = "What people charged a tenant beside, from the ledger, in units of the currency."
    yield counter("sublet_tenant_corrections", text, _MONEY, _money(look.corrections, names))


def _money(
    amounts: Mapping[tuple[TenantUID, str], Decimal]
    | Mapping[tuple[TenantUID, str], Decimal | None],
    names: Names,
) -> list[Row]:
    """Return amounts by name; none of which a part isn't known."""
    found: dict[Labels, Decimal | None] = {}
    for (tenant, currency), amount in amounts.items():
        labels = (names.tenant(tenant), currency)
        known = found.get(labels, Decimal(0))
        found[labels] = None if known is None or amount is None else known + amount
    return [(k, float(v)) for k, v in found.items() if v is not None]
