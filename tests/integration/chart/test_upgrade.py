"""What an upgrade from an earlier chart may change: nothing that Helm or an API server refuses, and nothing that people had.

Upgrades on a real API server are in test_life.py.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from sublet.api.dated import ONE_PRICE_AT_A_TIME
from sublet.api.networks import NETWORK
from tests.harness.helm import CHART, helm
from tests.integration.chart.earlier import EARLIER

KEPT = {
    "Deployment": ("spec", "selector"),
    "PersistentVolumeClaim": ("spec", "accessModes"),
    "ClusterRoleBinding": ("roleRef",),
    "RoleBinding": ("roleRef",),
}
"""Kind -> what an API server lets nobody change."""
NEVER_PLANNED = {
    "gpuclaims.sublet.dev.spec.schedule.startTime: self >= timestamp('1970-01-01T00:00:00Z') && self < timestamp('9000-01-01T00:00:00Z')"
}
"""What no object that ever meant anything had."""
_ONE_PRICE = ONE_PRICE_AT_A_TIME.rule
HELD_FROM_NOW_ON = {
    f"gpuclasses.sublet.dev.spec.prices: {_ONE_PRICE}",
    f"gpuleases.sublet.dev.spec.prices: {_ONE_PRICE}",
    "gpuleases.sublet.dev.spec.commitment.options: self.all(a, self.exists_one(b, b.startTime == a.startTime))",
    f"gpuleases.sublet.dev.spec.tenantAccess.deniedCIDRs[]: self.matches('{NETWORK}')",
    (
        "gputenants.sublet.dev.spec.discounts: self.all(a, self.exists_one(b, b.effectiveTime == a.effectiveTime && "
        "has(b.className) == has(a.className) && (!has(a.className) || b.className == a.className)))"
    ),
}
"""What an object may have that stands: an API server looks only at what changes (ratcheting, since Kubernetes 1.30)."""
Key = tuple[str, str, str]
Schema = dict[str, Any]


def objects(chart: Path, *options: str) -> dict[Key, dict[str, Any]]:
    """Return what a chart renders, by kind, namespace and name."""
    text = helm("template", "sublet", str(chart), "--namespace", "sublet-system", *options)
    found = (x for x in yaml.safe_load_all(text) if x)
    return {(x["kind"], x["metadata"].get("namespace", ""), x["metadata"]["name"]): x for x in found}  # fmt: skip


def schemas(rendered: dict[Key, dict[str, Any]]) -> dict[str, Schema]:
    """Return the schema of each kind."""
    return {
        name: crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        for (kind, _, name), crd in rendered.items()
        if kind == "CustomResourceDefinition"
    }


def narrowed(before: Schema, now: Schema, path: str) -> Iterator[str]:
    """Yield what an object may no longer be that was one before."""
    if before.get("type") != now.get("type"):
        yield f"{path}: type"
    for name in sorted(set(now.get("required", ())) - set(before.get("required", ()))):
        yield f"{path}.{name}: required"
    for word, sign in (("maxLength", 1), ("maxItems", 1), ("maximum", 1), ("minLength", -1), ("minItems", -1), ("minimum", -1)):  # fmt: skip
        if word in now and (word not in before or sign * now[word] < sign * before[word]):
            yield f"{path}: {word}"
    if "enum" in now and not {*before.get("enum", ("anything",))} <= {*now["enum"]}:
        yield f"{path}: enum"
    # of an instant that no pattern held, what stands and can be read is let be (ratcheting)
    was_instant = before.get("format") == "date-time" and "pattern" not in before
    if now.get("pattern") not in (None, before.get("pattern")) and not was_instant:
        yield f"{path}: pattern"
    for rule in sorted(_rules(now) - _rules(before)):
        yield f"{path}: {rule}"
    for name, each in before.get("properties", {}).items():
        if name not in now.get("properties", {}):
            yield f"{path}.{name}: gone"
        else:
            yield from narrowed(each, now["properties"][name], f"{path}.{name}")
    if "items" in before:
        yield from narrowed(before["items"], now.get("items", {}), f"{path}[]")


def _rules(schema: Schema) -> set[str]:
    """Return the rules that an object can be wrong by as it is; those on changes make none wrong."""
    rules = (x["rule"] for x in schema.get("x-kubernetes-validations", ()))
    return {rule for rule in rules if "oldSelf" not in rule}


@pytest.fixture(params=EARLIER, ids=lambda p: p.stem)
def earlier(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def test_there_is_an_earlier_chart():
    assert EARLIER


def test_nothing_that_an_api_server_keeps_is_changed(earlier: Path):
    before, now = objects(earlier), objects(CHART)

    for key in before.keys() & now.keys():
        field: Any = before[key]
        other: Any = now[key]
        for step in KEPT.get(key[0], ("kind",)):
            field, other = field[step], other[step]
        assert field == other, key


def test_nothing_that_was_there_goes_away(earlier: Path):
    assert set(objects(earlier)) - set(objects(CHART)) == set()


def test_kinds_only_gain_fields_and_no_object_becomes_wrong(earlier: Path):
    before, now = schemas(objects(earlier)), schemas(objects(CHART))

    assert len(before) == 5
    found = {x for name, each in before.items() for x in narrowed(each, now[name], name)}
    assert found <= NEVER_PLANNED | HELD_FROM_NOW_ON


def test_every_value_that_could_be_given_is_still_taken(earlier: Path, tmp_path: Path):
    values = tmp_path / "values.yaml"
    values.write_text(helm("show", "values", str(earlier)))

    assert objects(CHART, "--values", str(values)).keys() == objects(CHART).keys()


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        ({"type": "object", "properties": {"a": {}}}, {"type": "object"}, "x.a: gone"),
        ({"required": []}, {"required": ["b"]}, "x.b: required"),
        ({"maxLength": 9}, {"maxLength": 8}, "x: maxLength"),
        ({}, {"minimum": 1}, "x: minimum"),
        ({"enum": ["A", "B"]}, {"enum": ["A"]}, "x: enum"),
        ({}, {"enum": ["A"]}, "x: enum"),
        ({}, {"pattern": "^a$"}, "x: pattern"),
        (
            {},
            {"x-kubernetes-validations": [{"rule": "self.a < 2"}, {"rule": "self == oldSelf"}]},
            "x: self.a < 2",
        ),
        ({"items": {"type": "string"}}, {"items": {"type": "integer"}}, "x[]: type"),
    ],
)
def test_what_would_break_an_object_is_found(before: Schema, now: Schema, said: str):
    assert said in list(narrowed(before, now, "x"))
    assert list(narrowed(now, now, "x")) == []
