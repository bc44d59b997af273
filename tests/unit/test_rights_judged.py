"""What the audit of the operator's rights finds: where, on which objects, and used or not; nothing wider passes."""

from typing import Any

import pytest

from sublet.fleet.isolation import PROBE_NAMESPACE
from sublet.manifests.render import HubOptions, LeasedOptions, hub, leased_cluster
from tests.builders.api import uid_of
from tests.integration.rights.audit import Account, Object, Right, granted, refused, used
from tests.integration.rights.fences import Fences
from tests.integration.rights.judge import Exemption, Fault, Finding, judge, unexcused

SYSTEM = "sublet-system"
OPERATOR = Account(SYSTEM, "sublet")
HOME, ANOTHER = (f"sublet-{uid_of(name)}-1" for name in ("a claim", "another"))
RBAC, LEASES = "rbac.authorization.k8s.io", "coordination.k8s.io"
NOWHERE: list[Object] = []


def rule(group: str, resource: str, *verbs: str, names: tuple[str, ...] = ()) -> Object:
    named = {"resourceNames": list(names)} if names else {}
    return {"apiGroups": [group], "resources": [resource], "verbs": list(verbs), **named}


def role(*rules: Object, place: str = "", to: Object | None = None) -> list[Object]:
    """Return a role and its binding, to the operator unless somebody else is named; without a place it is a ClusterRole."""
    meta = {"name": "r", "namespace": place} if place else {"name": "r"}
    kind = "Role" if place else "ClusterRole"
    subject = to or {"kind": "ServiceAccount", "name": "sublet", "namespace": SYSTEM}
    ref = {"kind": kind, "name": "r"}
    return [
        {"kind": kind, "metadata": meta, "rules": list(rules)},
        {"kind": f"{kind}Binding", "metadata": meta, "roleRef": ref, "subjects": [subject]},
    ]


def event(
    verb: str, resource: str, place: str = "", name: str = "", *, group: str = "", **more: Any
) -> Object:
    """Return what an API server writes down of a request of the operator."""
    kind, _, sub = resource.partition("/")
    said = {"apiGroup": group, "resource": kind, "subresource": sub, "namespace": place}
    ref = {key: text for key, text in {**said, "name": name}.items() if text}
    notes = {"authorization.k8s.io/decision": more.pop("decision", "allow")}
    return {"verb": verb, "objectRef": ref, "annotations": notes, "requestURI": "/x", **more}


def wrong(roles: list[Object], *events: Object, policies: list[Object] = NOWHERE) -> set[Finding]:
    fences = Fences(policies, OPERATOR)
    return set(judge(granted(roles, OPERATOR), used(events, tenants=["acme"]), fences.hold))


def faults(roles: list[Object], *events: Object, policies: list[Object] = NOWHERE) -> set[Fault]:
    return {finding.fault for finding in wrong(roles, *events, policies=policies)}


TOO_WIDE = {
    "every Secret is listed": rule("", "secrets", "list", "watch"),
    "tokens of every account": rule("", "serviceaccounts/token", "create"),
    "every Lease is written": rule(LEASES, "leases", "get", "create", "update"),
    "every namespace is read": rule("", "namespaces", "get"),
}
AS_USED = (
    event("list", "secrets", SYSTEM),
    event("watch", "secrets", SYSTEM),
    event("create", "serviceaccounts/token", SYSTEM, "sublet-leased"),
    event("get", "leases", SYSTEM, "sublet", group=LEASES),
    event("create", "leases", SYSTEM, "sublet", group=LEASES),
    event("update", "leases", SYSTEM, "sublet", group=LEASES),
    event("get", "namespaces", "kube-system", "kube-system"),
)


def shipped(wide: Object | None = None, *, instead: bool = False) -> list[Object]:
    """Return the hub's manifests, in the operator's ClusterRole one rule more; `instead` of the narrow one."""
    manifests = hub(HubOptions())
    if wide is None:
        return manifests
    for each in (m for m in manifests if m["metadata"]["name"] == "sublet-hub" and "rules" in m):
        if instead:
            each["rules"] = [r for r in each["rules"] if not _is_in(r, wide)]
        if each["kind"] == "ClusterRole":
            each["rules"].append(wide)
    return manifests


def _is_in(narrow: Object, wide: Object) -> bool:
    return all(set(narrow[x]) <= set(wide[x]) for x in ("apiGroups", "resources", "verbs"))


@pytest.mark.parametrize("instead", [False, True], ids=["beside the narrow one", "instead of it"])
@pytest.mark.parametrize("wide", TOO_WIDE.values(), ids=TOO_WIDE)
def test_a_right_of_the_hub_that_is_granted_wider_than_it_is_used_is_found(
    wide: Object, instead: bool
):
    before, after = (wrong(x, *AS_USED) for x in (shipped(), shipped(wide, instead=instead)))

    group, resource = wide["apiGroups"][0], wide["resources"][0]
    assert {f.right for f in after - before} == {Right(group, resource, v) for v in wide["verbs"]}


def test_what_the_hub_grants_of_these_is_exactly_what_is_used():
    used_of = {right[:2] for right in used(AS_USED)} - {("", "secrets")}

    assert not [f for f in wrong(shipped(), *AS_USED) if f.right[:2] in used_of]


def test_a_right_that_is_used_where_and_as_it_is_granted_is_right():
    exact = role(rule("", "secrets", "get", names=("a",)), place=SYSTEM)

    assert faults(exact, event("get", "secrets", SYSTEM, "a")) == set()


def test_one_on_every_object_beside_one_on_those_that_are_used_is_never_used():
    named, wide = rule("", "nodes", "patch", names=("n0", "n1")), rule("", "nodes", "patch")
    uses = [event("patch", "nodes", "", name) for name in ("n0", "n1")]

    assert wrong(role(named, wide), *uses) == {Finding(Right("", "nodes", "patch"), Fault.UNUSED)}


@pytest.mark.parametrize(("place", "name"), [("other", "a"), (SYSTEM, "b"), ("", "")])
def test_what_is_used_elsewhere_or_on_another_object_isnt_granted_by_it(place: str, name: str):
    narrow = role(rule("", "secrets", "get", names=("a",)), place=SYSTEM)

    found = faults(narrow, event("get", "secrets", place, name))

    assert found == {Fault.UNGRANTED, Fault.UNUSED}


def test_a_wildcard_is_a_right_that_nobody_uses():
    found = faults(role(rule("*", "*", "*")), event("get", "secrets", SYSTEM, "a"))

    assert found == {Fault.UNGRANTED, Fault.UNUSED}


def test_a_grant_in_the_cluster_is_right_if_the_whole_cluster_is_listed():
    assert faults(role(rule("", "pods", "list")), event("list", "pods")) == set()


def test_a_grant_in_the_cluster_that_is_used_in_the_probes_namespace_alone_could_be_a_role():
    found = faults(role(rule("", "pods", "create")), event("create", "pods", PROBE_NAMESPACE, "p"))

    assert found == {Fault.FEW_PLACES}


def fenced(*, action: str = "Deny") -> list[Object]:
    """Return the policies of a leased cluster."""
    manifests = leased_cluster(LeasedOptions())
    for each in manifests:
        if each["kind"] == "ValidatingAdmissionPolicyBinding":
            each["spec"]["validationActions"] = [action]
    return manifests


def test_claims_namespaces_are_known_to_no_role_so_a_policy_keeps_a_right_there():
    roles, made = role(rule("", "pods", "create")), event("create", "pods", HOME, "p")

    assert faults(roles, made, policies=fenced()) == set()
    assert faults(roles, made, policies=fenced(action="Audit")) == {Fault.UNFENCED}
    assert faults(roles, made) == {Fault.UNFENCED}


def test_a_policy_about_others_or_about_another_kind_keeps_nothing():
    hub_policies = hub(HubOptions())

    assert not Fences(hub_policies, Account(SYSTEM, "other")).hold(Right("", "secrets", "create"))
    assert not Fences(hub_policies, OPERATOR).hold(Right("", "secrets", "get"))
    assert not Fences(hub_policies, OPERATOR).hold(Right("", "configmaps", "create"))
    assert Fences(hub_policies, OPERATOR).hold(Right("", "secrets", "update"))


def test_tenants_namespaces_are_known_to_no_role_either():
    roles, made = role(rule("", "secrets", "create")), event("create", "secrets", "acme", "s")

    assert faults(roles, made) == {Fault.UNFENCED}
    assert faults(roles, made, policies=hub(HubOptions())) == set()


@pytest.mark.parametrize("verb", ["get", "update", "patch", "delete"])
def test_a_right_that_is_used_on_one_object_alone_must_name_it(verb: str):
    roles, policies = role(rule("", "serviceaccounts", verb)), fenced()
    uses = [event(verb, "serviceaccounts", home, "always-so") for home in (HOME, ANOTHER)]

    assert Fault.FEW_NAMES in faults(roles, *uses, policies=policies)


def test_so_must_one_that_is_used_on_names_of_ours_alone():
    roles = role(rule(RBAC, "rolebindings", "patch"))
    names = ("sublet-tenant", "sublet-tenant-extra")
    uses = [event("patch", "rolebindings", HOME, name, group=RBAC) for name in names]

    assert faults(roles, *uses, policies=fenced()) == {Fault.FEW_NAMES}


def test_names_that_people_give_are_in_no_role():
    uses = [event("patch", "nodes", "", name) for name in ("n0", "n1")]

    assert faults(role(rule("", "nodes", "patch")), *uses) == set()


def test_a_post_has_no_name_and_an_apply_that_makes_has_one():
    roles, policies = role(rule("", "serviceaccounts", "create")), fenced()
    posted = event("create", "serviceaccounts", HOME, "tenant")
    applied = event("patch", "serviceaccounts", HOME, "tenant", responseStatus={"code": 201})

    assert faults(roles, posted, policies=policies) == set()
    assert Fault.FEW_NAMES in faults(roles, applied, policies=policies)
    assert Fault.FEW_NAMES not in faults(roles, posted, applied, policies=policies)


def test_a_read_of_what_may_be_listed_needs_no_name():
    one = event("get", "quotas", HOME, "sublet")
    roles = role(rule("", "quotas", "get", "list"))

    assert faults(roles, one, event("list", "quotas")) == set()


@pytest.mark.parametrize("verb", ["bind", "escalate"])
def test_what_no_log_shows_must_say_what_it_is_about(verb: str):
    assert faults(role(rule(RBAC, "roles", verb))) == {Fault.NAMELESS}
    assert faults(role(rule(RBAC, "roles", verb, names=("extra",)))) == set()


def test_what_is_forbidden_is_no_use():
    asked = event("get", "secrets", SYSTEM, "a", decision="forbid")

    assert refused([asked]) == ["get /x"]
    assert used([asked]) == set()


@pytest.mark.parametrize(
    ("subject", "counts"),
    [
        ({"kind": "ServiceAccount", "name": "sublet", "namespace": "other"}, False),
        ({"kind": "ServiceAccount", "name": "sublet-leased", "namespace": SYSTEM}, False),
        ({"kind": "Group", "name": "system:authenticated"}, False),
        ({"kind": "User", "name": f"system:serviceaccount:{SYSTEM}:sublet"}, True),
        ({"kind": "Group", "name": f"system:serviceaccounts:{SYSTEM}"}, True),
    ],
)
def test_a_grant_is_the_operators_however_its_binding_names_it(subject: Object, counts: bool):
    assert bool(granted(role(rule("", "pods", "list"), to=subject), OPERATOR)) is counts


def test_an_exemption_excuses_its_own_finding_and_is_told_when_it_excuses_none():
    (finding,) = wrong(role(rule("", "pods", "list")))
    mine, stale = (Exemption("", "pods", verb, Fault.UNUSED, "why") for verb in ("list", "get"))

    assert unexcused([finding], [mine, stale]) == ([], [stale])
    assert unexcused([finding], []) == ([str(finding)], [])
