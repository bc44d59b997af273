"""Leases: does the landlord deliver, does the cluster answer, what became of what was paid for."""

from tools.dashboards.grafana import (
    Json,
    Query,
    Row,
    bars,
    chosen,
    dashboard,
    graph,
    history,
    signed,
)

ONE = '{lease=~"$lease"}'
HEALTH = "CredentialsValid|IdentityConfirmed|IsolationReady|RightsComplete"


def of(name: str) -> str:
    """Return a gauge of each chosen lease."""
    return f"max by (lease) (sublet_{name}{ONE})"


def seen(name: str) -> str:
    """Return what the replica that leads sees for itself of each chosen lease."""
    return f"max by (lease) (sublet_cluster_{name}{ONE} and on (instance) sublet_leader == 1)"


def until(name: str) -> str:
    """Return in how many days an instant is."""
    return f"({of(name)} - time()) / 86400"


def rate(name: str) -> str:
    """Return how many GPUs a counter of GPU-seconds stands for at a time."""
    return f"max by (lease) (rate(sublet_lease_{name}_gpu_seconds_total{ONE}[$__rate_interval]))"


def leases() -> Json:
    """Return the dashboard."""
    condition = f'sublet_lease_status_condition{{lease=~"$lease",condition=~"{HEALTH}"'
    health = Row(
        "Health",
        (
            history("The cluster answers", Query(seen("reachable"), "{{lease}}")),
            history(
                "It can be worked on",
                Query(
                    f'max by (lease, condition) ({condition},status="True"}}) or 0 * max by (lease, condition) ({condition},status!="True"}})',
                    "{{lease}} {{condition}}",
                ),
                text="Credential, rights, identity and isolation: without these nothing is sold.",
            ),
            graph("Silence of the node watch", Query(seen("stale_seconds"), "{{lease}}"), unit="s"),
            signed(graph("Clocks ahead of ours", Query(seen("clock_ahead_seconds"), "{{lease}}"), unit="s")),
        ),
    )  # fmt: skip
    states = "max by (lease, state) (rate(sublet_lease_gpu_seconds_total" + ONE + "[1h]))"
    supply = Row(
        "What is paid for",
        (
            graph("GPUs by what became of them", Query(f"sum by (state) ({states})", "{{state}}"), stacked=True,
                  text="used, unused and unavailable add up to the commitment; beyond_commitment is used beside it."),
            graph(
                "Utilisation of the commitment",
                Query(
                    'sum by (lease) (max by (lease, state) (rate(sublet_lease_gpu_seconds_total{lease=~"$lease",state="used"}[1h])))'
                    ' / (sum by (lease) (max by (lease, state) (rate(sublet_lease_gpu_seconds_total{lease=~"$lease",state=~"used|unused|unavailable"}[1h]))) > 0)',
                    "{{lease}}",
                ),
                unit="percentunit",
            ),
            graph("Committed and held", Query(of("lease_committed_gpus"), "{{lease}} committed"), Query(of("lease_used_gpus"), "{{lease}} held")),
            graph("Committed and not there", Query('max by (lease) (rate(sublet_lease_gpu_seconds_total{lease=~"$lease",state="unavailable"}[1h]))', "{{lease}}")),
        ),
    )  # fmt: skip
    lost = Row(
        "What earns nothing",
        (
            graph("GPUs between release and free", Query(rate("releasing"), "{{lease}}")),
            graph("GPUs bound while the cluster was silent", Query(rate("disputed"), "{{lease}}")),
            graph("GPUs bound that didn't work", Query(rate("downtime"), "{{lease}}")),
            graph("Age of the oldest release", Query(f"time() - min by (lease) (sublet_lease_releasing_since_timestamp_seconds{ONE})", "{{lease}}"), unit="s"),
        ),
    )  # fmt: skip
    dates = Row(
        "Dates",
        (
            bars("Days until the lease ends", until("lease_end_timestamp_seconds"), "{{lease}}", unit="d"),
            bars("Days until the credential ends", until("lease_credentials_expiry_timestamp_seconds"), "{{lease}}", unit="d"),
            bars("Days left to claim lost GPU time", until("lease_sla_claim_deadline_timestamp_seconds"), "{{lease}}", unit="d"),
            graph(
                "Revenue and cost of an hour",
                Query('max by (lease, currency) (sublet_lease_revenue_per_hour{lease=~"$lease"})', "{{lease}} revenue {{currency}}"),
                Query('max by (lease, currency) (sublet_lease_cost_per_hour{lease=~"$lease"})', "{{lease}} cost {{currency}}"),
            ),
        ),
    )  # fmt: skip
    text = "Each lease: its landlord's cluster, what it delivers, what it earns."
    which = chosen("lease", "Lease", "sublet_cluster_reachable")
    return dashboard("leases", "Leases", text, [health, supply, lost, dates], (which,))
