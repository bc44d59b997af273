"""The operator about itself: who leads, how fast it is, whether ledger, exports and statements keep up."""

from tools.dashboards.grafana import Json, Query, Row, dashboard, flag, graph, signed, stat


def quantile(share: float, name: str, by: str = "") -> str:
    """Return a quantile of a histogram, of all replicas together."""
    labels = f"le, {by}" if by else "le"
    rates = f"sum by ({labels}) (rate({name}_bucket[$__rate_interval]))"
    return f"histogram_quantile({share}, {rates})"


PLAN = "sublet_plan_duration_seconds"
STEP = "sublet_bind_step_duration_seconds"


def operator() -> Json:
    """Return the dashboard."""
    state = Row(
        "State",
        (
            stat("Replicas", "count(sublet_build_info)"),
            flag("Leader", "1 - max(sublet_leader)", "leads", "nobody"),
            flag("Ledger", "max(sublet_ledger_conflict)", "in order", "conflict", text="Empty while it can't be read."),
            flag("Statements", "max(sublet_statements_failing)", "in order", "failing"),
            flag("Exports", "max(sublet_export_failing)", "in order", "failing", text="Empty without a schedule."),
            flag("Exchange rates", "max(sublet_rates_refused)", "in order", "refused"),
        ),
    )  # fmt: skip
    speed = Row(
        "Planning and binding",
        (
            graph("A planning pass", Query(quantile(0.5, PLAN), "half"), Query(quantile(0.99, PLAN), "99 of 100"), unit="s"),
            graph("Passes a second", Query(f"sum(rate({PLAN}_count[$__rate_interval]))", "passes"), unit="ops"),
            graph("A step of a bind, 95 of 100", Query(quantile(0.95, STEP, "step"), "{{step}}"), unit="s"),
            graph("Steps a second", Query(f"sum by (step) (rate({STEP}_count[$__rate_interval]))", "{{step}}"), unit="ops"),
        ),
    )  # fmt: skip
    ledger = Row(
        "Ledger and exports",
        (
            graph("Lines a second", Query("max by (kind) (rate(sublet_ledger_entries_total[$__rate_interval]))", "{{kind}}"), stacked=True),
            graph("Age of the latest line", Query("time() - max(sublet_ledger_last_entry_timestamp_seconds)", "age"), unit="s"),
            graph("Events that wait", Query("max(sublet_ledger_unexported_entries)", "lines")),
            graph("Age of the last export", Query("time() - max by (format) (sublet_export_last_success_timestamp_seconds)", "{{format}}"), unit="s"),
        ),
    )  # fmt: skip
    rest = Row(
        "Limits and clocks",
        (
            graph(
                "Claims without series of their own",
                Query("max(sublet_series_suppressed)", "suppressed"),
                Query("max(sublet_claim_series_limit)", "limit"),
            ),
            signed(graph("The hub's clock ahead of each replica's", Query("max by (instance) (sublet_hub_clock_ahead_seconds)", "{{instance}}"), unit="s")),
        ),
    )  # fmt: skip
    text = "The operator's own work."
    return dashboard("operator", "Operator", text, [state, speed, ledger, rest])
