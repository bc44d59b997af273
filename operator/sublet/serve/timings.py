"""What the operator notes of its own work as it goes: durations, exports, what waits to be sent.

Written by the loop, the binder, the outbox, the export's schedule and the keeper of statements; begins anew with each process.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from sublet.api.times import MS_PER_SECOND, Millis


class Timings:
    """Durations of steps and passes, and what else isn't read from memory or ledger; implements `sublet.binder.ports.Steps`."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._steps = Histogram(
            "sublet_bind_step_duration_seconds",
            "Duration of each step of a bind.",
            ["step"],
            registry=self.registry,
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
        )
        self._plans = Histogram(
            "sublet_plan_duration_seconds",
            "Duration of a planning pass.",
            registry=self.registry,
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
        )
        self._rates = Gauge(
            "sublet_rates_refused",
            "1 while the file of exchange rates can't be taken over; the table before it holds.",
            registry=self.registry,
        )
        self._dropped = Gauge(
            "sublet_status_fields_dropped",
            "Fields of claims' status that the hub's CRDs, older than the operator, don't keep.",
            registry=self.registry,
        )
        self._unexported: Gauge | None = None
        """Only where there is a sink, and only on the replica that sends."""
        self._failing: Gauge | None = None
        """Only where there is a schedule, and only on the replica that exports."""
        self._statements: Gauge | None = None
        """Only on the replica that writes them."""
        self._exported = Gauge(
            "sublet_export_last_success_timestamp_seconds",
            "When an export was last written whole.",
            ["format"],
            registry=self.registry,
        )
        self._rows = Counter(
            "sublet_export_rows",
            "Rows that were exported, of open and of closed periods.",
            ["format", "period_state"],
            registry=self.registry,
        )

    def rates_refused(self, is_refused: bool) -> None:
        """Record whether the file of exchange rates holds."""
        self._rates.set(is_refused)

    def fields_dropped(self, count: int) -> None:
        """Record how many fields of claims' status the hub doesn't keep."""
        self._dropped.set(count)

    def unexported(self, count: int) -> None:
        """Record how many lines of the ledger and notices weren't sent as events yet."""
        if self._unexported is None:
            self._unexported = Gauge(
                "sublet_ledger_unexported_entries",
                "Lines of the ledger and notices that weren't sent to the sink of events yet.",
                registry=self.registry,
            )
        self._unexported.set(count)

    def exported(self, format_: str, rows: int, at_ms: Millis, *, is_closed: bool) -> None:
        """Record an export that was written whole: of which format, how many rows, of a closed period or an open one."""
        self._exported.labels(format_).set(at_ms / MS_PER_SECOND)
        self._rows.labels(format_, "closed" if is_closed else "open").inc(rows)

    def export_failing(self, is_failing: bool) -> None:
        """Record whether an export that is due can't be made."""
        if self._failing is None:
            self._failing = Gauge(
                "sublet_export_failing",
                "1 while an export that is due can't be made; it is tried again.",
                registry=self.registry,
            )
        self._failing.set(is_failing)

    def statements_failing(self, is_failing: bool) -> None:
        """Record whether a billing period that is due isn't closed, or a statement isn't as the ledger says."""
        if self._statements is None:
            self._statements = Gauge(
                "sublet_statements_failing",
                "1 while a period that is due can't be closed or a statement can't be written; it is tried again.",
                registry=self.registry,
            )
        self._statements.set(is_failing)

    def took(self, step: str, seconds: float) -> None:
        """Record one step."""
        self._steps.labels(step).observe(seconds)

    def planned(self, seconds: float) -> None:
        """Record one pass."""
        self._plans.observe(seconds)
