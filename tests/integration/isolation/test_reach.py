"""What a tenant's credential reaches in a leased cluster beside its own pods: nothing. Tried with the kubeconfig itself."""

from typing import Any

import pytest

from tests.integration.isolation.tenancy import Tenancy, plain_pod, runs

pytestmark = [pytest.mark.planes, pytest.mark.timeout(400)]

RBAC = "/apis/rbac.authorization.k8s.io/v1"
DRA = "/apis/resource.k8s.io/v1"
EDIT = {
    "metadata": {"name": "mine"},
    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"},
    "subjects": [{"kind": "ServiceAccount", "name": "tenant", "namespace": "HOME"}],
}
ALL = {"metadata": {"name": "mine"}, "rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]}  # fmt: skip
DEVICES = {"devices": {"requests": [{"name": "g", "exactly": {"deviceClassName": "gpu.nvidia.com", "adminAccess": True}}]}}  # fmt: skip


async def tried(
    tenancy: Tenancy, method: str, path: str, body: Any = None, *, kind: str = ""
) -> str:
    """Return what the server says to acme's tenant; HOME, THEIRS and NODE stand for what is there."""
    path = path.replace("HOME", tenancy.home("work")).replace("THEIRS", tenancy.home("theirs"))
    path = path.replace("NODE", min(tenancy.nodes("work")))
    async with tenancy.tenant("work") as mallory:
        return await mallory.asks(method, path, body, kind=kind)


def is_refused_by_rbac(said: str) -> bool:
    return said.startswith("403") and "cannot" in said and ":tenant" in said


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/nodes"),
        ("GET", "/api/v1/nodes/NODE"),
        ("GET", "/api/v1/nodes/NODE/proxy/pods"),
        ("DELETE", "/api/v1/nodes/NODE"),
        ("GET", "/api/v1/namespaces"),
        ("GET", "/api/v1/pods"),
        ("GET", "/api/v1/namespaces/THEIRS/pods"),
        ("GET", "/api/v1/namespaces/THEIRS/secrets"),
        ("GET", "/api/v1/namespaces/kube-system/secrets"),
        ("GET", "/api/v1/namespaces/sublet-system/serviceaccounts"),
        ("GET", f"{RBAC}/clusterroles"),
        ("GET", "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"),
        ("DELETE", "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings/sublet-claim-pods"),
    ],
)  # fmt: skip
async def test_a_tenant_sees_and_touches_nothing_outside_its_namespace(
    tenancy: Tenancy, method, path
):
    said = await tried(tenancy, method, path)

    assert is_refused_by_rbac(said), said


@pytest.mark.parametrize("what", ["labels", "annotations", "taints"])
async def test_a_tenant_marks_no_node(tenancy: Tenancy, what: str):
    forged = {
        "labels": {"metadata": {"labels": {f"claim.sublet.dev/{tenancy.uid('work')}": "true"}}},
        "annotations": {"metadata": {"annotations": {"sublet.dev/allocation": ""}}},
        "taints": {"spec": {"taints": []}},
    }
    for path in ("/api/v1/nodes/NODE", "/api/v1/nodes/NODE/status"):
        said = await tried(tenancy, "PATCH", path, forged[what], kind="merge")
        assert is_refused_by_rbac(said), said


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("DELETE", "/api/v1/namespaces/HOME/resourcequotas/sublet", None),
        ("PATCH", "/api/v1/namespaces/HOME/resourcequotas/sublet", {"spec": {"hard": {"pods": "9999"}}}),
        ("POST", "/api/v1/namespaces/HOME/resourcequotas", {"metadata": {"name": "q"}}),
        ("DELETE", "/apis/networking.k8s.io/v1/namespaces/HOME/networkpolicies/sublet", None),
        ("POST", "/apis/networking.k8s.io/v1/namespaces/HOME/networkpolicies", {"metadata": {"name": "open"}}),
        ("DELETE", "/api/v1/namespaces/HOME/limitranges/sublet", None),
        ("PATCH", "/api/v1/namespaces/HOME", {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "privileged"}}}),
        ("PATCH", "/api/v1/namespaces/HOME", {"metadata": {"labels": {"resource.kubernetes.io/admin-access": "true"}}}),
        ("PATCH", "/api/v1/namespaces/HOME", {"metadata": {"annotations": {"sublet.dev/capabilities": "SYS_ADMIN"}}}),
        ("DELETE", "/api/v1/namespaces/HOME", None),
    ],
)  # fmt: skip
async def test_a_tenant_keeps_the_fence_of_its_own_namespace(tenancy: Tenancy, method, path, body):
    said = await tried(tenancy, method, path, body, kind="merge" if method == "PATCH" else "")

    assert is_refused_by_rbac(said), said


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (f"{RBAC}/namespaces/HOME/rolebindings", EDIT),
        (f"{RBAC}/namespaces/HOME/roles", ALL),
        (f"{RBAC}/clusterrolebindings", EDIT),
        ("/api/v1/namespaces/HOME/serviceaccounts", {"metadata": {"name": "mine"}}),
        ("/api/v1/namespaces/HOME/serviceaccounts/tenant/token", {"spec": {"expirationSeconds": 86_400}}),
        ("/api/v1/namespaces/HOME/serviceaccounts/default/token", {"spec": {}}),
        ("/apis/certificates.k8s.io/v1/certificatesigningrequests", {"metadata": {"name": "c"}}),
    ],
)  # fmt: skip
async def test_a_tenant_gives_itself_no_right_and_no_token(tenancy: Tenancy, path, body):
    said = await tried(tenancy, "POST", path, body)

    assert is_refused_by_rbac(said), said


async def test_a_tenant_has_no_token_made_by_a_secret(tenancy: Tenancy):
    """The token controller fills such a Secret, and what it puts there never ends."""
    body = {
        "metadata": {"name": "t", "annotations": {"kubernetes.io/service-account.name": "tenant"}},
        "type": "kubernetes.io/service-account-token",
    }

    said = await tried(tenancy, "POST", "/api/v1/namespaces/HOME/secrets", body)

    assert "tenants may not have a service account's token made by a Secret" in said


async def test_a_tenant_takes_no_address_that_others_talk_to(tenancy: Tenancy):
    path = f"/api/v1/namespaces/{tenancy.home('work')}/services"
    spec = {"ports": [{"port": 443}], "externalIPs": ["203.0.113.7"]}
    async with tenancy.tenant("work") as mallory:
        said = await mallory.creates(path, {"metadata": {"name": "in"}, "spec": spec})

    assert "spec.externalIPs are not allowed" in said


async def test_a_tenant_impersonates_nobody(tenancy: Tenancy):
    said = tenancy.stack.kubectl_with(
        tenancy.access("work"), "get", "--raw=/api/v1/namespaces/default/pods", "--as=system:admin", check=False
    )  # fmt: skip

    assert "Forbidden" in said
    assert "impersonate" in said


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/v1/namespaces/HOME/pods/victim/binding", {"target": {"kind": "Node", "name": "NODE"}}),
        ("/api/v1/namespaces/HOME/bindings", {"metadata": {"name": "victim"}, "target": {"kind": "Node", "name": "e0"}}),
    ],
)  # fmt: skip
async def test_a_tenant_binds_no_pod_to_a_node(tenancy: Tenancy, path, body):
    said = await tried(tenancy, "POST", path, body)

    assert is_refused_by_rbac(said), said


async def test_the_policy_refuses_a_binding_even_to_a_tenant_with_the_right(tenancy: Tenancy):
    """A landlord's cluster may give service accounts more than we do."""
    home = tenancy.home("work")
    admin = ("--clusterrole=admin-of-all", f"--serviceaccount={home}:tenant")
    kubectl = tenancy.stack.kubectl
    kubectl("west", "create", "clusterrole", "admin-of-all", "--verb=create", "--resource=pods/binding")  # fmt: skip
    kubectl("west", "create", "clusterrolebinding", "too-much", *admin)
    try:
        target = {"target": {"kind": "Node", "name": "w0"}}
        async with tenancy.tenant("work") as mallory:
            pods = f"/api/v1/namespaces/{home}/pods"
            assert await mallory.creates(pods, plain_pod("gated")) == "accepted"
            said = await mallory.creates(
                f"{pods}/gated/binding", {"metadata": {"name": "gated"}, **target}
            )
            assert await mallory.asks("DELETE", f"{pods}/gated") == "accepted"
    finally:
        kubectl("west", "delete", "clusterrolebinding/too-much", "clusterrole/admin-of-all")

    assert "tenants may not bind pods to nodes" in said


@pytest.mark.parametrize("kind", ["resourceclaims", "resourceclaimtemplates"])
async def test_a_tenant_claims_no_device_past_its_claim(tenancy: Tenancy, kind: str):
    spec = DEVICES if kind == "resourceclaims" else {"spec": DEVICES}
    body = {"metadata": {"name": "all"}, "spec": spec}

    said = await tried(tenancy, "POST", f"{DRA}/namespaces/HOME/{kind}", body)

    assert is_refused_by_rbac(said), said


async def test_a_tenant_runs_no_more_gpus_than_it_claims(tenancy: Tenancy):
    path = f"/api/v1/namespaces/{tenancy.home('work')}/pods"
    async with tenancy.tenant("work") as mallory:
        said = await mallory.creates(path, plain_pod("greedy", gpus=9))

    assert "exceeded quota: sublet, requested: requests.nvidia.com/gpu=9" in said


@pytest.mark.parametrize(
    "spec",
    [
        {"type": "NodePort", "ports": [{"port": 80}]},
        {"type": "LoadBalancer", "ports": [{"port": 80}]},
    ],
)
async def test_a_tenant_opens_no_way_in_from_outside(tenancy: Tenancy, spec):
    path = f"/api/v1/namespaces/{tenancy.home('work')}/services"
    async with tenancy.tenant("work") as mallory:
        said = await mallory.creates(path, {"metadata": {"name": "in"}, "spec": spec})
        inner = {"metadata": {"name": "in"}, "spec": {"ports": [{"port": 80}]}}
        assert await mallory.creates(path, inner, dry=True) == "accepted"

    assert "exceeded quota: sublet" in said


def test_after_all_that_the_tenants_own_pod_runs_on_its_own_node(tenancy: Tenancy):
    runs(tenancy, "work")
