"""Alerts and recording rules as they stand in the chart, and promtool's tests of them, made from tables."""

import re
from typing import Any, NamedTuple

import yaml

from tests.harness.helm import CHART

RULES = CHART / "rules"
STEP = 5
"""Minutes from one sample to the next."""
LENGTH = 40
"""Samples of a test; looked at after three hours."""
AT = "3h"
AT_SECONDS = 3 * 3_600

Rule = dict[str, Any]
Series = dict[str, str]
"""series -> values, in promtool's notation; of what isn't there, nothing"""


class Case(NamedTuple):
    """What makes one alert fire: series that are otherwise than in health, and what the alert says then."""

    series: Series
    labels: dict[str, str]
    value: str = ""
    """As the alert's texts write it."""


def rules(name: str) -> list[Rule]:
    """Return all rules of a file of the chart."""
    groups = yaml.safe_load((RULES / name).read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def alerts() -> dict[str, Rule]:
    """Return name -> alert."""
    return {rule["alert"]: rule for rule in rules("alerts.yaml")}


def always(value: float) -> str:
    """Return a series that doesn't change."""
    return f"{value:g}x{LENGTH}"


def rising(per_minute: float) -> str:
    """Return a counter."""
    return f"0+{STEP * per_minute:g}x{LENGTH}"


def promtool_test(name: str, series: Series, firing: dict[str, Case]) -> dict[str, Any]:
    """Return one of promtool's tests: of all alerts only those in `firing` are there, with exactly these words."""
    return {
        "name": name,
        "interval": f"{STEP}m",
        "input_series": [{"series": k, "values": v} for k, v in series.items() if v],
        "alert_rule_test": [
            {
                "eval_time": AT,
                "alertname": alert,
                "exp_alerts": [_expected(rule, firing[alert])] if alert in firing else [],
            }
            for alert, rule in alerts().items()
        ],
    }


def _expected(rule: Rule, case: Case) -> dict[str, Any]:
    return {
        "exp_labels": {**rule["labels"], **case.labels},
        "exp_annotations": {k: _written(v, case) for k, v in rule["annotations"].items()},
    }


def _written(text: str, case: Case) -> str:
    text = re.sub(r"\{\{ \$labels\.(\w+) \}\}", lambda m: case.labels[m[1]], text)
    return re.sub(r"\{\{ \$value[^}]*\}\}", case.value, text)
