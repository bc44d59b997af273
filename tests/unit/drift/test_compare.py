"""What counts as a difference in a claim's namespace, and what doesn't."""

import copy
from typing import Any

import pytest

from sublet.api.gpuclass import HostShare
from sublet.api.ids import ClaimUID
from sublet.api.lease_terms import TenantAccess
from sublet.binder.namespace import Home, contents, namespace
from sublet.drift.compare import (
    Difference,
    Observed,
    What,
    differences,
    is_made_by,
    namespace_patch,
)
from tests.builders.api import uid_of

UID = ClaimUID(uid_of("train"))
HOME = Home(
    UID, 1, 2, TenantAccess(), "https://10.0.0.1:6443",
    HostShare.model_validate({"cpuPerGpu": 8, "memoryMiBPerGpu": 65_536}),
)  # fmt: skip


def seen() -> tuple[dict[str, Any], dict[tuple[str, str], dict[str, Any]]]:
    """Return the namespace and what is in it, as binding made them."""
    made = namespace(HOME)
    made["metadata"]["uid"] = "n1"
    objects = {(p.split("/")[-2], p.split("/")[-1]): copy.deepcopy(o) for p, o in contents(HOME)}
    return made, objects


def found(made: dict[str, Any], objects: dict[tuple[str, str], dict[str, Any]]) -> list[Difference]:
    return differences(HOME, Observed(made, objects))


def test_what_binding_made_is_no_difference():
    assert found(*seen()) == []


def test_what_the_server_writes_otherwise_is_no_difference():
    made, objects = seen()
    objects["resourcequotas", "sublet"]["spec"]["hard"]["requests.memory"] = "128Gi"
    objects["resourcequotas", "sublet"]["status"] = {"used": {"pods": "3"}}
    objects["serviceaccounts", "tenant"]["secrets"] = [{"name": "token"}]
    made["metadata"]["labels"]["kubernetes.io/metadata.name"] = HOME.name

    assert found(made, objects) == []


@pytest.mark.parametrize("place", [*seen()[1]])
def test_each_object_that_is_gone_is_missing(place: tuple[str, str]):
    made, objects = seen()
    del objects[place]

    assert found(made, objects) == [Difference(*place, What.MISSING)]


@pytest.mark.parametrize(
    ("place", "change"),
    [
        (("resourcequotas", "sublet"), {"spec": {"hard": {"pods": "500"}}}),
        (("networkpolicies", "sublet"), {"spec": {"podSelector": {}, "egress": [{}]}}),
        (("limitranges", "sublet"), {"spec": {"limits": []}}),
        (("rolebindings", "sublet-tenant"), {"subjects": [{"kind": "User", "name": "mallory"}]}),
        (("rolebindings", "sublet-tenant"), {"roleRef": {"kind": "ClusterRole", "name": "admin"}}),
    ],
)
def test_each_whole_that_is_ours_counts(place: tuple[str, str], change: dict[str, Any]):
    made, objects = seen()
    objects[place] |= change

    assert found(made, objects) == [Difference(*place, What.CHANGED)]


def test_pod_security_and_what_is_sold_are_put_back_and_nothing_else_of_a_namespace():
    made, _ = seen()
    made["metadata"]["labels"] |= {
        "pod-security.kubernetes.io/enforce": "privileged",
        "pod-security.kubernetes.io/enforce-version": "v1.0",
        "team": "theirs",
    }
    made["metadata"]["annotations"] = {"sublet.dev/capabilities": "SYS_ADMIN", "note": "theirs"}

    patch = namespace_patch(HOME, made)

    assert patch == [
        {"op": "test", "path": "/metadata/uid", "value": "n1"},
        {"op": "add", "path": "/metadata/labels/pod-security.kubernetes.io~1enforce", "value": "restricted"},
        {"op": "remove", "path": "/metadata/labels/pod-security.kubernetes.io~1enforce-version"},
        {"op": "remove", "path": "/metadata/annotations/sublet.dev~1capabilities"},
    ]  # fmt: skip


def test_the_claims_own_label_is_never_put_on_a_namespace():
    made, _ = seen()
    del made["metadata"]["labels"]["sublet.dev/claim"]

    assert namespace_patch(HOME, made) == []
    assert not Observed(made).is_of(UID)


def test_who_made_an_object_shows_in_its_managed_fields():
    ours = {"metadata": {"managedFields": [{"manager": "sublet", "operation": "Apply"}]}}

    assert is_made_by(ours, "sublet")
    assert not is_made_by(
        {"metadata": {"managedFields": [{"manager": "kubectl-create"}]}}, "sublet"
    )
    assert not is_made_by({"metadata": {}}, "sublet")
