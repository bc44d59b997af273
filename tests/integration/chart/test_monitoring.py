"""Alerts, recording rules and dashboards: what they ask is there, they parse, and the chart carries them as they are."""

import json
import re
from pathlib import Path

import pytest
import yaml

from tests.harness.helm import CHART, rendered
from tests.harness.prometheus import promtool
from tests.integration.chart.combinations import MONITORED
from tests.integration.chart.queries import ASKED, DASHBOARDS, everything, panels, series
from tests.integration.chart.rules import alerts, rules
from tools.dashboards.__main__ import dashboards, written


def test_every_metric_and_label_that_is_asked_for_is_there():
    known = series()
    recorded = {rule["record"].split(":")[1] for rule in rules("recording.yaml")}

    unknown = []
    for what, expr in everything().items():
        for name, selector in ASKED.findall(expr):
            if name in recorded:
                continue
            labels = set(re.findall(r"(\w+)\s*(?:=|!=|=~|!~)\s*\"", selector))
            if name not in known or not labels <= known[name]:
                unknown.append(f"{what}: {name}{sorted(labels)}")
    assert unknown == []


def test_every_query_parses(tmp_path: Path):
    wrapped = [{"record": f"q{n}", "expr": expr} for n, expr in enumerate(everything().values())]
    path = tmp_path / "queries.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": wrapped}]}))

    assert f"{len(wrapped)} rules found" in promtool("check", "rules", path)


def test_the_chart_carries_rules_as_they_are_and_links_its_own_runbooks(tmp_path: Path):
    (rule,) = (x for x in rendered(*MONITORED) if x["kind"] == "PrometheusRule")
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump(rule["spec"]))

    assert "SUCCESS" in promtool("check", "rules", path)
    carried = [r for group in rule["spec"]["groups"] for r in group["rules"]]
    assert carried == [*rules("recording.yaml"), *alerts().values()]


def test_an_alert_can_be_left_out_and_runbooks_be_elsewhere():
    chosen = (
        "monitoring.rules.disabled[0]=SubletDown",
        "monitoring.rules.runbookUrl=https://wiki.example.org/sublet",
    )
    (rule,) = (x for x in rendered(*MONITORED, *chosen) if x["kind"] == "PrometheusRule")

    carried = {r["alert"]: r for g in rule["spec"]["groups"] for r in g["rules"] if "alert" in r}
    assert carried.keys() == alerts().keys() - {"SubletDown"}
    assert carried["SubletOrphans"]["annotations"]["runbook_url"] == (
        "https://wiki.example.org/sublet#subletorphans"
    )


def test_dashboards_are_written_from_their_description():
    made = {name: written(board) for name, board in dashboards().items()}

    assert {p.stem: p.read_text() for p in (CHART / "dashboards").glob("*")} == made


@pytest.mark.parametrize("name", DASHBOARDS)
def test_a_dashboard_asks_the_chosen_prometheus_and_its_panels_dont_overlap(name: str):
    board = dashboards()[name]

    assert board["templating"]["list"][0]["type"] == "datasource"
    assert {p["datasource"]["uid"] for p in panels(name)} == {"${datasource}"}
    assert len({p["id"] for p in board["panels"]}) == len(board["panels"])
    taken = [
        (x, y)
        for place in (p["gridPos"] for p in board["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(taken)) == len(taken)
    assert max(x for x, _ in taken) < 24


def test_the_chart_carries_each_dashboard_as_it_is():
    maps = [x for x in rendered(*MONITORED) if x["metadata"]["name"].startswith("sublet-dashboard")]

    carried = {name: json.loads(text) for found in maps for name, text in found["data"].items()}
    assert carried == {f"{name}.json": board for name, board in dashboards().items()}
    assert all(x["metadata"]["labels"]["grafana_dashboard"] == "1" for x in maps)
