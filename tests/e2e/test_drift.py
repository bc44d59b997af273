"""What Sublet made and somebody changed by hand is as it was again, or is said; what Sublet didn't make is left alone.

Everything is wounded while the operator is away and the policies are off, as after a restored backup of the leased
cluster; one claim for each wound.
"""

import base64
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.builders.api import claim, gpu_class, lease, tenant
from tests.builders.nodes import gpu_node
from tests.harness.ledger import facts_in
from tests.harness.process import OperatorProcess
from tests.harness.shared import borrow_stack
from tests.harness.stack import Stack, condition
from tests.harness.tenants import pod, write_access
from tests.harness.waiting import stays, wait_for
from tests.harness.wounds import OPERATOR, let_go, patch, strip_node, unguarded

pytestmark = [pytest.mark.planes, pytest.mark.slow, pytest.mark.timeout(600)]

ACME = "acme"
WOUNDED = (
    "control", "objects", "marks", "deleted", "stuck", "label", "book", "pool", "tenant",
    "secret", "bytes", "finalizer", "orphan", "alike", "profile", "foreign", "taint",
)  # fmt: skip
NODES = len(WOUNDED) + 2
STRANGER = str(uuid.uuid4())


class World:
    """The stack, the operator, and the claims as they were bound."""

    def __init__(self, stack: Stack, operator: OperatorProcess) -> None:
        self.stack, self.operator = stack, operator
        self.bound: dict[str, dict[str, Any]] = {}
        self.secrets: dict[str, str] = {}  # claim -> kubeconfig before it was wounded
        self.control: dict[str, str] = {}  # object -> resourceVersion

    def node(self, name: str) -> str:
        return self.bound[name]["status"]["allocation"]["placements"][0]["node"]

    def uid(self, name: str) -> str:
        return self.bound[name]["metadata"]["uid"]

    def home(self, name: str, number: int = 1) -> str:
        return f"sublet-{self.uid(name)}-{number}"

    def marks(self, name: str) -> dict[str, Any]:
        return self.stack.get("west", "node", self.node(name))["metadata"]

    def now(self, name: str) -> dict[str, Any]:
        return self.stack.claim(ACME, name) or {}

    def degraded(self, name: str) -> str | None:
        found = self.now(name)
        return (
            condition(found, "Degraded", "reason")
            if condition(found, "Degraded") == "True"
            else None
        )

    def events(self, name: str) -> list[str]:
        found = self.stack.get("hub", "events", "-n", ACME)["items"]
        return [e["reason"] for e in found if e["involvedObject"].get("uid") == self.uid(name)]

    def orphaned(self) -> str | None:
        return condition(self.stack.get("hub", "gpulease", "west"), "Orphaned", "reason")


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    stack = borrow_stack("drift", leased=("west",))
    operator = OperatorProcess(stack, SUBLET_DRIFT_SECONDS="1")
    try:
        yield _wounded(World(stack, operator))
    finally:
        operator.kill()
        stack.stop()


def _wounded(world: World) -> World:
    stack, operator = world.stack, world.operator
    stack.apply("hub", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": ACME}})
    stack.apply("west", *(gpu_node(f"n-{i:02}") for i in range(NODES)))
    stack.apply("hub", lease("west", committed=8 * NODES), gpu_class(), tenant())
    operator.start()
    stack.apply("hub", *(claim(name, ACME) for name in WOUNDED))
    for name in WOUNDED:
        world.bound[name] = wait_for(
            f"{name} bound", lambda n=name: stack.is_bound(ACME, n), seconds=120
        )
    wait_for("looked at", lambda: world.orphaned() == "NothingFound")
    wait_for("in the ledger", lambda: {f.claim_uid for f in facts_in(operator.database)} >= {*map(world.uid, WOUNDED)})  # fmt: skip
    world.control = _versions(world)
    operator.kill()
    for name in ("secret", "bytes"):
        world.secrets[name] = _kubeconfig(stack, name)
    with unguarded(stack, "west"):
        _hurt_leased(world)
    _hurt_hub(world)
    operator.start()
    return world


def _hurt_leased(world: World) -> None:
    stack = world.stack
    home = world.home("objects")
    for kind, name in (
        ("resourcequota", "sublet"),
        ("serviceaccount", "tenant"),
        ("rolebinding", "sublet-tenant"),
    ):
        stack.kubectl("west", "-n", home, "delete", kind, name)
    patch(stack, "west", "networkpolicy", "-n", home, "sublet", spec={"egress": [{}]})
    patch(stack, "west", "namespace", world.home("marks"),
          metadata={"labels": {"pod-security.kubernetes.io/enforce": "privileged"},
                    "annotations": {"sublet.dev/capabilities": "SYS_ADMIN"}})  # fmt: skip
    stack.kubectl("west", "delete", "namespace", world.home("deleted"), "--timeout=60s")
    held = {"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "held", "namespace": world.home("stuck"), "finalizers": ["example.com/held"]}}  # fmt: skip
    stack.apply("west", held)
    stack.kubectl("west", "delete", "namespace", world.home("stuck"), "--wait=false")
    strip_node(stack, "west", world.node("label"), f"label:claim.sublet.dev/{world.uid('label')}")
    strip_node(stack, "west", world.node("book"), f"label:claim.sublet.dev/{world.uid('book')}",
               "annotation:sublet.dev/allocation", "annotation:sublet.dev/tenant")  # fmt: skip
    strip_node(stack, "west", world.node("pool"), "label:sublet.dev/lease", taint=True)
    strip_node(stack, "west", world.node("tenant"), "annotation:sublet.dev/tenant", "annotation:sublet.dev/sharing")  # fmt: skip
    stack.kubectl("west", "taint", "node", world.node("taint"), f"sublet.dev/pool={STRANGER}:NoSchedule", "--overwrite")  # fmt: skip
    alike = world.home("alike")
    stack.kubectl("west", "-n", alike, "delete", "resourcequota", "sublet")
    stack.kubectl("west", "-n", alike, "create", "quota", "sublet", "--hard=pods=1")
    stack.apply("west", {"apiVersion": "v1", "kind": "Namespace", "metadata": {
        "name": f"sublet-{STRANGER}-1", "labels": {"sublet.dev/claim": STRANGER}}})  # fmt: skip
    stack.apply("west", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": f"sublet-{uuid.uuid4()}-1"}})  # fmt: skip
    _recreate(world, _free_node(world))


def _free_node(world: World) -> str:
    free = [n for n, book in world.stack.books("west").items() if book == ""]
    return min(free)


def _recreate(world: World, name: str) -> None:
    """Make a free node anew with all the marks of the old one and the book of a claim that isn't there."""
    old = world.stack.get("west", "node", name)
    world.stack.kubectl("west", "delete", "node", name)
    new = gpu_node(name)
    new["metadata"]["labels"] |= {
        k: v for k, v in old["metadata"]["labels"].items() if "sublet.dev/" in k
    }
    new["metadata"]["annotations"] |= {k: v for k, v in old["metadata"]["annotations"].items() if "sublet.dev/" in k}  # fmt: skip
    new["spec"] = {"taints": old["spec"]["taints"]}
    world.stack.apply("west", new)
    world.bound["recreated"] = {"metadata": {"uid": old["metadata"]["uid"]}, "status": {
        "allocation": {"placements": [{"node": name}]}}}  # fmt: skip


def _hurt_hub(world: World) -> None:
    stack = world.stack
    stack.kubectl("hub", "-n", ACME, "delete", "secret", "secret-kubeconfig")
    other = stack.get("hub", "secret", "-n", ACME, "bytes-kubeconfig")
    other["data"]["value"] = base64.b64encode(b"somebody else's").decode()
    other["metadata"].pop("managedFields", None)
    path = f"/api/v1/namespaces/{ACME}/secrets/bytes-kubeconfig"
    stack.kubectl("hub", "replace", "--raw", path, "-f", "-", OPERATOR, given=json.dumps(other))
    let_go(stack, ACME, "finalizer")
    let_go(stack, ACME, "orphan")
    stack.kubectl("hub", "-n", ACME, "delete", "gpuclaim", "orphan", "--timeout=90s")


def _kubeconfig(stack: Stack, name: str) -> str:
    secret = stack.get("hub", "secret", "-n", ACME, f"{name}-kubeconfig")
    return base64.b64decode(secret["data"]["value"]).decode() if secret else ""


def _versions(world: World) -> dict[str, str]:
    """Return the resourceVersion of everything of the claim that nobody touched."""
    home, found = world.home("control"), {}
    kinds = "resourcequotas,networkpolicies,serviceaccounts,rolebindings"
    for item in world.stack.get("west", kinds, "-n", home, "-l", "sublet.dev/claim")["items"]:
        found[f"{item['kind']}/{item['metadata']['name']}"] = item["metadata"]["resourceVersion"]
    secret = world.stack.get("hub", "secret", "-n", ACME, "control-kubeconfig")
    return {**found, "Secret": secret["metadata"]["resourceVersion"]}


def _works(world: World, name: str, folder: Path) -> str:
    """Return what the tenant is told when it makes a pod with its kubeconfig as it is now."""
    config = write_access(world.stack, world.now(name), folder / name)
    return world.stack.kubectl_with(config, "apply", "-f", "-", given=pod("work", 8), check=False)


def test_quota_account_binding_and_policy_are_put_back_as_they_were(world: World, tmp_path: Path):
    home = world.home("objects")

    def there() -> Any:
        quota = world.stack.get("west", "resourcequota", "-n", home, "sublet")
        policy = world.stack.get("west", "networkpolicy", "-n", home, "sublet")
        return quota and len(policy["spec"]["egress"]) > 1

    wait_for("put back", there)
    wait_for("said", lambda: "Repaired" in world.events("objects"))
    wait_for("the account's token is new", lambda: "created" in _works(world, "objects", tmp_path))
    quota = world.stack.get("west", "resourcequota", "-n", home, "sublet")
    assert quota["spec"]["hard"]["requests.nvidia.com/gpu"] == "8"
    assert world.degraded("objects") is None


def test_a_namespaces_pod_security_and_what_it_sells_are_put_back(world: World):
    def meta() -> dict[str, Any]:
        return world.stack.get("west", "namespace", world.home("marks"))["metadata"]

    wait_for("put back", lambda: meta()["labels"]["pod-security.kubernetes.io/enforce"] != "privileged")  # fmt: skip
    assert "sublet.dev/capabilities" not in meta().get("annotations", {})


def test_a_namespace_that_was_deleted_gets_a_successor_under_the_same_allocation(
    world: World, tmp_path: Path
):
    wait_for("another namespace", lambda: "NamespaceReplaced" in world.events("deleted"))
    after = world.now("deleted")
    before = world.bound["deleted"]["status"]["allocation"]

    assert world.home("deleted", 2) in world.stack.claim_namespaces("west")
    assert after["status"]["access"]["clusters"][0]["namespace"] == world.home("deleted", 2)
    assert after["status"]["allocation"]["boundTime"] == before["boundTime"]
    assert after["status"]["allocation"]["sequence"] == before["sequence"]
    assert after["status"]["lastSequence"] == 2
    assert "created" in _works(world, "deleted", tmp_path)
    lines = [f for f in facts_in(world.operator.database) if f.claim_uid == world.uid("deleted")]
    assert [(f.kind.value, f.type.value) for f in lines] == [("bound", "open")]


def test_a_namespace_that_is_stuck_going_is_said_and_never_written_into(world: World):
    wait_for("said", lambda: world.degraded("stuck") == "NamespaceTerminating")
    assert condition(world.now("stuck"), "Bound") == "True"

    body = json.dumps({"metadata": {"finalizers": None}})
    world.stack.kubectl("west", "-n", world.home("stuck"), "patch", "configmap", "held", "--type=merge", "-p", body)  # fmt: skip
    wait_for("another namespace", lambda: world.home("stuck", 2) in world.stack.claim_namespaces("west"))  # fmt: skip
    wait_for("not degraded any more", lambda: world.degraded("stuck") is None)


@pytest.mark.parametrize("name", ["label", "book", "pool", "tenant"])
def test_marks_of_a_bound_claims_node_are_put_back(world: World, name: str):
    uid, lease_uid = world.uid(name), world.stack.get("hub", "gpulease", "west")["metadata"]["uid"]

    def whole() -> bool:
        node = world.stack.get("west", "node", world.node(name))
        meta, taints = node["metadata"], node["spec"].get("taints", [])
        return (
            meta["annotations"].get("sublet.dev/allocation") == f"{uid}=8"
            and meta["labels"].get(f"claim.sublet.dev/{uid}") == "true"
            and meta["labels"].get("sublet.dev/lease") == lease_uid
            and {"sublet.dev/tenant", "sublet.dev/sharing"} <= meta["annotations"].keys()
            and any(t["key"] == "sublet.dev/pool" and t["value"] == lease_uid for t in taints)
        )

    wait_for("put back", whole)
    assert condition(world.now(name), "Bound") == "True"


def test_a_pool_taint_that_was_changed_is_said_and_left_to_a_person(world: World):
    wait_for("said", lambda: world.degraded("taint") == "NodeInDoubt")
    said = condition(world.now("taint"), "Degraded", "message") or ""
    assert "its sublet.dev/pool taint is another's" in said
    assert condition(world.now("taint"), "Bound") == "True"


def test_a_kubeconfig_that_was_deleted_is_made_anew_and_the_old_token_is_dead(
    world: World, tmp_path: Path
):
    old = _made_anew(world, "secret", tmp_path)

    wait_for("the old one is refused", lambda: "nauthorized" in world.stack.kubectl_with(
        old, "get", "pods", check=False) or "must be logged in" in world.stack.kubectl_with(old, "get", "pods", check=False))  # fmt: skip


def test_a_kubeconfig_that_was_changed_is_made_anew_and_who_works_with_the_old_token_goes_on(
    world: World, tmp_path: Path
):
    old = _made_anew(world, "bytes", tmp_path)

    assert world.stack.kubectl_with(old, "auth", "can-i", "create", "pods").strip() == "yes"


def _made_anew(world: World, name: str, folder: Path) -> Path:
    """Wait for a new kubeconfig that works; returns the path of the old one."""
    wait_for("made anew", lambda: "AccessRenewed" in world.events(name), seconds=120)
    old = folder / "old"
    old.write_text(world.secrets[name])
    old.chmod(0o600)
    assert yaml.safe_load(_kubeconfig(world.stack, name))["kind"] == "Config"
    assert "created" in _works(world, name, folder)
    return old


def test_a_finalizer_that_was_taken_off_is_put_back(world: World):
    wait_for("put back", lambda: "sublet.dev/release" in world.now("finalizer")["metadata"].get("finalizers", []))  # fmt: skip


def test_what_a_vanished_claim_left_is_taken_back_and_its_bill_ends(world: World):
    uid = world.uid("orphan")

    wait_for("free", lambda: world.stack.books("west")[world.node("orphan")] == "", seconds=120)
    assert world.home("orphan") not in world.stack.claim_namespaces("west")
    wait_for("the ledger is closed", lambda: len(_lines(world, uid)) == 4)
    assert _lines(world, uid) == [
        ("bound", "open"), ("bound", "close"), ("releasing", "open"), ("releasing", "close"),
    ]  # fmt: skip


def _lines(world: World, uid: str) -> list[tuple[str, str]]:
    found = [f for f in facts_in(world.operator.database) if f.claim_uid == uid]
    return [(f.kind.value, f.type.value) for f in found]


def test_what_has_our_names_and_isnt_ours_is_left_alone_and_said(world: World):
    wait_for("said", lambda: world.degraded("alike") == "IsolationDegraded")
    alike = ("resourcequota", "-n", world.home("alike"), "sublet")
    stays("left alone", lambda: world.stack.get("west", *alike)["spec"]["hard"] == {"pods": "1"}, seconds=3)  # fmt: skip
    assert "delete it" in (condition(world.now("alike"), "Degraded", "message") or "")

    world.stack.kubectl("west", "-n", world.home("alike"), "delete", "quota", "sublet")
    wait_for(
        "ours is made", lambda: "nvidia.com/gpu" in json.dumps(world.stack.get("west", *alike))
    )
    wait_for("well", lambda: world.degraded("alike") is None)


def test_a_claim_that_neither_hub_nor_ledger_knows_is_held_until_a_person_says_so(world: World):
    wait_for("said", lambda: world.orphaned() == "UnknownClaim", seconds=120)
    name = f"sublet-{STRANGER}-1"
    assert name in world.stack.claim_namespaces("west")

    patch(world.stack, "hub", "gpulease", "west", spec={"releaseOrphans": [STRANGER]})
    wait_for("taken back", lambda: name not in world.stack.claim_namespaces("west"))
    wait_for("nothing is left", lambda: world.orphaned() == "NothingFound")
    unlabelled = world.stack.kubectl("west", "get", "namespaces", "-o", "name")
    assert unlabelled.count("namespace/sublet-") > 1  # one without our label is nobody's business


def test_a_node_that_was_made_anew_is_adopted_anew(world: World):
    def anew() -> bool:
        meta = world.marks("recreated")
        return meta["annotations"].get("sublet.dev/node") == meta["uid"]

    wait_for("adopted anew", anew)
    assert world.marks("recreated")["uid"] != world.uid("recreated")


def test_a_bound_nodes_changed_profile_is_said_and_nothing_is_reverted(world: World):
    node = world.node("profile")
    world.stack.kubectl("west", "label", "node", node, "nvidia.com/gpu.product=NVIDIA-H100-80GB-HBM3-SHARED", "--overwrite")  # fmt: skip
    wait_for("said", lambda: world.degraded("profile") == "ProfileChanged")

    world.stack.kubectl("west", "label", "node", node, "nvidia.com/gpu.product=NVIDIA-H100-80GB-HBM3", "--overwrite")  # fmt: skip
    wait_for("well again", lambda: world.degraded("profile") is None)


def test_a_foreign_pod_on_a_bound_node_is_said_and_left_alone(world: World):
    body = yaml.safe_load(pod("theirs", 1, nodeName=world.node("foreign"), tolerations=[{"operator": "Exists"}]))  # fmt: skip
    body["metadata"]["namespace"] = "kube-system"
    world.stack.apply("west", body)
    wait_for("said", lambda: world.degraded("foreign") == "ForeignPod")

    world.stack.kubectl("west", "-n", "kube-system", "delete", "pod", "theirs", "--force")
    wait_for("well again", lambda: world.degraded("foreign") is None)


def test_nothing_is_written_to_what_is_as_it_was_left(world: World):
    assert _versions(world) == world.control
    assert "Repaired" not in world.events("control")
