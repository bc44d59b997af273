"""`sublet onboard` on real planes, as a platform team uses it."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.builders.nodes import gpu_node, mig_node
from tests.harness.stack import NAMESPACE, Stack
from tests.harness.waiting import wait_for
from tests.integration.cli.program import Program, edited, operator_kubeconfig_for

pytestmark = [pytest.mark.planes, pytest.mark.slow, pytest.mark.timeout(400)]

OTHERS = "validatingadmissionpolicy", "sublet-other-pods"
COREDNS = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "coredns", "namespace": "kube-system"},
    "data": {"Corefile": ".:53 {\n  kubernetes cluster.local in-addr.arpa {\n  }\n}\n"},
}
PROBE = "sublet-00000000-0000-0000-0000-000000000000-1"
KINDS = (
    "validatingadmissionpolicies,validatingadmissionpolicybindings,mutatingadmissionpolicies,"
    "mutatingadmissionpolicybindings,clusterroles,clusterrolebindings,namespaces"
)


@pytest.fixture(scope="module", autouse=True)
def nodes(stack: Stack) -> None:
    stack.apply("west", gpu_node("h100-0"), gpu_node("h100-1"), mig_node("mig"), COREDNS)


@pytest.fixture
def bare(sublet: Program, stack: Stack) -> None:
    if objects(stack):
        sublet.offboard()


@pytest.fixture
def onboarded(sublet: Program, stack: Stack) -> None:
    if not objects(stack):
        sublet.onboard()


def objects(stack: Stack) -> dict[str, Any]:
    """Every object of ours in west that isn't in a namespace -> what it is; of a policy what somebody wrote.

    The control plane writes a policy's status some time after the policy was made, which changes its resourceVersion.
    """
    return {
        f"{item['kind']}/{item['metadata']['name']}": _written(item)
        for item in stack.get("west", KINDS)["items"]
        if item["metadata"]["name"].startswith("sublet-")
    }


def _written(item: dict[str, Any]) -> dict[str, Any]:
    if item["kind"] != "ValidatingAdmissionPolicy":
        return item
    meta = {k: v for k, v in item["metadata"].items() if k != "resourceVersion"}
    return {**{k: v for k, v in item.items() if k != "status"}, "metadata": meta}


def whoami(stack: Stack, config: Path) -> str:
    return stack.kubectl_with(config, "auth", "whoami", check=False)


def fence(stack: Stack) -> str:
    policy: dict[str, Any] = stack.get("west", "validatingadmissionpolicy", "sublet-operator-fence")
    return yaml.safe_dump(policy["spec"], width=1_000)


@pytest.mark.usefixtures("bare")
def test_a_bare_cluster_is_looked_at_prepared_and_proven(
    sublet: Program, stack: Stack, tmp_path: Path
):
    done = sublet.onboard()

    assert done.line("ok        Kubernetes 1.37")
    assert done.line("ok        2 nodes of NVIDIA-H100-80GB-HBM3 (16 GPUs)")
    assert "switch MIG off" in done.line("warning   Mig: mig:")
    assert done.line("warning   the DNS in kube-system answers reverse lookups of Services")
    assert done.line("applied   34 objects, 34 of them changed")
    assert done.line("written   Secret sublet-system/west on the hub")
    assert done.line("ok        isolation is live")
    config = operator_kubeconfig_for(stack, "west", tmp_path / "config")
    assert "system:serviceaccount:sublet-system:sublet" in whoami(stack, config)


def test_the_draft_is_refused_as_it_is_and_accepted_once_it_is_edited(
    sublet: Program, stack: Stack
):
    said = sublet.onboard().said
    draft = said[said.index("apiVersion:") :]
    tried = ("apply", "--dry-run=server", "-f", "-")

    refused = stack.kubectl("hub", *tried, given=draft, check=False)
    for field in ("tenantAlias", "startTime", "endTime", "gpus", "perGpuHour"):
        assert f"{field}: Invalid value" in refused
    assert "created (server dry run)" in stack.kubectl("hub", *tried, given=edited(said))
    spec = yaml.safe_load(draft)["spec"]
    assert spec["product"] == "NVIDIA-H100-80GB-HBM3"
    assert spec["commitment"]["phases"][0]["gpus"] == "EDIT-16"


@pytest.mark.usefixtures("onboarded")
def test_onboarding_again_changes_nothing(sublet: Program, stack: Stack):
    before = objects(stack)

    assert sublet.onboard().line("applied   34 objects, 0 of them changed")
    assert objects(stack) == before


@pytest.mark.usefixtures("bare")
def test_a_dry_run_prints_what_the_server_accepts_and_changes_nothing(
    sublet: Program, stack: Stack
):
    printed = sublet.onboard("--dry-run").said
    assert objects(stack) == {}

    # kubectl's own dry run knows no namespace that a document before would have made
    stack.kubectl("west", "create", "namespace", NAMESPACE)
    tried = stack.kubectl("west", "apply", "--dry-run=server", "-f", "-", given=printed)
    assert tried.count("(server dry run)") == 34
    assert list(objects(stack)) == [f"Namespace/{NAMESPACE}"]
    stack.kubectl("west", "delete", "namespace", NAMESPACE)


@pytest.mark.usefixtures("bare")
def test_what_a_pipeline_applied_is_proven_and_left_as_it_is(sublet: Program, stack: Stack):
    stack.kubectl("west", "apply", "-f", "-", given=sublet.onboard("--dry-run").said)

    # the binding gets the name of the hub that the cluster is for
    assert sublet.onboard().line("applied   34 objects, 1 of them changed")


@pytest.mark.usefixtures("onboarded")
def test_a_rotated_credential_works_and_the_old_one_is_refused_within_seconds(
    sublet: Program, stack: Stack, tmp_path: Path
):
    old = operator_kubeconfig_for(stack, "west", tmp_path / "old")

    assert sublet.onboard("--rotate").line("revoked   1 older credential")

    new = operator_kubeconfig_for(stack, "west", tmp_path / "new")
    assert "system:serviceaccount" in whoami(stack, new)
    wait_for("the old one refused", lambda: "Unauthorized" in whoami(stack, old), seconds=20)
    assert "revoked" not in sublet.onboard().said


def test_what_was_allowed_before_stays_allowed_until_it_is_said_anew(sublet: Program, stack: Stack):
    sublet.onboard("--extra-resource", "rdma/hca", "--system-namespace", "landlord")

    sublet.onboard("--rotate")
    assert "rdma/hca" in fence(stack)
    assert "landlord" in yaml.safe_dump(stack.get("west", *OTHERS)["spec"])

    sublet.onboard("--extra-resource", "", "--system-namespace", "")
    assert "rdma/hca" not in fence(stack)
    assert "landlord" not in yaml.safe_dump(stack.get("west", *OTHERS)["spec"])


@pytest.mark.usefixtures("onboarded")
@pytest.mark.parametrize(
    "hand",
    [
        ("patch", *OTHERS, "--type=merge", "-p", '{"spec":{"matchConditions":[{"name":"never","expression":"false"}]}}'),
        ("patch", *OTHERS, "--type=merge", "-p", '{"spec":{"matchConstraints":{"objectSelector":{"matchLabels":{"a":"b"}}}}}'),
        ("patch", "validatingadmissionpolicybinding", OTHERS[1], "--type=merge", "-p", '{"spec":{"validationActions":["Audit"]}}'),
        ("delete", "validatingadmissionpolicybinding", OTHERS[1]),
        ("delete", "clusterrole", "sublet-tenant"),
        ("delete", "namespace", PROBE),
    ],
    ids=["a condition added", "a selector added", "a binding softened", "a binding gone", "a role gone", "the probe gone"],
)  # fmt: skip
def test_onboarding_again_mends_what_a_hand_changed(
    sublet: Program, stack: Stack, hand: tuple[str, ...]
):
    spec = stack.get("west", *OTHERS)["spec"]
    stack.kubectl("west", *hand)

    done = sublet.onboard()

    assert done.line("applied   34 objects, 1 of them changed")
    assert done.line("ok        isolation is live")
    assert stack.get("west", *OTHERS)["spec"] == spec


def test_the_hub_is_no_leased_cluster_by_mistake(sublet: Program):
    said = sublet.refuses("onboard", "--context", "hub", "--name", "west")

    assert "is the hub itself; a lease needs a cluster of its own" in said


@pytest.mark.usefixtures("onboarded")
def test_a_cluster_of_another_hub_is_refused_and_taken_over_only_when_told(
    sublet: Program, stack: Stack
):
    mark = ("annotate", "clusterrolebinding", "sublet-operator", "--overwrite")
    stack.kubectl("west", *mark, "sublet.dev/hub=another")

    assert "onboarded for another hub" in sublet.refuses("onboard", "--context", "west", "--name", "west")  # fmt: skip
    assert "onboarded for another hub" in sublet.refuses("offboard", "--context", "west", "--name", "west")  # fmt: skip
    assert sublet.onboard("--take-over").line("applied   34 objects, 1 of them changed")


@pytest.mark.usefixtures("onboarded")
def test_a_name_that_is_taken_is_refused(sublet: Program, stack: Stack):
    stack.kubectl("hub", "-n", NAMESPACE, "create", "secret", "generic", "billing")
    other = ("secret", "-n", NAMESPACE, "west", "sublet.dev/cluster-uid=another", "--overwrite")

    assert "isn't one of onboarding's" in refused(sublet, "billing")
    stack.kubectl("hub", "annotate", *other)
    assert "leads to another cluster" in refused(sublet, "west")
    stack.kubectl("hub", "delete", "secret", "-n", NAMESPACE, "billing", "west")
    sublet.onboard()
    assert "onboarded as west already" in refused(sublet, "west-2")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--context", "nope"), "your kubeconfig has no context nope; give --context (there are: hub, west)"),
        (("--hub-context", "nope"), "your kubeconfig has no context nope"),
        (("--namespace", "nope"), "the hub has no namespace nope: install Sublet there first"),
        (("--name", "No/pe"), "'No/pe' can't be the name of a lease"),
        (("--capability", "NET'ADMIN"), "can't be one; write it like IPC_LOCK"),
    ],
)  # fmt: skip
def test_an_order_that_cant_be_right_changes_nothing(
    sublet: Program, stack: Stack, options: tuple[str, ...], words: str
):
    before = objects(stack)

    said = sublet.refuses("onboard", "--context", "west", "--name", "west", *options)

    assert words in said
    assert objects(stack) == before


def refused(sublet: Program, name: str) -> str:
    return sublet.refuses("onboard", "--context", "west", "--name", name)
