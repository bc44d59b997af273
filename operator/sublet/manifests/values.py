"""The schema of the chart's values: hand-written in values-schema.yaml, its `settings` made of the operator's own settings.

So a setting that the operator learns is one that the chart takes, with the same bounds, and a misspelt one is refused by Helm before
anything is installed. What the chart itself sets can't be set a second time; the schema says where it is set.
"""

import json
from importlib.resources import files
from typing import Any, Final

import yaml

from sublet.crdgen.docstrings import field_docstrings
from sublet.settings import PLACE_OF_FILES, PLACE_WANTED, PREFIX, Settings

Schema = dict[str, Any]

_ADMIN_PORT: Final = Settings.model_fields["admin_port"].default
ELSEWHERE: Final = {
    "namespace": "set by the chart: it is the release's namespace",
    "identity": "set by the chart: it is the pod's name",
    "database_url": "say ledger.store, and for PostgreSQL ledger.databaseUrlSecret",
    "rates_file": "give the table itself in rates",
    "events_token_file": "name the Secret in events.tokenSecret",
    "admin_port": f"always {_ADMIN_PORT} in the pod: port-forwards of the command line lead there",
}
"""Settings that have values of their own -> which."""
_BOUNDS: Final = {  # bound -> what is beyond it, and how it is said
    "exclusiveMinimum": ("le", "above"),
    "minimum": ("lt", "at least"),
    "maximum": ("gt", "at most"),
}
_CHECK: Final = (
    '{{- with .NAME }}{{ if or BEYOND }}{{ fail "settings.NAME must be SAID" }}{{ end }}{{ end }}\n'
)
_NARROWER: Final[dict[str, Schema]] = {
    "listen_host": {
        "anyOf": [
            {"not": {"pattern": r"^(127\.|localhost$|::1$)"}},
            {"const": "leave it out, or give :: for IPv6; probes come from outside the pod"},
        ],
    },
    "export_target": {"anyOf": [{"pattern": PLACE_OF_FILES}, {"const": PLACE_WANTED}]},
    # a free one would be found by no probe; what no number is says what to do
    "listen_port": {
        "minimum": 1,
        "anyOf": [
            {"maximum": _ADMIN_PORT - 1},
            {"minimum": _ADMIN_PORT + 1},
            {"const": f"{_ADMIN_PORT} is taken by the admin endpoint; choose another"},
        ],
    },
}


def values_schema() -> str:
    """Return values.schema.json."""
    schema: Schema = yaml.safe_load(
        files("sublet.manifests").joinpath("values-schema.yaml").read_text()
    )
    texts = field_docstrings(Settings)
    schema["properties"]["settings"] |= {
        "additionalProperties": False,
        "properties": {
            f"{PREFIX}{name.upper()}": _setting(name, {"description": texts[name]} | each)
            for name, each in Settings.model_json_schema()["properties"].items()
        },
    }
    return json.dumps(schema, indent=2) + "\n"


def bounds() -> str:
    """Return the template that holds fractions to their settings' bounds: `--set` gives them as texts, which no schema compares."""
    checks = []
    for name, made in Settings.model_json_schema()["properties"].items():
        if made.get("type") == "number":
            held = [(*_BOUNDS[key], limit) for key, limit in made.items() if key in _BOUNDS]
            beyond = " ".join(f"({test} (float64 .) {float(limit)})" for test, _, limit in held)
            said = " and ".join(f"{words} {limit:g}" for _, words, limit in held)
            check = _CHECK.replace("NAME", f"{PREFIX}{name.upper()}")
            checks.append(check.replace("BEYOND", beyond).replace("SAID", said))
    return '{{- define "sublet.bounds" }}\n' + "".join(checks) + "{{- end }}\n"


def _setting(name: str, made: Schema) -> Schema:
    if name in ELSEWHERE:
        return {"const": ELSEWHERE[name]}
    kept = {k: v for k, v in made.items() if k not in ("title", "default", "anyOf")}
    if "anyOf" in made:  # a text, or none
        kept |= next(x for x in made["anyOf"] if x["type"] != "null")
    if kept["type"] == "number":  # `--set` gives a decimal fraction as text
        kept |= {"type": ["number", "string"], "pattern": r"^[0-9]+(\.[0-9]+)?$"}
    return kept | _NARROWER.get(name, {})
