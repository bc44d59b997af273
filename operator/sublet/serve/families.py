"""Metric families from rows: the one place that knows how prometheus_client takes them."""

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import TypeVar, cast

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from sublet.api.times import MS_PER_SECOND

N = TypeVar("N", int, Decimal)
Labels = tuple[str, ...]
"""Values of the labels."""
Row = tuple[Labels, float]
"""(values of the labels, value)"""


def gauge(name: str, text: str, labels: list[str], rows: Iterable[Row]) -> GaugeMetricFamily:
    """Return a gauge with one sample a row."""
    family = GaugeMetricFamily(name, text, labels=labels)
    for values, value in rows:
        family.add_metric(values, value)
    return family


def counter(
    name: str,
    text: str,
    labels: list[str],
    rows: Iterable[Row],
    since: Mapping[Labels, int] | None = None,
) -> CounterMetricFamily:
    """Return a counter with one sample a row; `since`: values of the labels -> when it began to count, in milliseconds."""
    family = CounterMetricFamily(name, text, labels=labels)
    begins = since or {}
    for values, value in rows:
        begin = begins.get(values)
        family.add_metric(values, value, created=None if begin is None else begin / MS_PER_SECOND)
    return family


class Ratchet:
    """Keeps counters from falling: what was shown stands until the ledger has caught up with it.

    A line may come in late and end in the past what was counted until now. A counter that falls would be taken for one that
    began anew, and all of it be counted a second time.
    """

    def __init__(self) -> None:
        self._shown: dict[Labels, int | Decimal] = {}  # counter -> what it showed last

    def hold(self, key: Labels, value: N) -> N:
        """Return what a counter shows now."""
        held = self._shown.get(key)
        if held is not None and held > value:
            return cast("N", held)
        self._shown[key] = value
        return value

    def forget(self, is_gone: Callable[[Labels], bool]) -> None:
        """Forget counters that aren't shown any more."""
        for key in [k for k in self._shown if is_gone(k)]:
            del self._shown[key]
