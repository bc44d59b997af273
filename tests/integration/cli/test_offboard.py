"""`sublet offboard` on real planes: everything back, or nothing and why."""

from pathlib import Path

import pytest
import yaml

from sublet.api.ids import ClaimUID
from sublet.api.lease_terms import TenantAccess
from sublet.binder.namespace import Home, namespace
from tests.builders.api import lease, uid_of
from tests.builders.nodes import gpu_node
from tests.harness.process import OperatorProcess
from tests.harness.stack import NAMESPACE, Stack, condition
from tests.harness.waiting import wait_for
from tests.integration.cli.operators_hand import adopt
from tests.integration.cli.program import Program, edited, operator_kubeconfig_for

pytestmark = [pytest.mark.planes, pytest.mark.slow, pytest.mark.timeout(400)]

CLAIM, LEASE = uid_of("claim"), uid_of("lease")
ORDER = ("offboard", "--context", "west", "--name", "west")


@pytest.fixture(autouse=True)
def onboarded(sublet: Program, stack: Stack) -> None:
    """West is onboarded and has two fresh nodes; the hub has no lease."""
    stack.kubectl("hub", "delete", "gpuleases", "--all", "--timeout=90s")
    stack.kubectl("west", "delete", "nodes", "--all")
    stack.apply("west", gpu_node("h100-0"), gpu_node("h100-1"))
    sublet.onboard()


@pytest.fixture
def operator(stack: Stack, onboarded: None, tmp_path: Path) -> Path:
    """The operator's own kubeconfig for west."""
    return operator_kubeconfig_for(stack, "west", tmp_path / "operator")


def marks(stack: Stack, node: str) -> str:
    """Whatever of ours is on a node."""
    found = stack.get("west", "node", node)
    everything = [
        *found["metadata"]["labels"],
        *found["metadata"]["annotations"],
        *(t["key"] for t in found["spec"].get("taints", [])),
    ]
    return " ".join(sorted(k for k in everything if "sublet.dev" in k))


def ours(stack: Stack) -> list[str]:
    """Every object of ours that is left in west."""
    kinds = (
        "validatingadmissionpolicies,validatingadmissionpolicybindings,mutatingadmissionpolicies,"
        "mutatingadmissionpolicybindings,clusterroles,clusterrolebindings,namespaces"
    )
    names = [item["metadata"]["name"] for item in stack.get("west", kinds)["items"]]
    return [name for name in names if name.startswith("sublet-")]


def test_everything_is_taken_back_and_other_peoples_marks_stay(
    sublet: Program, stack: Stack, operator: Path
):
    stack.kubectl("west", "label", "node", "h100-0", "team=landlord")
    stack.kubectl("west", "taint", "node", "h100-0", "landlord=x:PreferNoSchedule")
    for node in ("h100-0", "h100-1"):
        adopt(stack, operator, node, LEASE)

    done = sublet.offboard()

    assert done.line("deleted   34 objects and 1 credential")
    assert done.line("cleaned   2 nodes")
    assert done.line("deleted   Secret sublet-system/west on the hub")
    assert ours(stack) == []
    assert marks(stack, "h100-0") == marks(stack, "h100-1") == ""
    node = stack.get("west", "node", "h100-0")
    assert node["metadata"]["labels"]["team"] == "landlord"
    assert "landlord" in [t["key"] for t in node["spec"]["taints"]]
    assert stack.get("hub", "secret", "-n", NAMESPACE, "west") is None
    assert sublet.offboard().line("deleted   0 objects and 0 credentials")


def test_a_lease_that_still_needs_the_cluster_is_named(sublet: Program, stack: Stack):
    stack.apply("hub", lease("west"), lease("h200", clusterRef={"kubeconfigSecretRef": {"name": "west"}}))  # fmt: skip

    said = sublet.refuses(*ORDER)

    assert said.startswith("GpuLease h200, west still needs this cluster: delete it first")
    assert len(ours(stack)) == 33
    stack.kubectl("hub", "delete", "gpulease", "west", "h200")


def test_a_lease_that_reaches_the_cluster_another_way_is_named_too(sublet: Program, stack: Stack):
    uid = stack.get("west", "namespace", "kube-system")["metadata"]["uid"]
    ref = {"kubeconfigSecretRef": {"name": "made-by-hand"}, "clusterUID": uid}
    stack.apply("hub", lease("h100", clusterRef=ref))

    assert "GpuLease h100 still needs this cluster" in sublet.refuses(*ORDER)


def test_nodes_that_claims_hold_are_named_and_nothing_is_changed(
    sublet: Program, stack: Stack, operator: Path
):
    adopt(stack, operator, "h100-0", LEASE, claim=CLAIM)
    adopt(stack, operator, "h100-1", LEASE)

    said = sublet.refuses(*ORDER)

    assert said.startswith("claims hold h100-0: delete the claims first")
    assert len(ours(stack)) == 33
    assert "sublet.dev/pool" in marks(stack, "h100-1")


def test_a_claims_namespace_is_never_left_without_its_policies(
    sublet: Program, stack: Stack, operator: Path
):
    home = namespace(Home(ClaimUID(CLAIM), 1, 8, TenantAccess(), "https://west", None))
    stack.kubectl_with(operator, "create", "-f", "-", given=yaml.safe_dump(home))

    assert f"namespaces of claims are still there (sublet-{CLAIM}-1)" in sublet.refuses(*ORDER)

    stack.kubectl("west", "delete", "namespace", f"sublet-{CLAIM}-1")


def test_what_onboarding_didnt_make_is_kept(sublet: Program, stack: Stack):
    stack.kubectl("west", "delete", "clusterrole", "sublet-tenant")
    stack.kubectl("west", "create", "clusterrole", "sublet-tenant", "--verb=get", "--resource=pods")

    done = sublet.offboard()

    assert done.line("kept      ClusterRole sublet-tenant: onboarding didn't make it")
    assert ours(stack) == ["sublet-tenant"]
    stack.kubectl("west", "delete", "clusterrole", "sublet-tenant")


def test_another_clusters_secret_is_never_deleted(sublet: Program, stack: Stack):
    other = stack.get("hub", "secret", "-n", NAMESPACE, "west")
    other["metadata"] = {
        "name": "east",
        "namespace": NAMESPACE,
        "labels": other["metadata"]["labels"],
        "annotations": {"sublet.dev/cluster-uid": "another"},
    }
    stack.apply("hub", other)

    said = sublet.refuses("offboard", "--context", "west", "--name", "east")

    assert "Secret sublet-system/east on the hub leads to another cluster" in said
    stack.kubectl("hub", "delete", "secret", "-n", NAMESPACE, "east")


def test_the_hub_keeps_its_own_account_when_its_nodes_are_no_longer_leased(
    sublet: Program, stack: Stack
):
    assert "is the hub itself" in sublet.refuses("offboard", "--context", "hub", "--name", "own")
    done = sublet.onboard("--in-cluster", context="hub", name="own")
    assert done.line("ok        isolation is live")
    draft = edited(done.said)
    assert "inCluster: {}" in draft
    stack.kubectl("hub", "apply", "-f", "-", given=draft)
    in_cluster = ("offboard", "--in-cluster", "--context", "hub", "--name", "own")
    assert "GpuLease own still needs" in sublet.refuses(*in_cluster)
    stack.kubectl("hub", "delete", "gpulease", "own")

    done = sublet.offboard("--in-cluster", context="hub", name="own")

    assert done.line(f"kept      Namespace {NAMESPACE}")
    accounts = stack.kubectl("hub", "get", "serviceaccounts", "-n", NAMESPACE, "-o", "name")
    assert "serviceaccount/sublet\n" in accounts
    assert "serviceaccount/sublet-leased" not in accounts
    assert stack.get("hub", "clusterrole", "sublet-hub")


def test_the_charts_account_stays_the_charts(sublet: Program, stack: Stack):
    labels = {"app.kubernetes.io/managed-by": "Helm"}
    meta = {"name": "sublet-leased", "namespace": NAMESPACE, "labels": labels}
    stack.apply("hub", {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta})
    sublet.onboard("--in-cluster", context="hub", name="own")
    done = sublet.offboard("--in-cluster", context="hub", name="own")

    assert done.line("kept      ServiceAccount sublet-leased: onboarding didn't make it")
    kept = stack.get("hub", "serviceaccount", "-n", NAMESPACE, "sublet-leased")
    assert kept["metadata"]["labels"] == labels
    stack.kubectl("hub", "delete", "serviceaccount", "-n", NAMESPACE, "sublet-leased")


def test_a_lease_lives_from_onboarding_to_offboarding(sublet: Program, stack: Stack):
    running = OperatorProcess(stack, "life").start()
    try:
        stack.kubectl("hub", "apply", "-f", "-", given=edited(sublet.onboard().said))
        wait_for("sells", lambda: _free(stack) == 16)
        done = sublet.works("doctor")
        assert "warning" not in done.said
        assert done.line("ok        2 of 2 nodes can be sold: 16 of 16 GPUs")
        assert done.line("ok        the operator says: Selling")
        assert "GpuLease west still needs" in sublet.refuses(*ORDER)
        assert "16 " in sublet.works("top").line("west ")

        stack.kubectl("hub", "delete", "gpulease", "west", "--timeout=90s")
        assert sublet.offboard().line("cleaned   0 nodes")  # the operator has handed them back
    finally:
        running.kill()


def _free(stack: Stack) -> int | None:
    found = stack.get("hub", "gpulease", "west") or {}
    if condition(found, "Ready") != "True":
        return None
    return found["status"]["inventory"]["free"]
