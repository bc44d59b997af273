"""The second identity of a hub whose own nodes are leased, attacked with its own token there: it is a leased cluster's, no more.

On the hub are the tenants' claims, their kubeconfigs, the credentials of all landlords and the operator's own account;
decision 0008 says that none of it is within reach of what adopts nodes and makes claim namespaces.
"""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from sublet.cli.onboarding.apply import apply_all
from sublet.kube.hub import hub_endpoint
from sublet.kube.session import ApiServer
from sublet.manifests.render import LeasedOptions, leased_cluster
from tests.builders.api import claim, gpu_class, lease, tenant, uid_of
from tests.builders.nodes import gpu_node
from tests.harness.process import OperatorProcess
from tests.harness.stack import NAMESPACE, Stack, start_stack
from tests.harness.waiting import wait_for
from tests.integration.isolation.tenancy import ACME, Caller, Tenancy, hub_as, runs

pytestmark = [pytest.mark.planes, pytest.mark.slow, pytest.mark.timeout(400)]

ACCOUNT = "sublet-leased"
SUBLET = "/apis/sublet.dev/v1alpha1"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
SYSTEM = f"/api/v1/namespaces/{NAMESPACE}"
TENANTS = f"/api/v1/namespaces/{ACME}"
FENCED = "the sublet operator may write in claim namespaces only"


@pytest.fixture(scope="module")
def tenancy() -> Iterator[Tenancy]:
    """Acme's claim `work` on a node of the hub's own."""
    stack = start_stack("leased-on-hub", leased=(), hub_nodes=True)
    operator = OperatorProcess(stack)
    try:
        asyncio.run(_onboard(stack))
        operator.start()
        stack.kubectl("hub", "create", "namespace", ACME)
        own = lease("own", committed=8, clusterRef={"inCluster": {}})
        stack.apply("hub", gpu_node("n0"), own, gpu_class(), tenant(), claim("work", ACME))
        bound = wait_for("bound", lambda: stack.is_bound(ACME, "work"))
        yield Tenancy(stack, operator, {"work": bound})
    finally:
        operator.kill()
        stack.stop()


async def _onboard(stack: Stack) -> None:
    endpoint = await hub_endpoint(kubeconfig=str(stack.running.kubeconfig("hub")))
    async with ApiServer(endpoint) as hub:
        await apply_all(hub, leased_cluster(LeasedOptions(account=ACCOUNT)))


async def tried(
    tenancy: Tenancy, method: str, path: str, body: Any = None, *, kind: str = ""
) -> str:
    """Return what the hub says to a thief of the second identity's token."""
    token = tenancy.stack.kubectl("hub", "-n", NAMESPACE, "create", "token", ACCOUNT).strip()
    async with ApiServer(hub_as(tenancy.stack, token)) as api:
        return await Caller(api).asks(method, path, body, kind=kind)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"{TENANTS}/secrets/work-kubeconfig"),
        ("GET", f"{TENANTS}/secrets"),
        ("GET", f"{SYSTEM}/secrets"),
        ("GET", "/api/v1/secrets"),
        ("GET", f"{TENANTS}/configmaps"),
        ("GET", f"{SUBLET}/gpuclaims"),
        ("GET", f"{SUBLET}/namespaces/{ACME}/gpuclaims/work"),
        ("GET", f"{SUBLET}/gpuleases"),
        ("GET", f"{SUBLET}/gputenants"),
        ("GET", f"{SUBLET}/gpustatements"),
        ("GET", "/apis/coordination.k8s.io/v1/leases"),
        ("GET", f"{RBAC}/clusterroles"),
        ("DELETE", f"{SUBLET}/namespaces/{ACME}/gpuclaims/work"),
        ("DELETE", f"{TENANTS}/secrets/work-kubeconfig"),
        ("DELETE", f"{SUBLET}/gpuleases/own"),
        ("DELETE", "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/sublet-hub-fence"),
        ("DELETE", "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/sublet-operator-fence"),
        ("DELETE", f"{SYSTEM}/serviceaccounts/sublet"),
    ],
)  # fmt: skip
async def test_a_thief_reads_and_deletes_nothing_of_the_hubs(tenancy: Tenancy, method, path):
    said = await tried(tenancy, method, path)

    assert said.startswith("403"), said
    assert "cannot" in said


@pytest.mark.parametrize(
    ("path", "change"),
    [
        (f"{SUBLET}/namespaces/{ACME}/gpuclaims/work/status", {"status": {"conditions": []}}),
        (f"{SUBLET}/namespaces/{ACME}/gpuclaims/work", {"metadata": {"finalizers": None}}),
        (f"{SUBLET}/gpuleases/own", {"spec": {"acceptingClaims": False}}),
        (f"{SUBLET}/gpuleases/own/status", {"status": {"conditions": []}}),
        (f"{SUBLET}/gputenants/acme", {"spec": {"suspended": True}}),
        (f"{TENANTS}/secrets/work-kubeconfig", {"data": {"value": "AAAA"}}),
    ],
)
async def test_a_thief_changes_nothing_of_the_hubs(tenancy: Tenancy, path, change):
    said = await tried(tenancy, "PATCH", path, change, kind="merge")

    assert said.startswith("403"), said
    assert "cannot patch resource" in said


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (f"{SYSTEM}/serviceaccounts/sublet/token", {"spec": {}}),
        (f"{SYSTEM}/secrets", {"metadata": {"name": "x"}}),
        (f"{TENANTS}/secrets", {"metadata": {"name": "x"}, "type": "sublet.dev/kubeconfig"}),
        (f"{SUBLET}/namespaces/{ACME}/gpuclaims", claim("mine", ACME)),
        (f"{SUBLET}/gpuleases", lease("mine")),
        (f"{SUBLET}/gputenants", tenant("mine")),
        (f"{RBAC}/clusterrolebindings", {"metadata": {"name": "x"}}),
        (f"{RBAC}/clusterroles", {"metadata": {"name": "x"}}),
        ("/apis/coordination.k8s.io/v1/namespaces/sublet-system/leases", {"metadata": {"name": "x"}}),
    ],
)  # fmt: skip
async def test_a_thief_makes_nothing_on_the_hub(tenancy: Tenancy, path, body):
    said = await tried(tenancy, "POST", path, body)

    assert said.startswith("403"), said
    assert "cannot create resource" in said


@pytest.mark.parametrize("where", [TENANTS, SYSTEM])
async def test_a_thief_writes_in_no_namespace_but_a_claims(tenancy: Tenancy, where: str):
    """It has the right to make such objects anywhere; the fence says where."""
    rights = where.replace("/api/v1", RBAC)
    network = where.replace("/api/v1", "/apis/networking.k8s.io/v1")
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "sublet-tenant"}
    bodies = {
        f"{where}/serviceaccounts": {"metadata": {"name": "tenant"}},
        f"{where}/resourcequotas": {"metadata": {"name": "sublet"}, "spec": {"hard": {"pods": "0"}}},
        f"{where}/limitranges": {"metadata": {"name": "sublet"}, "spec": {"limits": []}},
        f"{network}/networkpolicies": {"metadata": {"name": "sublet"}, "spec": {"podSelector": {}}},
        f"{rights}/rolebindings": {"metadata": {"name": "sublet-tenant"}, "roleRef": role, "subjects": [{"kind": "ServiceAccount", "name": "tenant", "namespace": ACME}]},
    }  # fmt: skip
    for path, body in bodies.items():
        said = await tried(tenancy, "POST", path, body)
        assert FENCED in said, f"{path}: {said}"


async def test_a_thief_makes_deletes_and_takes_over_no_namespace_of_a_tenants(tenancy: Tenancy):
    marks = {"metadata": {"labels": {"sublet.dev/claim": uid_of("mine")}}}

    assert FENCED in await tried(tenancy, "DELETE", TENANTS)
    assert FENCED in await tried(tenancy, "PATCH", TENANTS, marks, kind="merge")
    assert FENCED in await tried(tenancy, "DELETE", SYSTEM)


async def test_a_thief_runs_no_pod_and_deletes_none_of_the_hubs(tenancy: Tenancy):
    pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    tenancy.stack.apply("hub", {"apiVersion": "v1", "kind": "Pod", **pod, "metadata": {"name": "p", "namespace": ACME}})  # fmt: skip

    assert FENCED in await tried(tenancy, "POST", f"{SYSTEM}/pods", pod)
    assert FENCED in await tried(tenancy, "DELETE", f"{TENANTS}/pods")
    assert tenancy.stack.get("hub", "pod", "-n", ACME, "p") is not None


async def test_what_it_must_do_there_it_may(tenancy: Tenancy):
    assert await tried(tenancy, "GET", "/api/v1/nodes") == "accepted"
    assert await tried(tenancy, "GET", "/api/v1/namespaces/kube-system") == "accepted"


def test_after_all_that_the_tenants_own_pod_runs_on_its_own_node(tenancy: Tenancy):
    runs(tenancy, "work")
