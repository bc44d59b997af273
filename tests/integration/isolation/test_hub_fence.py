"""The fence around the operator's own identity on the hub, attacked with its own token."""

import base64
import json
from typing import Any

import pytest
import yaml

from sublet.kube.session import ApiServer
from tests.builders.api import uid_of
from tests.harness.stack import NAMESPACE, operator_kubeconfig
from tests.integration.isolation.tenancy import ACME, GLOBEX, Caller, Object, Tenancy, hub_as, runs

pytestmark = [pytest.mark.planes, pytest.mark.timeout(400)]

SECRETS = f"/api/v1/namespaces/{ACME}/secrets"
SUBLET = "/apis/sublet.dev/v1alpha1"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
PASSWORD = base64.b64encode(b"pa55word-of-acme").decode()
ONE_CLAIM = "the Secret must be owned by one GpuClaim"
NO_LABELS = "the Secret has labels only in Argo CD's namespace"
ONE_TYPE = "the sublet operator writes only Secrets of type sublet.dev/kubeconfig"


def token_of_the_operator(tenancy: Tenancy) -> str:
    config = yaml.safe_load(operator_kubeconfig(tenancy.stack).read_text())
    return str(config["users"][0]["user"]["token"])


async def tried(
    tenancy: Tenancy, method: str, path: str, body: Any = None, *, kind: str = ""
) -> str:
    """Return what the hub says to a thief of the operator's token."""
    async with ApiServer(hub_as(tenancy.stack, token_of_the_operator(tenancy))) as api:
        return await Caller(api).asks(method, path, body, kind=kind)


def owner(tenancy: Tenancy, **changed: str) -> Object:
    found = {
        "apiVersion": "sublet.dev/v1alpha1",
        "kind": "GpuClaim",
        "name": "work",
        "uid": tenancy.uid("work"),
    }
    return {**found, **changed}


def secret(*owners: Object, type_: str = "sublet.dev/kubeconfig", name: str = "planted") -> Object:
    meta: Object = {"name": name, "ownerReferences": list(owners)}
    return {"metadata": meta, "type": type_, "data": {"value": PASSWORD}}


def labelled(body: Object) -> Object:
    """Return a Secret that Argo CD would take for a cluster."""
    labels = {"argocd.argoproj.io/secret-type": "cluster"}
    return {**body, "metadata": {**body["metadata"], "labels": labels}}


@pytest.fixture(scope="module", autouse=True)
def _password(tenancy: Tenancy) -> None:
    """A Secret of the tenant's own, which is nobody else's business."""
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "pw", "namespace": ACME}, "data": {"pw": PASSWORD}}  # fmt: skip
    tenancy.stack.apply("hub", body)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", f"{SECRETS}/pw"),
        ("GET", f"{SECRETS}/work-kubeconfig"),
        ("GET", SECRETS),
        ("GET", "/api/v1/secrets"),
        ("DELETE", f"{SECRETS}/pw"),
        ("DELETE", f"{SECRETS}/work-kubeconfig"),
        ("GET", "/api/v1/namespaces"),
        ("GET", "/api/v1/pods"),
        ("GET", f"/api/v1/namespaces/{ACME}/configmaps"),
        ("GET", f"{RBAC}/clusterroles"),
        ("DELETE", "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/sublet-hub-fence"),
        ("DELETE", f"{SUBLET}/namespaces/{ACME}/gpuclaims/work"),
        ("DELETE", f"{SUBLET}/gpuleases/west"),
        ("DELETE", f"{SUBLET}/gputenants/acme"),
    ],
)  # fmt: skip
async def test_a_thief_of_the_token_reads_and_deletes_nothing_of_anybody(
    tenancy: Tenancy, method, path
):
    said = await tried(tenancy, method, path)

    assert said.startswith("403"), said
    assert "cannot" in said


async def test_a_patch_would_read_and_there_is_no_right_to_one(tenancy: Tenancy):
    """The server puts a copied value into its refusal, before any policy is asked."""
    copy = [{"op": "copy", "from": "/data/pw", "path": "/type"}]
    guess = [{"op": "test", "path": "/data/pw", "value": PASSWORD}]
    for operations in (copy, guess):
        said = await tried(tenancy, "PATCH", f"{SECRETS}/pw", operations, kind="json")
        assert "cannot patch resource" in said
        assert PASSWORD not in said


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: secret(owner(t), type_="Opaque"), ONE_TYPE),
        (lambda t: secret(owner(t), type_="bootstrap.kubernetes.io/token"), ONE_TYPE),
        (lambda _: secret(), ONE_CLAIM),
        (lambda t: secret(owner(t, kind="ConfigMap", apiVersion="v1")), ONE_CLAIM),
        (lambda t: secret(owner(t, apiVersion="sublet.evil/v1")), ONE_CLAIM),
        (lambda t: secret(owner(t), owner(t, uid=t.uid("wide"))), ONE_CLAIM),
        (lambda t: labelled(secret(owner(t))), NO_LABELS),
    ],
)
async def test_a_thief_makes_no_secret_but_a_claims_kubeconfig(tenancy: Tenancy, change, words):
    said = await tried(tenancy, "POST", SECRETS, change(tenancy))

    assert said.startswith("403"), said
    assert words in said


async def test_a_service_accounts_token_isnt_made_by_a_secret(tenancy: Tenancy):
    body = secret(owner(tenancy), type_="kubernetes.io/service-account-token")
    body["metadata"]["annotations"] = {"kubernetes.io/service-account.name": "editor"}

    assert ONE_TYPE in await tried(tenancy, "POST", SECRETS, body)


@pytest.mark.parametrize(
    ("path", "change"),
    [
        (f"{SUBLET}/namespaces/{ACME}/gpuclaims/work", {"spec": {"suspended": True}}),
        (f"{SUBLET}/gpuleases/west", {"spec": {"acceptingClaims": False}}),
        (f"{SUBLET}/gputenants/acme", {"spec": {"suspended": True}}),
        (f"{SUBLET}/gpuclasses/h100", {"spec": {"moveLeadSeconds": 0}}),
        (f"{SUBLET}/namespaces/{ACME}/gpuclaims/work", {"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "none", "uid": uid_of("none")}]}}),
    ],
)  # fmt: skip
async def test_a_thief_rewrites_nothing_that_people_asked_for(tenancy: Tenancy, path, change):
    said = await tried(tenancy, "PATCH", path, change, kind="merge")

    assert "the sublet operator changes no spec and no owner" in said


async def test_a_thief_leads_no_lease_elsewhere(tenancy: Tenancy):
    """Leases' credentials are in the operator's own namespace, where it reads them."""
    path = f"/api/v1/namespaces/{NAMESPACE}/secrets"
    mine = secret(owner(tenancy), type_="Opaque", name="west")

    assert ONE_TYPE in await tried(tenancy, "PUT", f"{path}/west", mine)
    assert ONE_TYPE in await tried(tenancy, "POST", path, secret(type_="Opaque"))


async def test_a_thief_overwrites_no_secret_of_a_tenants_own(tenancy: Tenancy):
    said = await tried(tenancy, "PUT", f"{SECRETS}/pw", secret(owner(tenancy), name="pw"))

    assert not said.startswith("accepted")
    assert PASSWORD not in said
    found = tenancy.stack.get("hub", "secret", "-n", ACME, "pw")
    assert found["data"] == {"pw": PASSWORD}
    assert found["type"] == "Opaque"


def test_a_thief_with_every_right_deletes_no_secret_but_a_claims_kubeconfig(tenancy: Tenancy):
    """As where a cluster's admin gives the account more than the chart does."""
    who = (f"--as=system:serviceaccount:{NAMESPACE}:sublet", "--as-group=system:masters")

    for name, where in (("pw", ACME), ("west", NAMESPACE)):
        delete = ("-n", where, "delete", "secret", name, "--dry-run=server", *who)
        assert ONE_TYPE in tenancy.stack.kubectl("hub", *delete, check=False)


async def test_a_kubeconfig_keeps_its_claim(tenancy: Tenancy):
    other = secret(owner(tenancy, uid=tenancy.uid("wide")), name="work-kubeconfig")

    said = await tried(tenancy, "PUT", f"{SECRETS}/work-kubeconfig", other)

    assert "the Secret keeps its claim" in said


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (f"{RBAC}/clusterrolebindings", {"metadata": {"name": "x"}}),
        (f"{RBAC}/namespaces/{NAMESPACE}/rolebindings", {"metadata": {"name": "x"}}),
        ("/api/v1/namespaces/kube-system/serviceaccounts/default/token", {"spec": {}}),
        (f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/sublet/token", {"spec": {}}),
        (f"/api/v1/namespaces/{ACME}/serviceaccounts/editor/token", {"spec": {}}),
        (f"{SUBLET}/namespaces/{ACME}/gpuclaims", {"metadata": {"name": "x"}}),
        (f"{SUBLET}/gpuleases", {"metadata": {"name": "x"}}),
        (f"/api/v1/namespaces/{ACME}/pods", {"metadata": {"name": "x"}}),
        ("/api/v1/namespaces", {"metadata": {"name": "x"}}),
    ],
)
async def test_a_thief_makes_no_right_token_object_or_pod(tenancy: Tenancy, path, body):
    said = await tried(tenancy, "POST", path, body)

    assert said.startswith("403"), said
    assert "cannot create resource" in said


async def test_a_thief_impersonates_nobody(tenancy: Tenancy):
    said = tenancy.stack.kubectl_with(
        operator_kubeconfig(tenancy.stack), "get", "secrets", "-n", GLOBEX, "--as=admin", check=False
    )  # fmt: skip

    assert "Forbidden" in said
    assert "impersonate" in said


async def test_what_the_operator_must_write_is_accepted(tenancy: Tenancy):
    body = secret(owner(tenancy), name="control")

    assert await tried(tenancy, "POST", SECRETS, body) == "accepted"
    assert await tried(tenancy, "PUT", f"{SECRETS}/control", body) == "accepted"
    tenancy.stack.kubectl("hub", "-n", ACME, "delete", "secret", "control")


def test_every_policy_of_the_hub_type_checks(tenancy: Tenancy):
    policies = tenancy.stack.get("hub", "validatingadmissionpolicies")["items"]
    warned = {
        p["metadata"]["name"]: json.dumps(p["status"]["typeChecking"])
        for p in policies
        if p.get("status", {}).get("typeChecking", {}).get("expressionWarnings")
    }

    assert warned == {}
    assert {p["metadata"]["name"] for p in policies} >= {"sublet-hub-fence", "sublet-hub-kubeconfigs", "sublet-hub-metadata"}  # fmt: skip


def test_after_all_that_the_tenants_own_pod_runs_on_its_own_node(tenancy: Tenancy):
    runs(tenancy, "work")
