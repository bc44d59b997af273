"""Tenants: what they hold, what they spend, and whether they get what they pay for."""

from tools.dashboards.grafana import Json, Query, Row, bars, chosen, dashboard, graph

ONE = '{tenant=~"$tenant"}'
INFO = f"max by (uid, tenant, class) (sublet_claim_info{ONE})"

HELD = f"max by (cluster, workload_namespace, tenant, claim) (sublet_claim_held_gpus{ONE})"
ACTIVE = f"on (cluster, workload_namespace, tenant, claim) claim:sublet_engine_active:avg{ONE}"


def each(name: str) -> str:
    """Return money of tenants in an hour, by currency."""
    return f"3600 * max by (tenant, currency) (rate(sublet_tenant_{name}_total{ONE}[$__rate_interval]))"


def of_claims(expr: str) -> str:
    """Return what is known of claims, added up over each tenant's."""
    return f"sum by (tenant) ({expr} * on (uid) group_left (tenant) max by (uid, tenant) (sublet_claim_info{ONE}))"


def tenants() -> Json:
    """Return the dashboard."""
    use = Row(
        "Use",
        (
            graph(
                "GPUs in use",
                Query(
                    f"sum by (tenant) (max by (tenant, lease, gpu_product) (rate(sublet_tenant_billable_gpu_seconds_total{ONE}[$__rate_interval])))",
                    "{{tenant}}",
                ),
                stacked=True,
                text="From the ledger: what is billed.",
            ),
            graph(
                "GPUs in use, by product",
                Query(
                    f"sum by (gpu_product) (max by (tenant, lease, gpu_product) (rate(sublet_tenant_billable_gpu_seconds_total{ONE}[$__rate_interval])))",
                    "{{gpu_product}}",
                ),
                stacked=True,
            ),
            graph("Claims", Query(f"count by (tenant) ({INFO})", "{{tenant}}"), stacked=True),
            graph("Claims, by class", Query(f"count by (class) ({INFO})", "{{class}}"), stacked=True),
        ),
    )  # fmt: skip
    spend = Row(
        "Money",
        (
            bars(
                "Budget that is spent",
                f"max by (tenant, currency) (sublet_tenant_budget_spent{ONE}) / (max by (tenant, currency) (sublet_tenant_budget_amount{ONE}) > 0)",
                "{{tenant}} {{currency}}",
                unit="percentunit",
                most=1,
            ),
            graph("Charges in an hour", Query(each("charges"), "{{tenant}} {{currency}}"), text="Gross, at list price; the ledger is the bill."),
            graph("Credits in an hour", Query(each("credits"), "{{tenant}} {{currency}}")),
            graph("Charged beside, in an hour", Query(each("corrections"), "{{tenant}} {{currency}}")),
        ),
    )  # fmt: skip
    degraded = 'max by (uid) (sublet_claim_status_condition{condition="Degraded",status="True"})'
    quality = Row(
        "What they get",
        (
            graph("Claims that are Degraded", Query(of_claims(degraded), "{{tenant}}"), stacked=True),
            graph(
                "Claims with GPUs that don't work, by cause",
                Query(
                    "sum by (cause) (max by (uid, cause) (rate(sublet_claim_downtime_seconds_total[$__rate_interval])))",
                    "{{cause}}",
                ),
            ),
            graph(
                "GPUs that are held and idle",
                Query(f"tenant:sublet_idle_gpus:sum{ONE}", "{{tenant}}"),
                text="Needs the recording rules, and dcgm-exporter in the leased clusters (docs/metrics.md).",
            ),
            graph(
                "Use of GPUs, by claim",
                Query(
                    f"sum by (tenant, claim) ({HELD} * {ACTIVE}) / sum by (tenant, claim) ({HELD} and {ACTIVE})",
                    "{{tenant}} {{claim}}",
                ),
                unit="percentunit",
                text="Likewise.",
            ),
        ),
    )  # fmt: skip
    text = "Each tenant: what it holds, what it spends, what it gets."
    which = chosen("tenant", "Tenant", "sublet_tenant_billable_gpu_seconds_total")
    return dashboard("tenants", "Tenants", text, [use, spend, quality], (which,))
