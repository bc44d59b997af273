"""What onboarding says and remembers, without a cluster."""

import re
from typing import Any

import msgspec
import pytest

from sublet.api.ids import ClaimUID, ClusterUID
from sublet.binder.namespace import namespace_name
from sublet.book.inventory import Unfit
from sublet.cli.onboarding import onboard
from sublet.cli.onboarding.apply import apply_all, with_digest
from sublet.cli.onboarding.cluster import version_finding
from sublet.cli.onboarding.daemons import (
    RunningPod,
    Toleration,
    daemon_findings,
    daemon_sets_of,
    foreign_nodes,
)
from sublet.cli.onboarding.findings import Level, show
from sublet.cli.onboarding.marks import MADE_BY, ONBOARDING, Install, check_owner
from sublet.cli.onboarding.network import network_finding
from sublet.cli.onboarding.nodes import ADVICE, hardware_findings, some
from sublet.cli.onboarding.options import Allowed, leased_options, missing_namespaces
from sublet.cli.onboarding.place import Pair, Place
from sublet.cli.problems import Problem
from sublet.fleet.isolation import DIGEST, ONBOARDING as NOTE, notes_of, spec_digest
from sublet.kube.errors import NotFound
from sublet.kube.session import ApiServer, Endpoint
from sublet.kube.wire import Node
from sublet.manifests.render import LeasedOptions, leased_cluster
from tests.builders.api import uid_of
from tests.builders.nodes import gpu_node, mig_node

WEST = Place("west", "west", None, "sublet-system")


def wire(*nodes) -> list[Node]:
    return [msgspec.convert(node, Node) for node in nodes]


def pod(namespace: str, owner: str = "", gpus: str = "", node: str = "n0") -> RunningPod:
    owners = [{"kind": "DaemonSet", "name": owner}] if owner else []
    meta = {"name": "p", "namespace": namespace, "ownerReferences": owners}
    limits = {"nvidia.com/gpu": gpus} if gpus else {}
    spec = {"nodeName": node, "containers": [{"resources": {"limits": limits}}]}
    return msgspec.convert({"metadata": meta, "spec": spec}, RunningPod)


def test_every_reason_not_to_sell_a_node_comes_with_advice():
    assert set(ADVICE) == set(Unfit)


def test_products_are_counted_and_nodes_that_cant_be_sold_are_named_once_for_each_reason():
    nodes = wire(gpu_node("a"), gpu_node("b"), mig_node("m1"), mig_node("m2"))

    said = [f.text for f in hardware_findings(nodes)]

    assert said[0] == "2 nodes of NVIDIA-H100-80GB-HBM3 (16 GPUs)"
    assert said[1].startswith("Mig: m1, m2: ")
    assert len(said) == 2


def test_many_names_are_cut_and_the_rest_is_counted():
    assert some(f"n{i}" for i in range(8)) == "n0, n1, n2, n3, n4 and 3 more"


@pytest.mark.parametrize(
    ("option", "field", "text"),
    [
        ("--system-namespace", "system_namespaces", "Bad NS"),
        ("--system-namespace", "system_namespaces", "a,b"),
        ("--system-namespace", "system_namespaces", "x" * 64),
        ("--extra-resource", "extra_resources", "rdma"),
        ("--extra-resource", "extra_resources", "RDMA/hca"),
        ("--capability", "capabilities", "CAP_IPC_LOCK"),
        ("--capability", "capabilities", "ipc_lock"),
        ("--role-resource", "role_resources", "pytorchjobs"),
        ("--role-resource", "role_resources", "kubeflow.org/"),
        ("--role-resource", "role_resources", "kubeflow.org/PyTorchJobs"),
        ("--role-resource", "role_resources", "*/*"),
        ("--priority-class", "priority_classes", "High"),
        ("--pod-network", "pod_networks", "rdma"),
        ("--pod-network", "pod_networks", "fabric/rdma,fabric/flat"),
        ("--pod-network", "pod_networks", "fabric/rdma@eth1"),
        ("--pod-network", "pod_networks", "fabric/"),
        ("--pod-network", "pod_networks", "the.fabric/rdma"),
    ],
)
def test_what_can_never_match_is_refused_by_the_options_name(option, field, text):
    with pytest.raises(Problem, match=re.escape(f"{option}: {text!r} ")):
        Allowed(**{field: ("", text)}).checked()


def test_a_misspelt_option_is_said_before_any_cluster_is_asked(person, hub):
    status, out, err = person.run("onboard", "--context", "hub", "--name", "west", "--capability", "CAP_IPC_LOCK")  # fmt: skip

    assert (status, out) == (1, "")
    assert err == "sublet: --capability: 'CAP_IPC_LOCK' can't be one; write it like IPC_LOCK\n"
    assert hub.requests == []


def test_the_hubs_own_nodes_are_chosen_by_context_and_errors_say_so(person, hub):
    hub.objects["/api/v1/namespaces/kube-system"] = {"metadata": {"uid": uid_of("hub")}}
    hub.objects["/version"] = {"minor": "31"}

    _, _, err = person.run("onboard", "--context", "hub", "--name", "own", "--in-cluster")

    assert "install Sublet there first, or check --context and --namespace" in err


def test_what_a_lease_may_name_may_be_allowed():
    allowed = Allowed(
        system_namespaces=("", "monitoring"),
        extra_resources=("rdma/hca", "rdma/*"),
        capabilities=("IPC_LOCK",),
        role_resources=("kubeflow.org/pytorchjobs", "kubeflow.org/pytorchjobs/status"),
        priority_classes=("high.example.com",),
        pod_networks=("fabric/rdma", "fabric/rdma.example.com"),
    )

    assert allowed.checked() == allowed


async def test_a_system_namespace_that_isnt_there_is_said():
    cluster: Any = Keeping()
    cluster.objects["/api/v1/namespaces/monitoring"] = {}

    (found,) = await missing_namespaces(cluster, ("kube-system", "monitoring", "monitorin"))

    assert found.level is Level.WARNING
    assert "no namespace monitorin here" in found.text


def test_options_that_are_left_out_stay_and_an_empty_text_clears():
    before = Allowed(extra_resources=("rdma/hca",), capabilities=("IPC_LOCK",), audit_only=True).as_data()  # fmt: skip

    after = Allowed(capabilities=("",), role_resources=("a/b",)).over(before)

    assert after.extra_resources == ("rdma/hca",)
    assert after.capabilities == ()
    assert after.role_resources == ("a/b",)
    assert after.audit_only is True
    assert Allowed(audit_only=False).over(before).audit_only is False


def test_options_that_somebody_garbled_are_forgotten():
    assert Allowed().over({"extra_resources": 7, "unknown": 1}) == Allowed().over(None)


async def test_a_variable_that_nvidias_toolkit_doesnt_read_is_refused_before_anything_is_asked():
    unasked = ApiServer(Endpoint("https://west.example.com"))

    with pytest.raises(Problem, match="--device-variable: NVIDIA_GSD isn't one of"):
        await leased_options(unasked, Allowed(device_variables=("NVIDIA_GSD",)), WEST)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (Install("other", "sublet-system", "sublet"), "onboarded for another hub"),
        (Install("hub", "elsewhere", "sublet"), "for the account elsewhere/sublet"),
        (Install("hub", "sublet-system", "sublet-leased"), "for the account sublet-system/sublet-leased"),
    ],
)  # fmt: skip
def test_another_install_is_never_overwritten(found, words):
    with pytest.raises(Problem, match=words):
        check_owner(found, WEST, "hub")


@pytest.mark.parametrize(
    "found",
    [None, Install("", "sublet-system", "sublet"), Install("hub", "sublet-system", "sublet")],
)
def test_an_install_of_ours_or_of_nobody_is_fine(found):
    check_owner(found, WEST, "hub")


def test_pods_of_claims_arent_foreign_and_all_others_are():
    claims = namespace_name(ClaimUID(uid_of("claim")), 12)

    pods = [pod(claims, gpus="8", node="a"), pod("sublet-system", gpus="1", node="b"), pod("x", node="c")]  # fmt: skip

    assert foreign_nodes(pods) == {"b"}


def test_daemon_sets_are_seen_by_their_pods():
    assert set(daemon_sets_of([pod("a", "x"), pod("a", "x"), pod("b")])) == {"a/x"}


@pytest.mark.parametrize(
    ("name", "toleration", "words"),
    [
        ("kube-system/proxy", Toleration(operator="Exists"), None),
        ("monitoring/agent", Toleration(operator="Exists"), "--system-namespace monitoring"),
        ("monitoring/agent", Toleration(operator="Exists", effect="NoExecute"), None),
        ("monitoring/agent", Toleration(key="sublet.dev/pool"), "tolerates sublet.dev/pool"),
        ("gpu-operator/nvidia-plugin", Toleration(key="nvidia.com/gpu"), "doesn't tolerate sublet.dev/pool"),
        ("gpu-operator/nvidia-plugin", Toleration(key="sublet.dev/pool"), None),
        ("default/web", Toleration(key="x"), None),
    ],
)  # fmt: skip
def test_daemon_sets_in_the_way_are_named(name, toleration, words):
    found = list(daemon_findings({name: [toleration]}, ("kube-system", "gpu-operator")))

    assert [words in f.text for f in found] == ([True] if words else [])


class Answering:
    """A cluster that answers with one object, or its list, whatever is asked for."""

    def __init__(self, answer: dict[str, Any]) -> None:
        self.answer = answer
        self.endpoint = Endpoint("https://west", ca_pem="pem")
        self.deleted: list[str] = []

    async def get(self, *_: Any, **__: Any) -> dict[str, Any]:
        return self.answer

    async def apply(self, _: str, body: dict[str, Any]) -> dict[str, Any]:
        return {**body, "metadata": {**body["metadata"], "resourceVersion": "5"}}

    async def delete(self, path: str, **_: Any) -> None:
        self.deleted.append(path)


async def test_no_credential_is_revoked_once_somebody_else_gave_the_hub_another(
    monkeypatch: pytest.MonkeyPatch,
):
    other = {"metadata": {"name": "theirs", "creationTimestamp": "t", "uid": "u"}, "data": {"token": "eA=="}}  # fmt: skip
    leased: Any = Answering({"items": [other]})
    hub: Any = Answering({"data": {"kubeconfig": "dGhlaXJz"}})
    pair = Pair(leased, ClusterUID("w"), hub, ClusterUID("h"))

    async def used(*_: Any) -> None: ...

    monkeypatch.setattr(onboard, "wait_until_used", used)
    with pytest.raises(Problem, match="was changed meanwhile, so no credential was revoked"):
        await onboard._hand_over(onboard.Order(WEST, Allowed(), rotate=True), pair, "mine")

    assert leased.deleted == []


@pytest.mark.parametrize(
    ("names", "level", "words"),
    [
        (("kube-system/calico-node",), Level.OK, "kube-system/calico-node enforces"),
        (("kube-system/kube-flannel", "kube-system/canal"), Level.OK, "kube-system/canal enforces"),
        (("kube-flannel/kube-flannel-ds",), Level.WARNING, "kube-flannel-ds enforces no"),
        (("kube-system/kube-proxy",), Level.UNKNOWN, "whether NetworkPolicies are enforced: no"),
        ((), Level.UNKNOWN, "ask the landlord"),
    ],
)
def test_whether_network_policies_are_enforced_is_said_as_far_as_it_can_be_seen(
    names, level, words
):
    found = network_finding(names)

    assert found.level is level
    assert words in found.text


@pytest.mark.parametrize(
    ("minor", "level", "words"),
    [
        (29, Level.ERROR, "1.29 is too old"),
        (30, Level.WARNING, "its NetworkPolicy may go before its pods (CVE-2024-7598)"),
        (32, Level.WARNING, "Kubernetes 1.32: "),
        (33, Level.OK, "Kubernetes 1.33"),
    ],
)
def test_what_an_older_cluster_lacks_is_said(minor: int, level: Level, words: str):
    found = version_finding(minor)

    assert found.level is level
    assert words in found.text


def test_what_is_unknown_is_nothing_to_be_mended_here(capsys: pytest.CaptureFixture[str]):
    assert show([network_finding(())])
    assert capsys.readouterr().out.startswith("  unknown   whether NetworkPolicies")


class Keeping:
    """A cluster that keeps what it is given, and counts the writes."""

    def __init__(self) -> None:
        self.objects: dict[str, Any] = {}
        self.writes = 0

    async def get(self, path: str) -> dict[str, Any]:
        if path not in self.objects:
            raise NotFound(404, "NotFound", path)
        return {**self.objects[path]}

    async def create(self, path: str, body: dict[str, Any], *, dry_run: bool = False) -> Any:
        return body if dry_run else self._keep(f"{path}/{body['metadata']['name']}", body)

    async def request(self, _: str, path: str, *, body: bytes, **__: Any) -> bytes:
        return body

    async def replace(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return self._keep(path, body)

    def _keep(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        self.writes += 1
        meta = {**body["metadata"], "resourceVersion": str(self.writes)}
        self.objects[path] = {**body, "metadata": meta}
        return body


FENCE = next(
    m for m in leased_cluster(LeasedOptions()) if m["metadata"]["name"] == "sublet-operator-fence"
)


async def test_a_policy_tells_which_version_of_the_onboarding_wrote_it():
    cluster: Any = Keeping()
    await apply_all(cluster, [FENCE])
    (written,) = cluster.objects.values()

    assert written["metadata"]["annotations"] == notes_of(FENCE)
    printed = await with_digest(Keeping(), FENCE)
    assert printed["metadata"]["annotations"] == notes_of(FENCE)


@pytest.mark.parametrize("older", [{}, {NOTE: f"0/{spec_digest(FENCE)}"}], ids=["none", "older"])
async def test_a_policy_that_says_the_same_is_written_anew_if_an_older_onboarding_wrote_it(
    older: dict[str, str],
):
    cluster: Any = Keeping()
    await apply_all(cluster, [FENCE])
    (written,) = cluster.objects.values()
    written["metadata"]["annotations"] = {DIGEST: spec_digest(FENCE), **older}

    assert await apply_all(cluster, [FENCE]) == 1
    (written,) = cluster.objects.values()
    assert written["metadata"]["annotations"] == notes_of(FENCE)
    assert await apply_all(cluster, [FENCE]) == 0


HELM = {"app.kubernetes.io/managed-by": "Helm"}
OURS = {MADE_BY: ONBOARDING}


class Showing:
    """A cluster in which every object is there, with these labels; or none is."""

    def __init__(self, labels: dict[str, str] | None) -> None:
        self.labels = labels

    async def get(self, path: str) -> dict[str, Any]:
        if self.labels is None:
            raise NotFound(404, "NotFound", path)
        return {"metadata": {"labels": self.labels}}


@pytest.mark.parametrize(
    ("labels", "left_out"),
    [
        (None, set()),
        (OURS, {"Namespace"}),
        (HELM, {"Namespace", "ServiceAccount"}),
        ({}, {"Namespace", "ServiceAccount"}),
    ],
    ids=["nothing is there", "onboarding made it", "the chart made it", "somebody made it"],
)
async def test_an_account_that_others_made_is_never_marked_as_onboardings(
    labels: dict[str, str] | None, left_out: set[str]
):
    cluster: Any = Showing(labels)
    manifests = leased_cluster(LeasedOptions(account="sublet-leased"))

    found = {m["kind"] for m in manifests if await onboard._has_owner(cluster, m)}
    assert found == left_out
