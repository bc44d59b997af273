"""Each CEL rule of the CRDs at work on a real API server: what it lets through, and what it stops in which words."""

import json
from typing import Any

import pytest

from tests.builders.api import claim
from tests.harness.stack import Stack
from tests.integration.api.asking import (
    Body,
    change,
    conditions,
    named,
    new_name,
    set_status,
    stored,
    try_apply,
    try_create,
)
from tests.integration.api.crds import marks, version_of
from tests.integration.api.rule_case import UID, Case, Key
from tests.integration.api.rule_examples import EXAMPLES, FIXED

pytestmark = pytest.mark.planes

RULES = [
    ((kind, path, rule["message"]), rule)
    for kind, path, rules in marks("x-kubernetes-validations")
    for rule in rules
]
MAY_CHANGE: dict[str, Any] = {  # field of a reserved claim -> a new value
    "schedule": {"durationSeconds": 60},
    "maxPricePerGpuHour": "9.99",
    "tags": {"a": "b"},
    "suspended": True,
    "replacement": "OnFailure",
    "forceRelease": {"claimUID": UID, "by": "admin"},
}


def cases(verdict: str) -> list[Any]:
    return [
        pytest.param(key, case, id=f"{key[0]}{key[1]}-{key[2]}-{number}")
        for key, examples in EXAMPLES.items()
        for number, case in enumerate(getattr(examples, verdict))
    ]


def ask(hub: Stack, case: Case) -> tuple[str, str]:
    """Return the object's name and what the server says to a case."""
    name = new_name()
    if case.first is None:
        return name, try_create(hub, named(case.body, name))
    first = named(case.first, name)
    hub.apply("hub", first)
    if case.states or case.status:
        set_status(hub, first, conditions(**case.states) | dict(case.status))
    body = with_uid(case.body, stored(hub, first)["metadata"]["uid"])
    return name, try_apply(hub, named(body, name))


def with_uid(body: Body, uid: str) -> Body:
    """Return a body that may name its own UID."""
    filled: Body = json.loads(json.dumps(body).replace(UID, uid))
    return filled


def test_every_rule_has_examples_and_every_example_a_rule():
    assert sorted(EXAMPLES) == sorted(key for key, _ in RULES)
    assert all(each.accepted and each.refused for each in EXAMPLES.values())


@pytest.mark.parametrize(("key", "case"), cases("accepted"))
def test_what_a_rule_allows_is_accepted(hub: Stack, key: Key, case: Case):
    _, said = ask(hub, case)

    assert said.endswith("(server dry run)\n"), said


@pytest.mark.parametrize(("key", "case"), cases("refused"))
def test_what_a_rule_forbids_is_refused_by_it_alone_and_in_its_words(
    hub: Stack, key: Key, case: Case
):
    kind, path, message = key
    field = path.replace("[]", "[0]") + dict(RULES)[key].get("fieldPath", "")

    name, said = ask(hub, case)

    assert said.startswith(f'The {kind} "{name}" is invalid: {field.removeprefix(".")}: '), said
    assert said.endswith(f": {case.said or message}\n"), said


@pytest.mark.parametrize("field", MAY_CHANGE)
def test_what_isnt_fixed_may_change_while_a_claim_is_reserved(hub: Stack, field):
    held = claim()

    _, said = ask(hub, Case(change(held, field, MAY_CHANGE[field]), held, {"Reserved": "True"}))

    assert said.endswith("(server dry run)\n"), said


def test_every_field_of_a_claim_is_either_fixed_while_reserved_or_may_change():
    spec = version_of("GpuClaim")["schema"]["openAPIV3Schema"]["properties"]["spec"]
    fixed = {name for name, _, _ in FIXED if "." not in name}

    assert fixed.isdisjoint(MAY_CHANGE)
    assert fixed | set(MAY_CHANGE) == set(spec["properties"])


def test_an_ended_claim_can_be_deleted(hub: Stack):
    over = named(claim(), new_name())
    hub.apply("hub", over)
    set_status(hub, over, conditions(Ended="True"))

    name = over["metadata"]["name"]
    said = hub.kubectl("hub", "delete", "gpuclaim", "-n", "acme", name, "--dry-run=server")

    assert f'"{name}" deleted' in said
