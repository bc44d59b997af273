"""The generated reference pages are what the code says now, and say it as people read it."""

import pytest

from sublet.api.kinds import ALL_KINDS
from sublet.api.models import MODELS
from sublet.settings import Settings
from tests.planes.binaries import ROOT
from tools.docsgen.__main__ import pages
from tools.docsgen.alerts import alerts_page
from tools.docsgen.tables import table

PAGES = pages()


@pytest.mark.parametrize("path", PAGES)
def test_a_generated_page_is_up_to_date(path: str):
    assert (ROOT / path).read_text() == PAGES[path], "run `make generate`"


def test_every_setting_has_a_row_with_its_default():
    rows = {x.split("`")[1]: x for x in PAGES["docs/settings.md"].splitlines() if x[:3] == "| `"}

    assert list(rows) == [f"SUBLET_{name.upper()}" for name in Settings.model_fields]
    assert "| `21600` | whole number from 600 to 86,400 |" in rows["SUBLET_TOKEN_LIFE_SECONDS"]
    assert "| empty |" in rows["SUBLET_EVENTS_URL"]


@pytest.mark.parametrize("kind", ALL_KINDS, ids=lambda k: k.name)
def test_every_field_of_a_kind_has_a_row_with_its_meaning(kind):
    page = PAGES["docs/reference/api.md"]
    section = page.split(f"\n## {kind.name}\n")[1].split("\n## ")[0]

    for name in MODELS[kind.name].model_fields["spec"].annotation.model_fields.values():
        assert f"`spec.{name.alias}`" in section
    assert "|  |" not in section  # no field without a word about it


def test_bounds_defaults_and_rules_are_said():
    page = PAGES["docs/reference/api.md"]

    assert "| `spec.gpus` | integer 1 to 1,000,000, required |" in page
    assert "`Node` or `NVLinkDomain` or `Cluster` or `Any`; `Any` by default" in page
    assert "- give exactly one of kubeconfigSecretRef and inCluster\n" in page


def test_an_alert_is_a_row_with_its_severity_and_its_runbook(tmp_path):
    (tmp_path / "a.yaml").write_text("""
groups:
- name: g
  rules:
  - alert: LeaseSilent
    expr: up == 0
    for: 5m
    labels: {severity: critical}
    annotations: {summary: "{{ $labels.lease }} is silent.", runbook_url: docs/runbooks.md#silent}
""")

    row = "| `LeaseSilent` | critical | 5m | LEASE is silent. ([runbook](../runbooks.md#silent)) |"
    assert row in alerts_page(tmp_path)


def test_a_cell_is_one_line_whatever_is_in_it():
    assert table(("a", "b"), [("x|y", "two\nlines")]) == "| a | b |\n|---|---|\n| x\\|y | two lines |\n"  # fmt: skip
