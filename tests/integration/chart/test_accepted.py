"""What the chart renders, in every way that it is installed, is what a real API server takes."""

from collections.abc import Iterator

import pytest

from tests.harness.helm import CHART, NAMESPACE, helm, rendered
from tests.harness.shared import borrow_stack
from tests.harness.stack import Stack
from tests.integration.chart.combinations import COMBINATIONS

pytestmark = [pytest.mark.planes, pytest.mark.timeout(300)]

_OTHERS = ("ServiceMonitor", "PodMonitor", "PrometheusRule")
"""Kinds of the Prometheus operator, which isn't on this hub."""


@pytest.fixture(scope="module")
def hub() -> Iterator[Stack]:
    stack = borrow_stack("chart", leased=())
    spaces = (NAMESPACE, "acme", "monitoring")
    stack.apply("hub", *({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": n}} for n in spaces))  # fmt: skip
    yield stack
    stack.stop()


@pytest.mark.parametrize("values", COMBINATIONS.values(), ids=COMBINATIONS)
def test_every_object_is_accepted_by_a_dry_run(hub: Stack, values: tuple[str, ...]):
    for body in rendered(*values):
        if body["kind"] not in _OTHERS:
            hub.admin("hub").apply(body, fieldManager="helm", dryRun="All")


def test_the_chart_is_linted_strictly():
    assert "0 chart(s) failed" in helm("lint", "--strict", str(CHART))
