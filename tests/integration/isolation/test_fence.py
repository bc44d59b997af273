"""The fence around the operator's own identity in a leased cluster, attacked with its own token."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from sublet.api.ids import ClaimUID
from sublet.api.lease_terms import RoleRule, TenantAccess
from sublet.binder.namespace import TENANT_ACCOUNT, Home, contents, namespace
from sublet.settings import LONGEST_TOKEN_SECONDS
from tests.builders.api import uid_of
from tests.builders.nodes import gpu_node
from tests.harness.stack import NAMESPACE, Stack

pytestmark = pytest.mark.planes

CLAIM = ClaimUID(uid_of("claim"))
HOME = f"sublet-{CLAIM}-1"
OWNED_BY_NOTHING = json.dumps(
    {
        "metadata": {
            "ownerReferences": [
                {"apiVersion": "v1", "kind": "Namespace", "name": "none", "uid": uid_of("none")}
            ]
        }
    }
)


@pytest.fixture(scope="module")
def thief(stack: Stack) -> Path:
    """The operator's own kubeconfig in the leased cluster west."""
    secret = stack.get("hub", "secret", "-n", NAMESPACE, "west")
    path = stack.folder / "thief.kubeconfig"
    path.write_bytes(base64.b64decode(secret["data"]["kubeconfig"]))
    stack.apply(
        "west",
        gpu_node("n0"),
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "other"}},
    )
    home = Home(CLAIM, 1, 8, TenantAccess(), "https://west", None)
    stack.kubectl_with(path, "create", "-f", "-", given=yaml.safe_dump(namespace(home)))
    return path


def tried(stack: Stack, thief: Path, *arguments: str, given: Any = None) -> str:
    text = yaml.safe_dump(given) if given is not None else None
    return stack.kubectl_with(thief, *arguments, given=text, check=False)


def obj(
    kind: str, name: str, where: str | None = None, version: str = "v1", **body: Any
) -> dict[str, Any]:
    meta = {"name": name, **({"namespace": where} if where else {})}
    return {"apiVersion": version, "kind": kind, "metadata": meta, **body}


def test_everything_that_a_bind_makes_is_accepted_twice(stack: Stack, thief: Path):
    access = TenantAccess(
        role_rules=(RoleRule(api_group="kubeflow.org", resources=("pytorchjobs",)),)
    )
    home = Home(CLAIM, 1, 8, access, "https://west", None)

    for _ in range(2):
        for _, each in contents(home):
            said = tried(
                stack,
                thief,
                "apply",
                "--server-side",
                "--field-manager=sublet",
                "-f",
                "-",
                given=each,
            )
            assert "serverside-applied" in said


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (obj("Namespace", "mine"), "may write in claim namespaces only"),
        (obj("Namespace", f"sublet-{CLAIM}-0"), "may write in claim namespaces only"),
        (obj("Pod", "p", HOME, spec={"containers": [{"name": "c", "image": "i"}]}), "runs no pods"),
        (obj("ServiceAccount", "x", "other"), "may write in claim namespaces only"),
        (obj("ResourceQuota", "q", "kube-system", spec={"hard": {}}), "may write in claim namespaces only"),
        (obj("Secret", "s", HOME), "cannot create resource"),
        (
            obj("RoleBinding", "b", HOME, "rbac.authorization.k8s.io/v1",
                roleRef={"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "sublet-tenant"},
                subjects=[{"kind": "User", "name": "thief"}]),
            "the only subject is the namespace's own service account",
        ),
    ],
)  # fmt: skip
def test_a_thief_of_the_credential_can_write_nothing_else(stack: Stack, thief: Path, body, words):
    assert words in tried(stack, thief, "create", "-f", "-", given=body)


def test_the_extra_role_names_nothing_that_the_cluster_doesnt_sell(stack: Stack, thief: Path):
    rules = [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]
    role = obj("Role", "sublet-tenant-extra", HOME, "rbac.authorization.k8s.io/v1", rules=rules)

    said = tried(stack, thief, "apply", "--server-side", "--force-conflicts", "-f", "-", given=role)

    assert "names a kind that this cluster doesn't sell" in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("delete", "namespace", "other"), "may write in claim namespaces only"),
        (("cordon", "n0"), "may only change sublet.dev"),
        (("label", "node", "n0", "team=mine"), "may only change sublet.dev"),
        (("taint", "node", "n0", "sublet.dev/pool=x:NoExecute"), "the only sublet taints are sublet.dev/pool:NoSchedule and sublet.dev/leaving:NoSchedule"),
        (("patch", "node", "n0", "--type=merge", "-p", OWNED_BY_NOTHING), "may not change a node's owners"),
        (("patch", "node", "n0", "--type=merge", "-p", '{"spec": {"providerID": "aws:///none/i-0"}}'), "may not change a node's owners"),
        (("get", "secrets", "-A"), "cannot list resource"),
        (("delete", "validatingadmissionpolicy", "sublet-operator-fence"), "cannot delete resource"),
        (("create", "token", "sublet", "-n", NAMESPACE), "may write in claim namespaces only"),
    ],
)  # fmt: skip
def test_a_thief_of_the_credential_can_change_nothing_else(
    stack: Stack, thief: Path, arguments, words
):
    assert words in tried(stack, thief, *arguments)


def network(name: str = "sublet", **spec: Any) -> dict[str, Any]:
    """Return the claim's own network policy with something else in it."""
    home = Home(CLAIM, 1, 8, TenantAccess(), "https://west", None)
    (policy,) = (each for path, each in contents(home) if "/networkpolicies/" in path)
    meta = {**policy["metadata"], "name": name}
    return {**policy, "metadata": meta, "spec": {**policy["spec"], **spec}}


OWN: dict[str, Any] = {"to": [{"podSelector": {}}]}


@pytest.mark.parametrize(
    "policy",
    [
        network("open", ingress=[{}], egress=[{}]),
        network("another"),
        network(ingress=[{}]),
        network(ingress=[{"from": [{"namespaceSelector": {}}]}]),
        network(ingress=[{"from": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}]),
        network(podSelector={"matchLabels": {"a": "b"}}),
        network(policyTypes=["Ingress"]),
        network(egress=[{}]),
        network(egress=[OWN, {"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}]),
        network(egress=[OWN, {"to": [{"ipBlock": {"cidr": "169.254.169.254/32"}}]}]),
        network(egress=[OWN, {"to": [{"ipBlock": {"cidr": "::/0"}}]}]),
        network(egress=[OWN, {"to": [{"namespaceSelector": {}}]}]),
        network(egress=[{"to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}]}]),
        network(egress=[{"to": [{"ipBlock": {"cidr": "169.254.20.10/32"}}], "ports": [{"port": 53, "endPort": 9_000}]}]),
    ],
)  # fmt: skip
def test_a_thief_opens_nobodys_network(stack: Stack, thief: Path, policy: dict[str, Any]):
    said = tried(
        stack, thief, "apply", "--server-side", "--force-conflicts", "--field-manager=sublet", "-f", "-", given=policy
    )  # fmt: skip

    assert "sublet-operator-fence" in said
    assert "the only network policy is sublet" in said or "get out to each other" in said


@pytest.mark.parametrize(
    ("duration", "is_refused"),
    [("8760h", True), ("24h1s", True), ("24h", False), ("6h", False)],
)
def test_a_thief_makes_no_token_that_outlives_the_credential_by_more_than_a_day(
    stack: Stack, thief: Path, duration: str, is_refused: bool
):
    account = obj("ServiceAccount", TENANT_ACCOUNT, HOME)
    tried(
        stack, thief, "apply", "--server-side", "--field-manager=sublet", "-f", "-", given=account
    )

    said = tried(stack, thief, "create", "token", TENANT_ACCOUNT, "-n", HOME, f"--duration={duration}")  # fmt: skip

    assert (f"lives {LONGEST_TOKEN_SECONDS} seconds at most" in said) is is_refused
    assert (said.count(".") == 2 and said.startswith("ey")) is not is_refused


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("label", "namespace", HOME, "pod-security.kubernetes.io/enforce=privileged", "--overwrite"), "only the sublet operator"),
        (("label", "namespace", "other", f"sublet.dev/claim={CLAIM}"), "only the sublet operator"),
        # two policies refuse it, and the server shows the one that answered first; so it is with the last one
        (("label", "node", "n0", f"claim.sublet.dev/{CLAIM}=true"), "denied request"),
        (("annotate", "node", "n0", "sublet.dev/allocation="), "only the sublet operator"),
        (("annotate", "node", "n0", "sublet.dev/unwiped=forged", "--overwrite"), "denied request"),
    ],
)  # fmt: skip
def test_even_an_admin_doesnt_forge_possession_by_mistake(
    stack: Stack, thief: Path, arguments, words
):
    assert words in stack.kubectl("west", *arguments, check=False)


def test_the_operator_notes_that_a_node_is_to_be_wiped_if_it_is_as_it_was_read(
    stack: Stack, thief: Path
):
    node = json.loads(tried(stack, thief, "get", "node", "n0", "-o", "json"))["metadata"]
    node["annotations"]["sublet.dev/unwiped"] = f"{CLAIM}=landlord.example/clean=true"
    patch = [
        {"op": "test", "path": "/metadata/uid", "value": node["uid"]},
        {"op": "test", "path": "/metadata/resourceVersion", "value": node["resourceVersion"]},
        {"op": "add", "path": "/metadata/annotations", "value": node["annotations"]},
    ]
    asked = ("patch", "node", "n0", "--type=json", "-p", json.dumps(patch))

    assert "node/n0 patched" in tried(stack, thief, *asked)
    assert "patched" not in tried(stack, thief, *asked)


def test_pods_elsewhere_dont_tolerate_the_pool(stack: Stack, thief: Path):
    spec = {"containers": [{"name": "c", "image": "i"}], "tolerations": [{"operator": "Exists"}]}

    said = stack.kubectl(
        "west",
        "create",
        "-f",
        "-",
        given=yaml.safe_dump(obj("Pod", "p", "other", spec=spec)),
        check=False,
    )

    assert "leased GPU nodes are not open to this namespace" in said


def test_every_policy_type_checks(stack: Stack, thief: Path):
    policies = stack.get("west", "validatingadmissionpolicies")["items"]
    warned = [
        p["metadata"]["name"]
        for p in policies
        if p.get("status", {}).get("typeChecking", {}).get("expressionWarnings")
    ]

    assert len(policies) == 10
    assert warned == []
