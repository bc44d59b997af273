"""The book: what is bought, what is sold, who waits, and what it earns."""

from tools.dashboards.grafana import Json, Query, Row, bars, dashboard, graph, signed, stat


def gpus(name: str) -> str:
    """Return a gauge of leases, added up over them."""
    return f"sum(max by (lease) (sublet_lease_{name}_gpus))"


def money(side: str) -> str:
    """Return revenue or cost of an hour, in each currency."""
    return f"sum by (currency) (max by (lease, currency) (sublet_lease_{side}_per_hour))"


WAITING = "max by (class, reason) (sublet_pending_claims)"


def book() -> Json:
    """Return the dashboard."""
    now = Row(
        "Now",
        (
            stat("Committed GPUs", gpus("committed"), text="What contracts commit now."),
            stat("Held by claims", gpus("used"), text="Reserved, bound or being taken back."),
            stat("Unsold", gpus("unsold"), text="Committed, and held by nobody."),
            stat("Free", gpus("free"), text="GPUs that can be sold now."),
            stat("Beyond commitment", gpus("uncovered"), text="Held by claims, and not committed."),
            stat("Claims that wait", f"sum({WAITING}) or vector(0)"),
        ),
    )
    time = Row(
        "Supply and demand",
        (
            graph(
                "GPUs over time",
                Query(gpus("committed"), "committed"),
                Query(gpus("used"), "held by claims"),
                Query(gpus("bound"), "bound"),
                Query(gpus("free"), "free"),
                Query(gpus("option"), "options could add"),
                width=24,
            ),
            graph("Held by claims, by lease", Query("max by (lease) (sublet_lease_used_gpus)", "{{lease}}"), stacked=True),
            graph("Unsold, by lease", Query("max by (lease) (sublet_lease_unsold_gpus)", "{{lease}}"), stacked=True),
        ),
    )  # fmt: skip
    claims = Row(
        "Claims",
        (
            graph("Why claims wait", Query(f"sum by (reason) ({WAITING})", "{{reason}}"), stacked=True),
            graph("What they wait for", Query(f"sum by (class) ({WAITING})", "{{class}}"), stacked=True),
            graph(
                "Claims that end",
                Query("count(max by (uid) (sublet_claim_end_timestamp_seconds) - time() < 86400) or vector(0)", "within a day"),
                Query("count(max by (uid) (sublet_claim_end_timestamp_seconds) - time() < 7 * 86400) or vector(0)", "within seven days"),
            ),
            bars(
                "Days until a lease ends",
                "(max by (lease) (sublet_lease_end_timestamp_seconds) - time()) / 86400",
                "{{lease}}",
                unit="d",
            ),
        ),
    )  # fmt: skip
    trade = Row(
        "Money for an hour of now",
        (
            graph(
                "Revenue and cost",
                Query(money("revenue"), "revenue {{currency}}"),
                Query(money("cost"), "cost {{currency}}"),
                text="Each currency for itself; the ledger is the bill.",
            ),
            signed(graph("Margin", Query(f"{money('revenue')} - {money('cost')}", "{{currency}}"))),
        ),
    )
    text = "One book over the GPU-hours that are bought and those that are sold."
    return dashboard("book", "Book", text, [now, time, claims, trade])
