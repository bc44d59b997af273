"""Less trodden ways past the policies of a leased cluster: subresources, and the credentials of kubelets.

The landlord's admin tries them, to whom no missing right answers: only a policy can. A node's own credential is what
somebody has who broke out of a pod.
"""

import json
from typing import Any

import pytest
import yaml

from tests.builders.api import uid_of
from tests.builders.nodes import gpu_node
from tests.integration.isolation.tenancy import Tenancy, plain_pod, runs

pytestmark = [pytest.mark.planes, pytest.mark.timeout(400)]

OTHER = uid_of("other claim")
OURS = "only the sublet operator may"


@pytest.fixture(scope="module", autouse=True)
def _other(tenancy: Tenancy) -> None:
    """A namespace of the landlord's own."""
    other = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "other"}}
    tenancy.stack.apply("west", other)


def node(tenancy: Tenancy) -> str:
    """Return a node of acme's claim."""
    return min(tenancy.nodes("work"))


def kubelet(name: str) -> tuple[str, ...]:
    """Return what has kubectl ask as a node."""
    return (f"--as=system:node:{name}", "--as-group=system:nodes", "--as-group=system:authenticated")  # fmt: skip


def put(tenancy: Tenancy, path: str, changes: Any, *how: str) -> str:
    """Return what the server would say to an object that is put there changed: by the admin, if nobody else is named."""
    kind, _, way = path.partition("/")
    name = {"nodes": node(tenancy), "home": tenancy.home("work")}.get(kind, kind)
    plural = "nodes" if kind == "nodes" else "namespaces"
    body = _changed(tenancy.stack.get("west", plural, name), changes)
    del body["metadata"]["resourceVersion"]
    raw = f"--raw=/api/v1/{plural}/{name}/{way}".rstrip("/") + "?dryRun=All"
    said = tenancy.stack.kubectl(
        "west", "replace", raw, "-f", "-", *how, given=json.dumps(body), check=False
    )
    return "accepted" if said.startswith("{") else said


def _changed(body: dict[str, Any], changes: Any) -> dict[str, Any]:
    """Return the object after a merge patch."""
    for key, value in changes.items():
        if isinstance(value, dict):
            body[key] = _changed(body.get(key, {}), value)
        elif value is None:
            body.pop(key, None)
        else:
            body[key] = value
    return body


MARKS = [
    {"labels": {f"claim.sublet.dev/{OTHER}": "true"}},
    {"labels": {"sublet.dev/lease": None}},
    {"annotations": {"sublet.dev/allocation": f"{OTHER}=8"}},
    {"annotations": {"sublet.dev/allocation": None}},
    {"annotations": {"sublet.dev/tenant": OTHER}},
]


@pytest.mark.parametrize("marks", MARKS)
def test_nobody_forges_possession_through_a_nodes_status(tenancy: Tenancy, marks: dict[str, Any]):
    said = put(tenancy, "nodes/status", {"metadata": marks})

    assert "'sublet-node-metadata'" in said
    assert OURS in said


def test_what_isnt_ours_of_a_node_may_be_written_through_its_status(tenancy: Tenancy):
    marks = {"labels": {"landlord.example/rack": "7"}}

    assert put(tenancy, "nodes/status", {"metadata": marks}) == "accepted"


LOOSE = {"pod-security.kubernetes.io/enforce": "privileged"}


@pytest.mark.parametrize("way", ["status", "finalize"])
@pytest.mark.parametrize(
    "marks",
    [
        {"labels": LOOSE},
        {"labels": {"sublet.dev/claim": OTHER}},
        {"annotations": {"sublet.dev/capabilities": "SYS_ADMIN"}},
        {"annotations": {"scheduler.alpha.kubernetes.io/node-selector": "a=b"}},
    ],
)
def test_nobody_loosens_a_claims_namespace_through_its_subresources(
    tenancy: Tenancy, way: str, marks: dict[str, Any]
):
    said = put(tenancy, f"home/{way}", {"metadata": marks})

    assert "'sublet-namespace-metadata'" in said
    assert OURS in said


@pytest.mark.parametrize("way", ["status", "finalize"])
def test_no_namespace_becomes_a_claims_through_its_subresources(tenancy: Tenancy, way: str):
    said = put(tenancy, f"other/{way}", {"metadata": {"labels": {"sublet.dev/claim": OTHER}}})

    assert OURS in said
    assert put(tenancy, f"other/{way}", {"metadata": {"labels": LOOSE}}) == "accepted"


@pytest.mark.parametrize("way", ["", "status", "finalize"])
@pytest.mark.parametrize(
    "marks",
    [{"labels": {"sublet.dev/claim": None}}, {"labels": {"pod-security.kubernetes.io/enforce": None}}],
)  # fmt: skip
def test_nobody_takes_off_what_a_claims_namespace_is_known_by(
    tenancy: Tenancy, way: str, marks: dict[str, Any]
):
    said = put(tenancy, f"home/{way}", {"metadata": marks})

    assert f"{OURS} remove these labels and annotations of a namespace" in said


def test_nobody_has_devices_opened_to_a_claims_namespace_as_to_an_admins(tenancy: Tenancy):
    marks = {"labels": {"resource.kubernetes.io/admin-access": "true"}}

    assert OURS in put(tenancy, "home", {"metadata": marks})
    assert put(tenancy, "other", {"metadata": marks}) == "accepted"


@pytest.mark.parametrize("mark", ["labels", "annotations"])
def test_nobody_makes_a_namespace_with_marks_of_ours(tenancy: Tenancy, mark: str):
    meta = {"name": "forged", mark: {"sublet.dev/claim": OTHER}}
    body = json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": meta})
    create = ("create", "-f", "-", "--dry-run=server")

    said = tenancy.stack.kubectl("west", *create, given=body, check=False)

    assert f"{OURS} add or change these labels and annotations of a namespace" in said


@pytest.mark.parametrize("path", ["nodes", "nodes/status"])
@pytest.mark.parametrize("marks", MARKS)
def test_a_nodes_own_credential_forges_nothing_of_ours(
    tenancy: Tenancy, path: str, marks: dict[str, Any]
):
    said = put(tenancy, path, {"metadata": marks}, *kubelet(node(tenancy)))

    assert "denied request" in said


def test_a_nodes_own_credential_takes_no_taint_of_ours_off(tenancy: Tenancy):
    said = put(tenancy, "nodes", {"spec": {"taints": []}}, *kubelet(node(tenancy)))

    assert f"{OURS} remove sublet.dev labels, annotations and taints of a node" in said


def test_a_nodes_own_credential_brings_no_marks_of_ours_with_a_new_node(tenancy: Tenancy):
    """As a kubelet with `--node-labels` or `--register-with-taints` would, after it deleted its node."""
    new = gpu_node("n1")
    forged = [
        {**new, "metadata": {**new["metadata"], "labels": {"sublet.dev/lease": OTHER}}},
        {**new, "spec": {"taints": [{"key": "sublet.dev/pool", "value": OTHER, "effect": "NoSchedule"}]}},
    ]  # fmt: skip
    as_n1 = (*kubelet("n1"), "--dry-run=server")
    create = ("create", "-f", "-", *as_n1)
    kubectl = tenancy.stack.kubectl

    for node in forged:
        said = kubectl("west", *create, given=yaml.safe_dump(node), check=False)
        assert f"{OURS} add or change" in said
    assert "node/n1 created" in kubectl("west", *create, given=yaml.safe_dump(new))


@pytest.mark.parametrize(
    ("path", "change"),
    [
        ("nodes/status", {"status": {"images": [{"names": ["train:1"], "sizeBytes": 1}]}}),
        ("nodes/status", {"metadata": {"annotations": {"volumes.kubernetes.io/attached": "true"}}}),
        ("nodes", {"metadata": {"labels": {"nvidia.com/gpu.driver": "580"}}}),
    ],
)
def test_a_kubelet_is_never_held_up(tenancy: Tenancy, path: str, change: dict[str, Any]):
    assert put(tenancy, path, change, *kubelet(node(tenancy))) == "accepted"


def mirror(name: str, **spec: Any) -> dict[str, Any]:
    """Return a pod as a kubelet makes it for a file on its disk."""
    pod = plain_pod(name)
    pod["metadata"]["annotations"] = {"kubernetes.io/config.mirror": "x", "kubernetes.io/config.source": "file"}  # fmt: skip
    return {**pod, "spec": {**pod["spec"], **spec}}


@pytest.mark.parametrize("spec", [{"nodeName": "w0"}, {}], ids=["on a node", "on none"])
async def test_no_tenants_pod_passes_for_a_kubelets_own(tenancy: Tenancy, spec: dict[str, Any]):
    pods = f"/api/v1/namespaces/{tenancy.home('work')}/pods"
    async with tenancy.tenant("work") as mallory:
        said = await mallory.creates(pods, mirror("static", **spec))
        assert await mallory.creates(pods, plain_pod("static"), dry=True) == "accepted"

    refused = "spec.nodeName may not be set" if spec else "must set spec.nodeName if mirror pod annotation is set"  # fmt: skip
    assert refused in said


def test_a_nodes_own_credential_puts_no_pod_of_its_own_among_a_claims(tenancy: Tenancy):
    create = ("create", "-f", "-", "--dry-run=server", *kubelet(node(tenancy)))
    body = yaml.safe_dump(mirror("static", nodeName=node(tenancy)))
    kubectl = tenancy.stack.kubectl

    said = kubectl("west", "-n", tenancy.home("work"), *create, given=body, check=False)

    assert "spec.nodeName may not be set" in said


@pytest.mark.parametrize("path", ["pods/{pod}/binding", "bindings"])
async def test_no_tenant_binds_a_pod_by_either_path_though_it_had_the_right(
    tenancy: Tenancy, path: str
):
    """As the landlord may give service accounts any right; the old path is no subresource."""
    home = tenancy.home("work")
    async with tenancy.tenant("work") as mallory:
        pods = f"/api/v1/namespaces/{home}/pods"
        assert await mallory.creates(pods, plain_pod("gated", gpus=0)) == "accepted"
    body = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "gated"}, "target": {"kind": "Node", "name": "w0"}}  # fmt: skip
    raw = f"--raw=/api/v1/namespaces/{home}/{path.format(pod='gated')}?dryRun=All"
    who = (f"--as=system:serviceaccount:{home}:tenant", "--as-group=system:masters")

    said = tenancy.stack.kubectl("west", "create", raw, "-f", "-", *who, given=json.dumps(body), check=False)  # fmt: skip

    tenancy.stack.kubectl("west", "-n", home, "delete", "pod", "gated", "--force", "--grace-period=0")  # fmt: skip
    assert "tenants may not bind pods to nodes" in said


@pytest.mark.parametrize(
    ("plural", "body", "change", "words"),
    [
        ("configmaps", {"data": {"LR": "0.1"}}, {"data": {"NVIDIA_MOFED": "enabled"}}, "are not allowed as keys"),
        ("secrets", {"stringData": {"LR": "0.1"}}, {"stringData": {"NVIDIA_MOFED": "enabled"}}, "are not allowed as keys"),
        ("services", {"spec": {"ports": [{"port": 80}]}}, {"spec": {"externalIPs": ["203.0.113.7"]}}, "spec.externalIPs are not allowed"),
    ],
)  # fmt: skip
async def test_nothing_becomes_by_a_change_what_it_may_not_be_from_the_start(
    tenancy: Tenancy, plural: str, body: Any, change: Any, words: str
):
    path = f"/api/v1/namespaces/{tenancy.home('work')}/{plural}"
    async with tenancy.tenant("work") as mallory:
        assert await mallory.creates(path, {"metadata": {"name": "plain"}, **body}) == "accepted"
        said = await mallory.merges(f"{path}/plain", change)
        assert await mallory.merges(f"{path}/plain", {"metadata": {"labels": {"a": "b"}}}) == "accepted"  # fmt: skip
        assert await mallory.asks("DELETE", f"{path}/plain") == "accepted"

    assert words in said


async def test_a_tenant_resizes_no_pod(tenancy: Tenancy):
    pods = f"/api/v1/namespaces/{tenancy.home('work')}/pods"
    async with tenancy.tenant("work") as mallory:
        said = await mallory.merges(f"{pods}/any/resize", {"spec": {}})

    assert said.startswith("403")
    assert 'cannot patch resource "pods/resize"' in said


def test_after_all_that_the_tenants_own_pod_runs_on_its_own_node(tenancy: Tenancy):
    runs(tenancy, "work")
