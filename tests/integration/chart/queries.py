"""What alerts, recording rules and dashboards ask of Prometheus, and what the operator exports."""

import json
import re
from collections.abc import Iterator
from typing import Any

from tests.harness.helm import CHART
from tests.integration.chart.rules import alerts, rules
from tests.planes.binaries import ROOT

SAID = re.compile(r"^\| `(?P<name>\w+)` \| (?P<type>\w+) \| (?P<labels>[^|]*) \|", re.MULTILINE)
ASKED = re.compile(r"\b(sublet_\w+|node_gpu_\w+)(?:\{([^}]*)\})?")
GRAFANAS = {"$__rate_interval": "5m", "$lease": ".*", "$tenant": ".*"}
DASHBOARDS = ("book", "leases", "tenants", "operator")


def series() -> dict[str, set[str]]:
    """Return every series that the operator exports, with its labels; docs/metrics.md is held to the code by another test."""
    found: dict[str, set[str]] = {}
    for row in SAID.finditer((ROOT / "docs" / "metrics.md").read_text()):
        labels = {x.strip() for x in row["labels"].split(",") if x.strip()}
        if row["type"] == "histogram":
            found |= {f"{row['name']}_{part}": labels for part in ("bucket", "sum", "count")}
        else:
            found[row["name"]] = labels
    return found


def panels(name: str) -> list[dict[str, Any]]:
    """Return the panels of a dashboard, without the headings."""
    made = json.loads((CHART / "dashboards" / f"{name}.json").read_text())
    return [x for x in made["panels"] if x["type"] != "row"]


def queries(name: str) -> Iterator[tuple[str, str]]:
    """Yield (panel, query) of a dashboard, with values for Grafana's variables."""
    for panel in panels(name):
        for target in panel["targets"]:
            expr = target["expr"]
            for variable, value in GRAFANAS.items():
                expr = expr.replace(variable, value)
            assert "$" not in expr, panel["title"]
            yield panel["title"], expr


def everything() -> dict[str, str]:
    """Return what -> query, of alerts, recording rules and dashboards."""
    found = {name: rule["expr"] for name, rule in alerts().items()}
    found |= {rule["record"]: rule["expr"] for rule in rules("recording.yaml")}
    for name in DASHBOARDS:
        found |= {f"{name}: {title} {n}": expr for n, (title, expr) in enumerate(queries(name))}
    return found
