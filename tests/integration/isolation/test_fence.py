"""The fence around the operator's own identity in a leased cluster, attacked with its own token."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from sublet.api.ids import ClaimUID
from sublet.api.lease_terms import RoleRule, TenantAccess
from sublet.binder.namespace import Home, contents, namespace
from sublet.fleet.isolation import TENANT_ACCOUNT, probe_pod
from sublet.settings import LONGEST_TOKEN_SECONDS
from tests.builders.api import claim, gpu_class, lease, tenant, uid_of
from tests.builders.nodes import gpu_node
from tests.harness.process import OperatorProcess
from tests.harness.stack import NAMESPACE, Stack
from tests.harness.waiting import wait_for
from tests.integration.isolation.tenancy import ACME, Tenancy, runs

pytestmark = pytest.mark.planes

CLAIM = ClaimUID(uid_of("claim"))
HOME = f"sublet-{CLAIM}-1"
ONE_SCHEDULER = "only the default scheduler is allowed"
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
        obj("ServiceAccount", TENANT_ACCOUNT, "other"),
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
        (("create", "token", "sublet", "-n", NAMESPACE), "cannot create resource"),
        (("create", "token", TENANT_ACCOUNT, "-n", "other"), "may write in claim namespaces only"),
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


@pytest.mark.parametrize("policy", [network("another"), network("open", ingress=[{}], egress=[{}])])
def test_a_thief_makes_no_policy_beside_ours(stack: Stack, thief: Path, policy: dict[str, Any]):
    assert "the only network policy is sublet" in tried(stack, thief, "create", "-f", "-", given=policy)  # fmt: skip


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


@pytest.fixture
def more_rights(stack: Stack, thief: Path) -> Iterator[None]:
    """A landlord's cluster may give the operator's account more than onboarding does."""
    account = f"--serviceaccount={NAMESPACE}:sublet"
    rights = ("--verb=*", "--resource=nodes,nodes/status,secrets")
    stack.kubectl("west", "create", "clusterrole", "more", *rights)
    stack.kubectl("west", "create", "clusterrolebinding", "more", "--clusterrole=more", account)
    wait_for("granted", lambda: "yes" in tried(stack, thief, "auth", "can-i", "delete", "nodes"))
    yield
    stack.kubectl("west", "delete", "clusterrolebinding/more", "clusterrole/more")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("patch", "node", "n0", "--subresource=status", "--type=merge", "-p", '{"metadata": {"labels": {"sublet.dev/x": "y"}}}'), "may only update nodes"),
        (("delete", "node", "n0"), "may only update nodes"),
        (("create", "secret", "generic", "s", "-n", HOME), "writes no secrets in a leased cluster"),
    ],
)  # fmt: skip
def test_the_policy_refuses_to_a_thief_with_more_rights_too(
    stack: Stack, thief: Path, more_rights: None, arguments, words
):
    assert words in tried(stack, thief, *arguments)


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

    assert len(policies) == 12
    assert warned == []


@pytest.fixture
def let_in(stack: Stack, thief: Path) -> Iterator[tuple[str, ...]]:
    """What asks for a change of a bad pod: it was made while the policy was loosened, which acts again."""
    pod = obj("Pod", "let-in", HOME, spec=_badly_scheduled())
    create = ("create", "-f", "-", "--dry-run=server")
    _let_act(stack, "Audit")
    wait_for("let in", lambda: "created" in _asked(stack, *create[:3], given=pod))
    _let_act(stack, "Deny")
    wait_for("refused again", lambda: ONE_SCHEDULER in _asked(stack, *create, given=_renamed(pod)))
    yield ("patch", "pod", "let-in", "-n", HOME)
    stack.kubectl("west", "delete", "pod", "let-in", "-n", HOME, "--force", "--grace-period=0")


def _let_act(stack: Stack, how: str) -> None:
    """Let the policy for claims' pods refuse, or only note."""
    actions = json.dumps({"spec": {"validationActions": [how]}})
    which = ("validatingadmissionpolicybinding", "sublet-claim-pods")
    stack.kubectl("west", "patch", *which, "--type=merge", "-p", actions)


def _asked(stack: Stack, *arguments: str, given: dict[str, Any]) -> str:
    return stack.kubectl("west", *arguments, given=yaml.safe_dump(given), check=False)


def _renamed(pod: dict[str, Any]) -> dict[str, Any]:
    return {**pod, "metadata": {**pod["metadata"], "name": "next"}}


def _badly_scheduled() -> dict[str, Any]:
    spec: dict[str, Any] = probe_pod(bad=True, namespace_uid=CLAIM)["spec"]
    return spec


def test_a_pod_that_the_policy_didnt_see_grows_by_no_resize(stack: Stack, let_in: tuple[str, ...]):
    more = {"cpu": "64", "memory": "1Mi"}
    grown = {"containers": [{"name": "probe", "resources": {"limits": more, "requests": more}}]}
    how = ("--subresource=resize", "--type=strategic", "-p", json.dumps({"spec": grown}))

    assert ONE_SCHEDULER in stack.kubectl("west", *let_in, *how, check=False)


def test_after_all_that_a_tenants_own_pod_runs_on_its_own_node(stack: Stack, thief: Path):
    """On a node that no attack is about."""
    stack.kubectl("hub", "create", "namespace", ACME)
    stack.apply("west", gpu_node("n1", labels={"pool": "sound"}))
    sound = lease("west", committed=8, nodeSelector={"pool": "sound"})
    stack.apply("hub", sound, gpu_class(), tenant(), claim("work", ACME))
    operator = OperatorProcess(stack).start()
    bound = wait_for("bound", lambda: stack.is_bound(ACME, "work"))

    runs(Tenancy(stack, operator, {"work": bound}), "work")
    operator.kill()
