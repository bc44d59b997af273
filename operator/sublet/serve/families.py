"""Metric families from rows: the one place that knows how prometheus_client takes them."""

from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

Row = tuple[tuple[str, ...], float]
"""(values of the labels, value)"""


def gauge(name: str, text: str, labels: list[str], rows: Iterable[Row]) -> GaugeMetricFamily:
    """Return a gauge with one sample a row."""
    family = GaugeMetricFamily(name, text, labels=labels)
    for values, value in rows:
        family.add_metric(values, value)
    return family


def counter(name: str, text: str, labels: list[str], rows: Iterable[Row]) -> CounterMetricFamily:
    """Return a counter with one sample a row."""
    family = CounterMetricFamily(name, text, labels=labels)
    for values, value in rows:
        family.add_metric(values, value)
    return family
