"""`sublet doctor` on real planes: it says ok for a good lease, and plainly what is wrong with a bad one."""

import base64
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.builders.api import lease
from tests.builders.nodes import H200, bare_node, gpu_node, mig_node, sharing_node
from tests.harness.stack import NAMESPACE, Stack
from tests.harness.waiting import wait_for
from tests.integration.cli.operators_hand import adopt
from tests.integration.cli.program import Program, operator_kubeconfig_for

pytestmark = [pytest.mark.planes, pytest.mark.slow, pytest.mark.timeout(400)]

PROBE = "sublet-00000000-0000-0000-0000-000000000000-1"
AGAIN = "run `sublet onboard` for this cluster again"
EVERYTHING = {"operator": "Exists"}
PODS = (("nvidia-plugin", "default"), ("hog", "kube-system"))


@pytest.fixture(scope="module")
def west(sublet: Program, stack: Stack) -> None:
    """A lease, onboarded, with two nodes that the operator has adopted."""
    stack.apply("west", gpu_node("h100-0"), gpu_node("h100-1"))
    stack.apply("hub", lease("west"))
    sublet.onboard()
    operator = operator_kubeconfig_for(stack, "west", stack.folder / "hand")
    for node in ("h100-0", "h100-1"):
        adopt(stack, operator, node, uid(stack))
    wait_for("ready", lambda: "NotReady" not in stack.kubectl("west", "get", "nodes"))


@pytest.fixture
def good(sublet: Program, stack: Stack, west: None) -> None:
    """That lease as it was, whatever a test before did to it."""
    stack.kubectl("hub", "delete", "gpuleases", "--field-selector=metadata.name!=west")
    stack.apply("hub", lease("west"))
    stack.kubectl("west", "delete", "nodes", "-l", "kubernetes.io/hostname notin (h100-0, h100-1)")
    stack.kubectl("west", "uncordon", "h100-0", "h100-1")
    sublet.onboard()


@pytest.fixture
def secret(stack: Stack, good: None) -> Iterator[dict[str, Any]]:
    """The Secret on the hub, for a test to spoil."""
    yield stack.get("hub", "secret", "-n", NAMESPACE, "west")
    stack.kubectl("hub", "delete", "secret", "-n", NAMESPACE, "west", "--ignore-not-found")


def uid(stack: Stack, name: str = "west") -> str:
    return stack.get("hub", "gpulease", name)["metadata"]["uid"]


def found(sublet: Program, *arguments: str) -> str:
    """What doctor says of leases of which one at least must be mended."""
    done = sublet.run("doctor", *arguments)
    assert done.status == 1, done
    assert done.complained == "", done
    return done.said


def put_kubeconfig(stack: Stack, secret: dict[str, Any], text: str | bytes) -> None:
    """Write what somebody might put in place of the lease's kubeconfig."""
    raw = text if isinstance(text, bytes) else text.encode()
    kept = {k: secret["metadata"][k] for k in ("name", "namespace", "labels")}
    data = {"kubeconfig": base64.b64encode(raw).decode()}
    stack.apply("hub", {"apiVersion": "v1", "kind": "Secret", "metadata": kept, "data": data})


def kubeconfig(secret: dict[str, Any]) -> dict[str, Any]:
    """The lease's kubeconfig as onboarding wrote it."""
    config: dict[str, Any] = yaml.safe_load(base64.b64decode(secret["data"]["kubeconfig"]))
    return config


@pytest.mark.usefixtures("good")
def test_a_good_lease_is_well(sublet: Program):
    done = sublet.works("doctor", "west")

    assert done.line("lease west")
    assert done.line("ok        Kubernetes 1.37")
    assert done.line("ok        isolation is live: the policies act")
    assert done.line("ok        2 of 2 nodes can be sold: 16 of 16 GPUs")
    assert done.line("unknown   whether NetworkPolicies are enforced")
    assert done.line("unknown   whether the DNS in kube-system tells tenants")
    # the operator doesn't run here
    assert done.line("warning   the operator says: WaitingForOperator")


@pytest.mark.usefixtures("good")
@pytest.mark.parametrize(
    ("hand", "words"),
    [
        (("delete", "validatingadmissionpolicy", "sublet-claim-pods"), f"error     validatingadmissionpolicies/sublet-claim-pods is missing; {AGAIN}"),
        (("delete", "mutatingadmissionpolicybinding", "sublet-claim-pods"), f"error     mutatingadmissionpolicybindings/sublet-claim-pods is missing; {AGAIN}"),
        (("patch", "validatingadmissionpolicy", "sublet-other-pods", "--type=merge", "-p", '{"spec":{"failurePolicy":"Ignore"}}'), f"error     validatingadmissionpolicies/sublet-other-pods was changed since onboarding; {AGAIN}"),
        (("delete", "namespace", PROBE), f"error     namespace {PROBE} is missing; {AGAIN}"),
        (("delete", "clusterrolebinding", "sublet-operator"), 'error     the operator lacks a right (namespaces "kube-system" is forbidden'),
        (("delete", "secrets", "-n", NAMESPACE, "-l", "sublet.dev/operator-token"), "error     the cluster doesn't accept the operator's credential; run `sublet onboard --rotate`"),
    ],
    ids=["a policy gone", "a binding gone", "a policy changed", "the probe gone", "the rights gone", "the token revoked"],
)  # fmt: skip
def test_what_a_hand_changed_in_the_cluster_is_named(
    sublet: Program, stack: Stack, hand: tuple[str, ...], words: str
):
    stack.kubectl("west", *hand)

    # a token that was used a moment ago is good for ten seconds more
    done = wait_for(words, lambda: d if words in (d := sublet.run("doctor")).said else None)
    assert done.status == 1
    assert done.complained == ""


@pytest.mark.usefixtures("secret")
def test_a_secret_that_is_gone_or_not_labelled_is_named(sublet: Program, stack: Stack):
    stack.kubectl("hub", "label", "secret", "-n", NAMESPACE, "west", "sublet.dev/cluster-credentials-")  # fmt: skip
    assert "Secret sublet-system/west lacks the label" in found(sublet)
    sublet.onboard()
    sublet.works("doctor")

    stack.kubectl("hub", "delete", "secret", "-n", NAMESPACE, "west")
    assert "Secret sublet-system/west isn't on the hub; run `sublet onboard --name west`" in found(sublet)  # fmt: skip


def test_a_kubeconfig_that_is_junk_or_hostile_is_refused_by_field_and_never_shown(
    sublet: Program, stack: Stack, secret: dict[str, Any]
):
    good = kubeconfig(secret)
    token = good["users"][0]["user"]["token"]
    plugin = {"exec": {"command": "touch", "args": [str(stack.folder / "hacked")]}}
    for text, words in (
        ("{ junk: [", "is not YAML"),
        (b"\xff\xfe\x00", "is not YAML"),
        ("kind: Config\n", "current-context: is missing or not a text"),
        (yaml.safe_dump({**good, "users": [{"name": "sublet", "user": plugin}]}), "users[].user.exec: it would run a program"),
        (yaml.safe_dump({**good, "users": [{"name": "sublet", "user": {"token": token, "as": "admin"}}]}), "users[].user.as: isn't supported"),
    ):  # fmt: skip
        put_kubeconfig(stack, secret, text)

        said = found(sublet)

        assert words in said
        assert token not in said
    assert not (stack.folder / "hacked").exists()


def test_a_cluster_that_doesnt_answer_is_named_and_hides_no_other(
    sublet: Program, stack: Stack, secret: dict[str, Any]
):
    away = kubeconfig(secret)
    away["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    other = {"kubeconfigSecretRef": {"name": "nowhere"}}
    stack.apply("hub", lease("a-first", clusterRef=other), lease("z-last", clusterRef=other))
    put_kubeconfig(stack, secret, yaml.safe_dump(away))

    said = found(sublet)

    assert "error     https://127.0.0.1:1: the cluster doesn't answer" in said
    assert said.count("Secret sublet-system/nowhere isn't on the hub") == 2
    assert "object at 0x" not in said


def test_a_kubeconfig_that_leads_elsewhere_is_named(
    sublet: Program, stack: Stack, secret: dict[str, Any]
):
    ref = {"kubeconfigSecretRef": {"name": "west"}, "clusterUID": uid(stack)}
    stack.apply("hub", lease("west", clusterRef=ref))
    assert f"but the lease is pinned to {uid(stack)}" in found(sublet)

    admin = yaml.safe_load(stack.running.kubeconfig("hub").read_text())
    put_kubeconfig(stack, secret, yaml.safe_dump(admin))
    assert "the kubeconfig leads to the hub itself" in found(sublet)


@pytest.mark.usefixtures("good")
def test_nodes_that_cant_be_sold_are_counted_and_explained(sublet: Program, stack: Stack):
    stack.apply("west", mig_node("mig"), sharing_node("slices"), bare_node("bare"), gpu_node("h200", H200))  # fmt: skip
    stack.kubectl("west", "cordon", "h100-1")

    done = sublet.works("doctor")

    assert done.line("ok        1 of 6 nodes can be sold: 8 of ")
    assert done.line("warning   Mig: mig: its GPUs are cut into slices")
    assert done.line("warning   Sharing: slices: time-slicing or MPS")
    assert done.line("warning   LabelsMissing: bare: ")
    assert done.line("warning   WrongProduct: h200: ")
    assert done.line("warning   Cordoned: h100-1: ")

    stack.kubectl("west", "cordon", "h100-0")
    assert "error     0 of 6 nodes can be sold" in found(sublet)


@pytest.fixture
def daemons(stack: Stack, good: None) -> Iterator[None]:
    """A device plugin that doesn't tolerate the pool taint, and a pod of the landlord on every node's GPUs."""
    hog = {"name": "hog", "image": "x", "resources": {"limits": {"nvidia.com/gpu": "8"}}}
    stack.apply("west", gpu_node("outside", labels={"nvidia.com/gpu.present": "false"}))
    stack.apply("west", daemon_set(*PODS[0], [{"name": "x", "image": "x"}], []))
    stack.apply("west", daemon_set(*PODS[1], [hog], [EVERYTHING]))
    try:
        for name, where in PODS:
            wait_for(f"pods of {name}", lambda n=name, w=where: running(stack, n, w))
        yield
    finally:
        for name, where in PODS:
            stack.kubectl("west", "delete", "daemonset", "-n", where, name)
            wait_for(f"no pods of {name}", lambda n=name, w=where: not running(stack, n, w))


@pytest.mark.usefixtures("daemons")
def test_pods_in_the_way_are_named_though_the_operator_sees_no_daemon_sets(sublet: Program):
    done = sublet.run("doctor")
    warned = sublet.onboard()

    assert done.status == 1
    assert "warning   ForeignPods: h100-0, h100-1: pods that aren't a claim's hold GPUs there" in done.said  # fmt: skip
    for said in (done, warned):
        assert said.line(
            "warning   DaemonSet default/nvidia-plugin doesn't tolerate sublet.dev/pool"
        )
        assert "DaemonSet kube-system/hog" not in said.said


def daemon_set(
    name: str, namespace: str, containers: list[dict[str, Any]], tolerations: list[dict[str, str]]
) -> dict[str, Any]:
    labels = {"app": name}
    spec = {"containers": containers, "tolerations": tolerations}
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }


def running(stack: Stack, name: str, namespace: str) -> list[Any]:
    pods = stack.get("west", "pods", "-n", namespace, "-l", f"app={name}") or {"items": []}
    return [pod for pod in pods["items"] if pod["spec"].get("nodeName")]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nope",), "lease nope: not found on the hub"),
        (("No/pe",), "'No/pe' can't be the name of a lease"),
        (("--hub-context", "west"), "the leases: the hub doesn't know this kind; is it the right cluster"),
        (("--hub-context", "nope"), "your kubeconfig has no context nope"),
    ],
)  # fmt: skip
def test_a_question_that_cant_be_answered_is_one_line(
    sublet: Program, arguments: tuple[str, ...], words: str
):
    assert words in sublet.refuses("doctor", *arguments)
