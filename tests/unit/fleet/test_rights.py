"""Which rights the operator misses in a leased cluster."""

from typing import Any

import pytest

from sublet.fleet.rights import NEEDED, Right, find_missing_rights, missing
from sublet.kube.errors import BadAnswer
from sublet.manifests.render import LeasedOptions, Manifest, leased_cluster


def granted() -> list[Manifest]:
    roles = [m for m in leased_cluster(LeasedOptions()) if m["kind"] == "ClusterRole"]
    return next(m["rules"] for m in roles if m["metadata"]["name"] == "sublet-operator")


def test_what_is_needed_is_exactly_what_onboarding_grants():
    given = {
        Right(group, resource, verb, name)
        for rule in granted()
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
        for name in rule.get("resourceNames") or ("",)
    }

    assert set(NEEDED) == given
    assert missing(granted()) == ()


@pytest.mark.parametrize(
    ("taken", "said"),
    [
        (("", "namespaces", "create"), "create namespaces"),
        (("networking.k8s.io", "networkpolicies", "patch"), "patch networkpolicies.networking.k8s.io sublet"),
        (("", "serviceaccounts/token", "create"), "create serviceaccounts/token tenant"),
    ],
)  # fmt: skip
def test_a_right_that_was_taken_away_is_named(taken: tuple[str, str, str], said: str):
    group, resource, verb = taken
    rules = [
        {**r, "verbs": [v for v in r["verbs"] if v != verb]}
        if group in r["apiGroups"] and resource in r["resources"]
        else r
        for r in granted()
    ]

    assert missing(rules) == (said,)


def test_a_rule_for_one_object_gives_no_right_to_all():
    named = {"apiGroups": [""], "resources": ["nodes"], "verbs": ["*"], "resourceNames": ["n0"]}

    assert "list nodes" in missing([named])


class Liar:
    """Answers every review with what it was given."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    async def create(self, _: str, __: Any) -> Any:
        return self._answer


@pytest.mark.parametrize(
    "status", ["x", [1], {"resourceRules": 7}, {"resourceRules": ["x"]}, {"resourceRules": [{"apiGroups": 7}]}]
)  # fmt: skip
async def test_a_review_of_another_shape_is_a_bad_answer(status: Any):
    api: Any = Liar({"status": status})

    with pytest.raises(BadAnswer):
        await find_missing_rights(api)


def test_an_admin_misses_nothing():
    assert missing([{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]) == ()
