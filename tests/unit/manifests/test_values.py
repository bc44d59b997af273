"""The chart's values against the operator's settings, and the README's table against the values."""

import json
from typing import Any

import pytest

from sublet.cli.admin import ADMIN_PORT
from sublet.manifests.chart import write_chart
from sublet.manifests.readme import values_of, with_tables
from sublet.manifests.values import ELSEWHERE
from sublet.settings import PREFIX, Settings
from tests.planes.binaries import ROOT

CHART = ROOT / "charts" / "sublet"


def schema() -> dict[str, Any]:
    """Return the schema of the values as Helm reads it."""
    found: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())
    return found


@pytest.mark.parametrize("name", Settings.model_fields)
def test_the_chart_takes_every_setting_or_says_where_it_is_set(name: str):
    setting = schema()["properties"]["settings"]["properties"][f"{PREFIX}{name.upper()}"]

    assert setting == {"const": ELSEWHERE[name]} if name in ELSEWHERE else "type" in setting


def test_the_chart_takes_no_setting_that_isnt_there():
    settings = schema()["properties"]["settings"]

    assert settings["additionalProperties"] is False
    assert len(settings["properties"]) == len(Settings.model_fields)
    assert ELSEWHERE.keys() <= Settings.model_fields.keys()


def test_the_port_that_the_chart_keeps_free_is_the_one_that_the_command_line_forwards_to():
    assert Settings.model_fields["admin_port"].default == ADMIN_PORT
    assert str(ADMIN_PORT) in ELSEWHERE["admin_port"]


def test_what_is_generated_of_the_chart_is_as_it_was_generated(tmp_path):
    for name in ("README.md", "values.yaml"):
        (tmp_path / name).write_text((CHART / name).read_text())

    made = [path.relative_to(tmp_path) for path in write_chart(ROOT / "crds", tmp_path)]

    assert [p for p in made if (tmp_path / p).read_text() != (CHART / p).read_text()] == []
    assert [p for p in (CHART / "templates/generated").iterdir() if p.relative_to(CHART) not in made] == []  # fmt: skip


def test_every_value_is_in_the_schema_and_in_the_table():
    def known(within: dict[str, Any], path: str) -> set[str]:
        below = within.get("properties", {})
        return {path}.union(*(known(v, f"{path}.{k}".strip(".")) for k, v in below.items()))

    values = list(values_of((CHART / "values.yaml").read_text()))
    page = (CHART / "README.md").read_text()

    assert {v.path for v in values} - known(schema(), "") <= {
        "resources.requests",
        "resources.limits",
    }
    assert [v.path for v in values if f"| `{v.path}` |" not in page] == []


def test_a_page_without_a_place_for_the_table_is_refused():
    with pytest.raises(ValueError, match="has no place for the table"):
        with_tables("# A chart\n", "a: 1\n")


def test_a_table_has_the_comment_above_a_value_and_its_default():
    page = "# A chart\n<!-- values: made of values.yaml by `make generate` -->\n<!-- the end of values -->\nMore.\n"
    values = "# not of a value\n\na:\n  # How many,\n  # at most.\n  b: 3\n  c: [x]\nd:\n- e: 1\n"

    made = with_tables(page, values)

    assert '| `a.b` | `3` | How many, at most. |\n| `a.c` | `["x"]` |  |\n| `d` | `[{"e": 1}]` |  |\n' in made  # fmt: skip
    assert made.endswith("<!-- the end of values -->\nMore.\n")
    assert with_tables(made, values) == made
