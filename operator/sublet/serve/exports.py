"""Metrics of the operator's own exports; implements `sublet.export.schedule.schedule.Told`. Absent until something was exported or failed."""

from prometheus_client import CollectorRegistry, Counter, Gauge

from sublet.api.times import MS_PER_SECOND, Millis

_LABELS = ["format", "period_state"]


class ExportMetrics:
    """What was exported, and whether it goes on."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._last = Gauge(
            "sublet_export_last_success_timestamp_seconds",
            "When rows of open or closed billing periods were exported last.",
            _LABELS,
            registry=registry,
        )
        self._rows = Counter(
            "sublet_export_rows",
            "Rows of Cost and Usage that were exported.",
            _LABELS,
            registry=registry,
        )
        self._registry = registry
        self._failing: Gauge | None = None

    def exported(self, ok_ms: Millis, rows: int, format_: str, state: str) -> None:
        """Take note of rows of open or closed periods that were written in one format, and when."""
        self._last.labels(format_, state).set(ok_ms / MS_PER_SECOND)
        self._rows.labels(format_, state).inc(rows)

    def failing(self, is_failing: bool) -> None:
        """Take note of whether anything that should be there isn't."""
        if self._failing is None:
            self._failing = Gauge(
                "sublet_export_failing",
                "1 while an export that is due can't be made; it is tried again.",
                registry=self._registry,
            )
        self._failing.set(is_failing)
