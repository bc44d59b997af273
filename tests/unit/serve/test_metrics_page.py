"""docs/metrics.md names every series, with its type and labels, and none that isn't there."""

import re
from collections.abc import Iterator
from typing import Any

from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from sublet.api.ids import ClaimUID
from sublet.api.times import Millis
from sublet.serve.claims import ClaimSeries
from sublet.serve.coverage import coverage_families
from sublet.serve.look import ClaimLook, Look
from sublet.serve.metrics import Snapshot
from sublet.serve.timings import Timings
from tests.builders.api import NOW, as_lease, lease
from tests.builders.ledgered import Memory
from tests.builders.sales import sold
from tests.planes.binaries import ROOT

ROW = re.compile(r"^\| `(?P<name>\w+)` \| (?P<type>\w+) \| (?P<labels>[^|]*) \|", re.MULTILINE)
OF_HISTOGRAMS = {"le"}


def test_the_page_and_the_code_agree():
    page = (ROOT / "docs/metrics.md").read_text()

    said = {m["name"]: (m["type"], _split(m["labels"])) for m in ROW.finditer(page)}

    assert said == {_name(f): (f.type, _labels(f)) for f in _families()}


def _families() -> Iterator[Metric]:
    none: Any = {}
    one: Any = {ClaimUID("u"): ClaimLook("acme", "gone", Millis(NOW), 1, {"NodeGone": 1})}
    look = Look(none, none, none, none, none, one, none, none, None)
    west = as_lease(lease("west"))
    memory: Any = Memory(claims=[sold("a", west, 8, until_ms=Millis(NOW + 1))], leases=[west])
    coverage = list(coverage_families(memory, NOW))
    yield from Snapshot(memory, NOW, look, coverage, opencost=True).collect()
    text = ClaimSeries(retention_seconds=60).write(memory, look, NOW, openmetrics=False)
    yield from text_string_to_metric_families(text.decode())
    timings = Timings()
    timings.took("lock", 1)
    timings.planned(1)
    timings.exported("parquet", 1, NOW, is_closed=True)
    timings.export_failing(False)
    timings.statements_failing(False)
    timings.unexported(1)
    yield from timings.registry.collect()


def _name(family: Metric) -> str:
    return family.name + ("_total" if family.type == "counter" else "")


def _labels(family: Metric) -> tuple[str, ...]:
    found: dict[str, None] = dict.fromkeys(getattr(family, "_labelnames", ()))
    for sample in family.samples:
        found |= dict.fromkeys(k for k in sample.labels if k not in OF_HISTOGRAMS)
    return tuple(found)


def _split(labels: str) -> tuple[str, ...]:
    return tuple(x.strip() for x in labels.split(",") if x.strip())
