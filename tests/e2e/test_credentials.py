"""Credentials on real planes: the operator's in a leased cluster and the tenants' own, as they change, die and leak not."""

import asyncio
import base64
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from sublet.fleet.isolation import TENANT_ACCOUNT, TENANT_ROLE
from sublet.kube.errors import Forbidden, KubeError, Unauthorized
from sublet.kube.hub import hub_endpoint
from sublet.kube.session import ApiServer
from tests.builders.api import claim, gpu_class, lease, tenant
from tests.builders.nodes import gpu_node
from tests.harness.between import before_cluster
from tests.harness.pids import api_server_pid
from tests.harness.process import OperatorProcess
from tests.harness.secrets import leaks, places, tokens_of
from tests.harness.stack import NAMESPACE as SYSTEM, Stack, condition
from tests.harness.tenants import write_access
from tests.harness.tokens import Act, seconds_until_refused
from tests.harness.waiting import wait_for
from tests.integration.cli.program import Program

pytestmark = [pytest.mark.planes, pytest.mark.slow, pytest.mark.timeout(180)]

ACME = "acme"
LONG_DUE = "2026-01-01T00:00:00Z"
PATIENCE = 60.0
KNOWN_SECONDS = 11.0
"""An API server remembers for ten seconds that a token was good."""
TRIES = 20
"""Requests, one after the other: an API server hears of a RoleBinding that is gone within a tenth of a second."""
LOOKS = 5
QUICK = {"SUBLET_ISOLATION_SECONDS": "10", "SUBLET_DRIFT_SECONDS": "1"}


@pytest.fixture(scope="module")
def operator(stack: Stack) -> Iterator[OperatorProcess]:
    stack.apply("hub", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": ACME}})
    stack.apply("west", *(gpu_node(f"n{i}") for i in range(4)))
    stack.apply("hub", lease("west", committed=32), gpu_class(), tenant())
    running = OperatorProcess(stack, **QUICK).start()
    stack.apply("hub", claim("stays", ACME))
    wait_for("stays is bound", lambda: stack.is_bound(ACME, "stays"))
    yield running
    running.kill()


@pytest.fixture(autouse=True)
def _nothing_is_lost(operator: OperatorProcess, stack: Stack) -> Iterator[None]:
    """Whatever happens to credentials, a bound claim is untouched by it."""
    before = _holding(stack)
    yield
    wait_for("west is well again", lambda: says(stack, "Ready") == "True")
    assert _holding(stack) == before


def _holding(stack: Stack) -> tuple[Any, list[str]]:
    bound = stack.is_bound(ACME, "stays")
    assert bound is not None
    uid = bound["metadata"]["uid"]
    return bound["status"]["allocation"], [n for n, b in stack.books("west").items() if uid in b]


def says(stack: Stack, type_: str, field: str = "status") -> str | None:
    return condition(stack.get("hub", "gpulease", "west"), type_, field)


def token_in(stack: Stack) -> str:
    """Return the token that the hub holds for west."""
    secret = stack.get("hub", "secret", "-n", SYSTEM, "west")
    config = yaml.safe_load(base64.b64decode(secret["data"]["kubeconfig"]))
    return str(config["users"][0]["user"]["token"])


def put_kubeconfig(stack: Stack, text: str) -> None:
    data = {"data": {"kubeconfig": base64.b64encode(text.encode()).decode()}}
    body = ("--type=merge", "-p", json.dumps(data))
    stack.kubectl("hub", "-n", SYSTEM, "patch", "secret", "west", *body)


def kubeconfig_of(stack: Stack, name: str) -> str:
    secret = stack.get("hub", "secret", "-n", SYSTEM, name)
    return base64.b64decode(secret["data"]["kubeconfig"]).decode()


def test_a_rotated_credential_is_taken_up_before_the_old_one_dies(stack: Stack):
    before = token_in(stack)

    done = Program(stack).onboard("--rotate")

    assert done.line("used      the operator has taken the new credential up")
    assert done.line("revoked   1 older credential")
    assert token_in(stack) != before
    used = stack.get("hub", "gpulease", "west")["status"]["credentialVersion"]
    live = stack.get("hub", "secret", "-n", SYSTEM, "west")["metadata"]["resourceVersion"]
    assert used == live


def test_no_credential_dies_that_the_operator_still_uses_and_it_goes_on_later(
    stack: Stack, operator: OperatorProcess
):
    operator.terminate()
    order = ("onboard", "--context", "west", "--name", "west")

    stopped = Program(stack).run(*order, "--rotate", "--wait", "1")
    assert stopped.status == 1
    assert "hasn't taken the new credential up for west in 1 second" in stopped.complained
    secrets = stack.get("west", "secrets", "-n", SYSTEM, "-l", "sublet.dev/operator-token")
    assert len(secrets["items"]) == 2

    operator.start()
    assert Program(stack).works(*order).line("revoked   1 older credential")


def test_a_revoked_credential_is_said_and_a_new_one_taken_up(stack: Stack):
    stack.kubectl("west", "-n", SYSTEM, "delete", "secret", "-l", "sublet.dev/operator-token")
    wait_for("401 is said", lambda: says(stack, "CredentialsValid") == "False")

    assert "run `sublet onboard --rotate`" in str(says(stack, "CredentialsValid", "message"))
    assert says(stack, "Reachable", "reason") == "Refuses"
    Program(stack).onboard()
    wait_for("accepted", lambda: says(stack, "CredentialsValid") == "True")


def test_a_kubeconfig_that_is_junk_is_said_by_its_field(stack: Stack):
    good = kubeconfig_of(stack, "west")
    token = token_in(stack)
    put_kubeconfig(stack, good.replace("token:", "exec:"))
    wait_for("refused", lambda: says(stack, "CredentialsValid") == "False")

    message = str(says(stack, "CredentialsValid", "message"))
    assert "users[].user.exec" in message
    assert leaks(message, [token]) == []
    put_kubeconfig(stack, good)


def test_a_kubeconfig_that_leads_to_another_cluster_stops_all_writes(stack: Stack):
    good = kubeconfig_of(stack, "west")
    stack.apply("east", gpu_node("e0"))  # one that would be adopted
    with before_cluster(stack, "east", secret="west") as east:
        wait_for("seen", lambda: says(stack, "IdentityConfirmed") == "False")
        assert "pinned to" in str(says(stack, "IdentityConfirmed", "message"))
        make_due(stack, "stays")
        asked = len(east.asked)
        wait_for("looked at again and again", lambda: len(east.asked) >= asked + LOOKS)
        put_kubeconfig(stack, good)
        wait_for("right again", lambda: says(stack, "IdentityConfirmed") == "True")

    assert {method for method, _ in east.asked} == {"GET"}
    wait_for("renewed", lambda: renewal(stack, "stays") > LONG_DUE)


def test_a_right_that_was_taken_away_is_named_and_everything_else_goes_on(stack: Stack):
    role = stack.get("west", "clusterrole", "sublet-operator")
    for rule in role["rules"]:
        if "limitranges" in rule["resources"]:
            rule["verbs"] = ["create"]
    body = ("--type=merge", "-p", json.dumps({"rules": role["rules"]}))
    stack.kubectl("west", "patch", "clusterrole", "sublet-operator", *body)
    wait_for("said", lambda: says(stack, "RightsComplete", "reason") == "PermissionMissing")

    assert "patch limitranges" in str(says(stack, "RightsComplete", "message"))
    renew(stack, "stays")
    Program(stack).onboard()


def renew(stack: Stack, name: str) -> None:
    """Bring the renewal of a claim's tokens forward and wait for it."""
    make_due(stack, name)
    wait_for("renewed", lambda: renewal(stack, name) > LONG_DUE)


def make_due(stack: Stack, name: str) -> None:
    """Bring the renewal of a claim's tokens forward."""
    patch = json.dumps({"status": {"access": {"renewalTime": LONG_DUE}}})
    stack.kubectl("hub", "patch", "gpuclaim", "-n", ACME, name, "--subresource=status", "--type=merge", "-p", patch)  # fmt: skip


def renewal(stack: Stack, name: str) -> str:
    """Return when a claim's tokens are due to be renewed; two within a second live equally long."""
    found = stack.claim(ACME, name)
    assert found is not None
    return str(found["status"]["access"]["renewalTime"])


def expiry(stack: Stack, name: str) -> str:
    found = stack.claim(ACME, name)
    assert found is not None
    return str(found["status"]["access"]["clusters"][0]["expirationTime"])


def access(stack: Stack, name: str, path: Path) -> Path:
    found = stack.claim(ACME, name)
    assert found is not None
    return write_access(stack, found, path)


def home(stack: Stack, name: str) -> str:
    found = stack.claim(ACME, name)
    assert found is not None
    return f"sublet-{found['metadata']['uid']}-1"


def test_an_old_token_works_on_beside_its_successor(stack: Stack, tmp_path: Path):
    old = access(stack, "stays", tmp_path / "old")
    renew(stack, "stays")
    new = access(stack, "stays", tmp_path / "new")

    assert old.read_text() != new.read_text()
    for config in (old, new):
        assert "No resources found" in stack.kubectl_with(config, "get", "pods")


def test_a_cluster_that_is_away_when_tokens_are_due_is_said_with_how_long_access_lasts(
    stack: Stack, operator: OperatorProcess
):
    ends = expiry(stack, "stays")
    pid = api_server_pid(stack, "west")
    os.kill(pid, signal.SIGSTOP)
    try:
        make_due(stack, "stays")
        wait_for("said", lambda: _access_says(stack) == ("False", ends), seconds=120)
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_for("renewed", lambda: (_access_says(stack) or ("",))[0] == "True", seconds=90)
    assert expiry(stack, "stays") > ends


def _access_says(stack: Stack) -> tuple[str, str] | None:
    """Return what the claim says of its access, and the instant in it."""
    found = stack.claim(ACME, "stays")
    assert found is not None
    status = condition(found, "AccessRenewed")
    message = condition(found, "AccessRenewed", "message") or ""
    words = message.removeprefix("access to west lasts until ").split(": ")
    return (status, words[0]) if status else None


def test_a_deleted_secret_comes_back_and_the_old_tokens_die(stack: Stack, tmp_path: Path):
    old = access(stack, "stays", tmp_path / "old")

    async def delete_secret(_: ApiServer) -> None:
        stack.kubectl("hub", "-n", ACME, "delete", "secret", "stays-kubeconfig")

    pods = f"/api/v1/namespaces/{home(stack, 'stays')}/pods"
    waited = measured(stack, old, pods, delete_secret, Unauthorized)
    print(f"\ndeleted Secret: the old token met 401 after {waited:.1f} s")
    wait_for("there again", lambda: stack.get("hub", "secret", "-n", ACME, "stays-kubeconfig"))
    wait_for("said", lambda: "lostTime" not in stack.claim(ACME, "stays")["status"]["access"])
    new = access(stack, "stays", tmp_path / "new")
    assert "No resources found" in stack.kubectl_with(new, "get", "pods")


def measured(
    stack: Stack, tenant_config: Path, path: str, act: Act, refusal: type[KubeError],
    patience: float = PATIENCE,
) -> float:  # fmt: skip
    admin = stack.running.kubeconfig("west")
    work = seconds_until_refused(admin, tenant_config, path, act, refusal, patience=patience)
    return asyncio.run(work)


async def first_refusal(tenant_config: Path, path: str) -> tuple[int, type[KubeError] | None]:
    """Return at which try a token is refused, each on a connection of its own, and how; None if it never is."""
    endpoint = await hub_endpoint(kubeconfig=str(tenant_config))
    for number in range(1, TRIES + 1):
        async with ApiServer(endpoint) as used:
            try:
                await used.get(path)
            except (Forbidden, Unauthorized) as error:
                return number, type(error)
    return TRIES, None


@pytest.fixture
def leaving(stack: Stack, tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A bound claim's kubeconfig, used just now, and its namespace."""
    stack.apply("hub", claim("leaves", ACME))
    wait_for("bound", lambda: stack.is_bound(ACME, "leaves"))
    config, name = access(stack, "leaves", tmp_path / "config"), home(stack, "leaves")
    assert "No resources found" in stack.kubectl_with(config, "get", "pods")
    yield config, name
    stack.kubectl("hub", "delete", "gpuclaim", "-n", ACME, "leaves", "--ignore-not-found", "--timeout=60s")  # fmt: skip


def test_a_token_is_forbidden_everything_once_its_binding_is_gone(
    stack: Stack, leaving: tuple[Path, str]
):
    config, name = leaving
    stack.kubectl("west", "-n", name, "delete", "rolebinding", TENANT_ROLE)

    number, refusal = asyncio.run(first_refusal(config, f"/api/v1/namespaces/{name}/pods"))
    print(f"\nRoleBinding deleted: {refusal} at try {number}")
    assert refusal is Forbidden


def test_a_token_is_known_no_more_soon_after_its_account_is_gone(
    stack: Stack, leaving: tuple[Path, str]
):
    config, name = leaving
    account = f"/api/v1/namespaces/{name}/serviceaccounts/{TENANT_ACCOUNT}"

    async def revoke(admin: ApiServer) -> None:
        await admin.delete(account)

    pods = f"/api/v1/namespaces/{name}/pods"
    waited = measured(stack, config, pods, revoke, Unauthorized, KNOWN_SECONDS)
    print(f"\naccount deleted: 401 after {waited:.2f} s")


def test_a_released_claims_token_is_refused_as_soon_as_its_binding_is_gone(
    stack: Stack, leaving: tuple[Path, str]
):
    config, name = leaving
    stack.kubectl("hub", "delete", "gpuclaim", "-n", ACME, "leaves", "--wait=false")
    wait_for("its binding is gone", lambda: not stack.get("west", "rolebinding", "-n", name, TENANT_ROLE))  # fmt: skip

    number, refusal = asyncio.run(first_refusal(config, f"/api/v1/namespaces/{name}/pods"))
    print(f"\nclaim deleted: {refusal} at try {number}")
    assert refusal in (Forbidden, Unauthorized)


def test_no_token_shows_in_any_object_event_log_or_metric(stack: Stack, operator: OperatorProcess):
    tokens = tokens_of(stack)

    for where, text in places(stack, operator.log):
        assert leaks(text, tokens) == [], where
    assert leaks(operator.metrics_text(), tokens) == []
