"""What the fence says of the operator's own identity, asked with every right there is: the policy alone refuses.

A landlord's cluster may give the account more than onboarding does, so nothing here is left to a right that is missing.
What is asked is a dry run where the policy makes no difference of it.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.builders.api import uid_of
from tests.builders.nodes import gpu_node
from tests.harness.stack import NAMESPACE
from tests.integration.isolation.tenancy import Object, Tenancy, plain_pod, runs

pytestmark = [pytest.mark.planes, pytest.mark.timeout(400)]

OPERATOR = (f"--as=system:serviceaccount:{NAMESPACE}:sublet", "--as-group=system:masters")
MINE, OTHER = uid_of("mine"), uid_of("other")
FENCED = "the sublet operator may write in claim namespaces only"
KEEPS = "a claim namespace keeps its claim label and has a pod security level"
WAYS = "writes no status and no finalizers of namespaces"
UNSOLD = "name what this cluster does not sell"
ONLY_ROLES = "the only roles are sublet-tenant and sublet-tenant-extra"
UNBOUND = "only unbound tokens of the tenant account"
EXTRA = "sublet-tenant-extra names a kind that this cluster doesn't sell"
RBAC = "rbac.authorization.k8s.io"
LEVEL = "pod-security.kubernetes.io/enforce"
ELSEWHERE = "landlords"


def asked(tenancy: Tenancy, *arguments: str, given: Any = None) -> str:
    """Return what the leased cluster says to the operator's name with all rights."""
    text = yaml.safe_dump(given) if given is not None else None
    return tenancy.stack.kubectl("west", *arguments, *OPERATOR, given=text, check=False)


def sent(tenancy: Tenancy, verb: str, path: str, body: Object) -> str:
    """Return what is said to such a request at a path."""
    raw = (verb, f"--raw={path}", "-f", "-")
    return tenancy.stack.kubectl("west", *raw, *OPERATOR, given=json.dumps(body), check=False)


def made(tenancy: Tenancy, body: Object) -> str:
    return asked(tenancy, "create", "--dry-run=server", "-f", "-", given=body)


def obj(kind: str, name: str, where: str, version: str = "v1", **body: Any) -> Object:
    meta = {"name": name, "namespace": where}
    return {"apiVersion": version, "kind": kind, "metadata": meta, **body}


def subject(where: str, name: str = "tenant", kind: str = "ServiceAccount") -> Object:
    return {"kind": kind, "name": name, **({"namespace": where} if kind != "User" else {})}


def binding(where: str, *subjects: Object, kind: str = "ClusterRole", role: str = "sublet-tenant", name: str = "b") -> Object:  # fmt: skip
    ref = {"apiGroup": RBAC, "kind": kind, "name": role}
    return obj("RoleBinding", name, where, f"{RBAC}/v1", roleRef=ref, subjects=[*subjects])


def role(where: str, *rules: Object, name: str = "sublet-tenant-extra") -> Object:
    return obj("Role", name, where, f"{RBAC}/v1", rules=[*rules])


def kinds(*resources: str, group: str = "kubeflow.org", verb: str = "get") -> Object:
    return {"apiGroups": [group], "resources": [*resources], "verbs": [verb]}


@pytest.fixture(scope="module", autouse=True)
def _landlords(tenancy: Tenancy) -> Iterator[None]:
    """A namespace of the landlord's own with things in it that are named as ours are."""
    stack = tenancy.stack
    stack.kubectl("west", "create", "namespace", ELSEWHERE)
    stack.apply(
        "west",
        obj("ServiceAccount", "tenant", ELSEWHERE),
        obj("ResourceQuota", "sublet", ELSEWHERE, spec={"hard": {"pods": "9"}}),
        obj("LimitRange", "sublet", ELSEWHERE, spec={"limits": []}),
        obj("Secret", "s", ELSEWHERE),
        obj("Pod", "p", ELSEWHERE, spec=plain_pod("p", gpus=0)["spec"]),
        obj("NetworkPolicy", "sublet", ELSEWHERE, "networking.k8s.io/v1", spec={"podSelector": {}}),
        binding(ELSEWHERE, subject(ELSEWHERE), name="sublet-tenant"),
        role(ELSEWHERE, kinds("pytorchjobs")),
    )
    yield
    stack.kubectl("west", "delete", "namespace", ELSEWHERE)


WHAT = (
    "serviceaccount/tenant",
    "resourcequota/sublet",
    "limitrange/sublet",
    "secret/s",
    "pod/p",
    "networkpolicy/sublet",
    "rolebinding/sublet-tenant",
    "role/sublet-tenant-extra",
)


@pytest.mark.parametrize("what", WHAT)
def test_nothing_of_the_landlords_is_changed_or_deleted(tenancy: Tenancy, what: str):
    here = ("-n", ELSEWHERE, "--dry-run=server")

    assert FENCED in asked(tenancy, "annotate", what, "a=b", *here)
    assert FENCED in asked(tenancy, "delete", what, *here)


def home(name: str, claim: str | None, **meta: Any) -> Object:
    """Return a namespace of a claim's, with the level that most have."""
    labels = {LEVEL: "restricted", "sublet.dev/claim": claim, **meta.pop("labels", {})}
    meta["labels"] = {k: v for k, v in labels.items() if v is not None}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, **meta}}


NO_UID = "m" * 36
SOLD = {"sublet.dev/capabilities": "IPC_LOCK", "sublet.dev/extra-resources": "rdma/hca"}


@pytest.mark.parametrize(
    "body",
    [
        home(f"sublet-{MINE}-1", None),
        home(f"sublet-{MINE}-1", OTHER),
        home(f"sublet-{MINE}-0", MINE),
        home(f"sublet-{MINE}-1000000", MINE),
        home(f"sublet-{NO_UID}-1", NO_UID),
        home(f"landlord-sublet-{MINE}-1", MINE),
    ],
    ids=lambda b: b["metadata"]["name"],
)
def test_no_namespace_is_made_but_a_claims(tenancy: Tenancy, body: Object):
    assert FENCED in made(tenancy, body)


@pytest.mark.parametrize(
    ("meta", "words"),
    [
        ({"labels": {LEVEL: None}}, KEEPS),
        ({"labels": {LEVEL: "privileged"}}, KEEPS),
        ({"annotations": {"sublet.dev/capabilities": "IPC_LOCK,SYS_ADMIN"}}, UNSOLD),
        ({"annotations": {"sublet.dev/extra-resources": "rdma/hca,example.com/nic"}}, UNSOLD),
    ],
)
def test_no_claims_namespace_is_made_or_becomes_looser_than_what_is_sold(
    tenancy: Tenancy, meta: Object, words: str
):
    patch = ("--type=merge", "-p", json.dumps({"metadata": meta}), "--dry-run=server")

    assert words in made(tenancy, home(f"sublet-{MINE}-1", MINE, **meta))
    assert words in asked(tenancy, "patch", "namespace", tenancy.home("work"), *patch)


@pytest.mark.parametrize("label", ["sublet.dev/claim-", f"sublet.dev/claim={OTHER}"])
def test_no_claims_namespace_loses_what_it_is_known_by(tenancy: Tenancy, label: str):
    where = ("namespace", tenancy.home("work"), label, "--overwrite", "--dry-run=server")

    assert KEEPS in asked(tenancy, "label", *where)


@pytest.mark.parametrize("way", ["status", "finalize"])
def test_no_namespace_is_written_through_its_subresources(tenancy: Tenancy, way: str):
    """A claim's is marked anew or left without its finalizer; one of the landlord's is made a claim's."""
    said = {}
    for name in (tenancy.home("work"), ELSEWHERE):
        body = tenancy.stack.get("west", "namespace", name)
        body["metadata"].setdefault("annotations", {})["sublet.dev/x"] = "y"
        path = f"/api/v1/namespaces/{name}/{way}?dryRun=All"
        said[name] = sent(tenancy, "replace", path, body)

    assert WAYS in said[tenancy.home("work")]
    assert FENCED in said[ELSEWHERE]


def test_the_namespaces_that_a_claim_may_have_are_made(tenancy: Tenancy):
    privileged = {"labels": {LEVEL: "privileged"}, "annotations": SOLD}

    for body in (home(f"sublet-{MINE}-1", MINE), home(f"sublet-{MINE}-999999", MINE, **privileged)):
        assert "created" in made(tenancy, body)


def test_no_role_is_given_but_a_tenants_to_its_own_account(tenancy: Tenancy):
    here = tenancy.home("work")
    refused = [
        binding(here, subject(here), role="edit"),
        binding(here, subject(here), kind="Role", role="sublet-tenant"),
        binding(here, subject(here), role="sublet-tenant-extra"),
        binding(here, subject(here), kind="Role", role="mine"),
        binding(here, subject(tenancy.home("theirs"))),
        binding(here, subject(here, "default")),
        binding(here, {"kind": "Group", "name": "tenant", "apiGroup": RBAC}),
        binding(here, subject(here), subject(here, "thief", "User")),
    ]

    assert [x for x in refused if ONLY_ROLES not in made(tenancy, x)] == []
    assert "created" in made(tenancy, binding(here, subject(here)))
    assert "created" in made(tenancy, binding(here, subject(here), kind="Role", role="sublet-tenant-extra"))  # fmt: skip


def test_the_extra_role_holds_no_more_than_is_sold(tenancy: Tenancy):
    here = tenancy.home("work")
    sold = kinds("pytorchjobs")
    refused = [
        role(here, sold, name="another"),
        role(here, sold, kinds("pods", group="")),
        role(here, kinds("pytorchjobs", "mpijobs")),
        role(here, kinds("*")),
        role(here, kinds("pytorchjobs", group="batch")),
        role(here, kinds("pytorchjobs", verb="*")),
        role(here, kinds("pytorchjobs", verb="escalate")),
    ]

    assert [x for x in refused if EXTRA not in made(tenancy, x)] == []
    assert "created" in made(tenancy, role(here, sold))


BOUND = {"boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "p", "uid": OTHER}}


@pytest.mark.parametrize(("account", "spec"), [("default", {}), ("tenant", BOUND)])
def test_no_token_is_made_but_an_unbound_one_of_the_tenants(
    tenancy: Tenancy, account: str, spec: Object
):
    path = f"/api/v1/namespaces/{tenancy.home('work')}/serviceaccounts/{account}/token?dryRun=All"
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": [], **spec}}  # fmt: skip

    assert UNBOUND in sent(tenancy, "create", path, body)


async def test_no_pod_of_a_tenants_is_changed(tenancy: Tenancy):
    here = ("-n", tenancy.home("work"))
    async with tenancy.tenant("work") as tenant:
        made = await tenant.creates(f"/api/v1/namespaces/{here[1]}/pods", plain_pod("mine", gpus=0))
    said = asked(tenancy, "annotate", "pod", "mine", "a=b", *here)
    gone = asked(tenancy, "delete", "pod", "mine", *here, "--force", "--grace-period=0")

    assert made == "accepted"
    assert "the sublet operator runs no pods" in said
    assert "deleted" in gone


@pytest.mark.parametrize("way", ["", "status"])
def test_no_node_is_made_and_none_written_through_its_status(tenancy: Tenancy, way: str):
    if way:
        change = json.dumps({"metadata": {"annotations": {"sublet.dev/x": "y"}}})
        node = ("node", min(tenancy.nodes("work")), f"--subresource={way}")
        said = asked(tenancy, "patch", *node, "--type=merge", "-p", change, "--dry-run=server")
    else:
        said = made(tenancy, gpu_node("new"))

    assert "the sublet operator may only update nodes" in said


def test_after_all_that_the_tenants_own_pod_runs_on_its_own_node(tenancy: Tenancy):
    runs(tenancy, "work")
