"""The tenant's commands with a tenant's own credentials: role `edit` in one namespace of the hub, and what the chart adds to it."""

from collections.abc import Iterator

import pytest
import yaml

from tests.builders.api import claim, gpu_class, lease, tenant
from tests.builders.nodes import gpu_node
from tests.harness.process import OperatorProcess
from tests.harness.shared import borrow_stack
from tests.harness.stack import Stack, condition
from tests.harness.waiting import wait_for
from tests.integration.cli.program import Program

pytestmark = [pytest.mark.planes, pytest.mark.timeout(400)]

ACME, RIVAL = "acme", "rival"
SLOW = 110.0
"""Longer than what is waited for takes on a machine that is busy with other things."""
NEVER = "2099-01-01T00:00:00Z"
"""A claim for then is promised nothing yet, and holds no node of those that are needed here."""
OTHERS = (
    ("get", "claims", "-n", RIVAL),
    ("get", "claims", "-A"),
    ("get", "claims", "plan", "-n", RIVAL),
    ("get", "statements", "-n", RIVAL),
    ("explain", "plan", "-n", RIVAL),
    ("kubeconfig", "plan", "-n", RIVAL),
    ("claim", "mine", "--class", "h100", "--gpus", "8", "-n", RIVAL),
    ("quote", "--class", "h100", "--gpus", "8", "-n", RIVAL),
    ("extend", "plan", "--by", "1h", "-n", RIVAL),
    ("release", "plan", "--yes", "-n", RIVAL),
    ("release", "plan", "--yes", "--suspend", "-n", RIVAL),
)
PLATFORMS = (
    ("get", "leases"),
    ("get", "leases", "west"),
    ("get", "tenants"),
    ("get", "tenants", ACME),
    ("top",),
    ("coverage",),
    ("usage",),
)


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A hub with two tenants, a lease with three nodes, and an operator."""
    running = borrow_stack("tenant-verbs", leased=("west",))
    operator = OperatorProcess(running)
    try:
        for name in (ACME, RIVAL):
            running.apply("hub", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})  # fmt: skip
            running.apply("hub", tenant(name, namespaces=(name,)))
        running.apply("west", *(gpu_node(f"h100-{n}") for n in range(3)))
        running.apply("hub", lease("west", committed=24), gpu_class())
        running.apply("hub", claim("plan", RIVAL, schedule={"startTime": NEVER}))
        operator.start()
        wait_for("the lease is ready", lambda: _lease_is_ready(running), seconds=SLOW)
        yield running
    finally:
        operator.kill()
        running.stop()


@pytest.fixture(scope="module")
def tess(stack: Stack) -> Program:
    """A person of acme: an account with the role `edit` there, and a kubeconfig of it."""
    stack.kubectl("hub", "-n", ACME, "create", "serviceaccount", "tess")
    stack.kubectl("hub", "-n", ACME, "create", "rolebinding", "tess", "--clusterrole=edit", f"--serviceaccount={ACME}:tess")  # fmt: skip
    token = stack.kubectl("hub", "-n", ACME, "create", "token", "tess").strip()
    config = yaml.safe_load(stack.running.kubeconfig("hub").read_text())
    config["users"][0]["user"] = {"token": token}
    config["contexts"][0]["context"]["namespace"] = ACME
    path = stack.folder / "tess.kubeconfig"
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(config))
    person = Program(stack, {"KUBECONFIG": str(path)})
    wait_for(
        "the role is aggregated", lambda: person.run("get", "statements").status == 0, seconds=SLOW
    )
    return person


def _lease_is_ready(stack: Stack) -> bool:
    conditions = (stack.get("hub", "gpulease", "west") or {}).get("status", {}).get("conditions", [])  # fmt: skip
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def claims_of(stack: Stack, namespace: str) -> list[str]:
    return [c["metadata"]["name"] for c in stack.get("hub", "gpuclaims", "-n", namespace)["items"]]


def test_a_tenant_claims_looks_extends_and_releases_with_nothing_but_its_own_rights(
    tess: Program, stack: Stack
):
    tess.works("claim", "train", "--class", "h100", "--gpus", "8", "--for", "2h")
    wait_for("it is bound", lambda: stack.is_bound(ACME, "train"), seconds=SLOW)
    again = tess.refuses("claim", "train", "--class", "h100", "--gpus", "8")
    assert "train" in again

    assert tess.works("get", "claims").line("train").split()[1:3] == ["h100", "8"]
    assert tess.works("explain", "train").line("State:     Bound")
    assert yaml.safe_load(tess.works("kubeconfig", "train").said)["kind"] == "Config"
    extended = tess.run("extend", "train", "--by", "1h", "--wait", "55")
    assert extended.status == 0, extended
    assert stack.claim(ACME, "train")["spec"]["schedule"]["durationSeconds"] == 3 * 3_600

    tess.works("release", "train", "--yes")
    wait_for("it is gone", lambda: "train" not in claims_of(stack, ACME), seconds=SLOW)


def test_a_tenant_is_quoted_and_nothing_of_the_quote_stays(tess: Program, stack: Stack):
    done = tess.run("quote", "--class", "h100", "--gpus", "8", "--for", "2h", "--wait", "55")

    assert done.status == 0, done
    assert "3.99" in done.said
    wait_for(
        "it is gone", lambda: not [c for c in claims_of(stack, ACME) if "quote" in c], seconds=SLOW
    )


def test_a_tenant_suspends_a_claim_that_waits_for_its_start_and_deletes_it(
    tess: Program, stack: Stack
):
    tess.works("claim", "later", "--class", "h100", "--gpus", "8", "--start", NEVER)
    wait_for("it is promised", lambda: _is_promised(stack, "later"), seconds=SLOW)
    tess.works("release", "later", "--yes", "--suspend")
    assert stack.claim(ACME, "later")["spec"]["suspended"] is True

    wait_for("it holds nothing", lambda: not _is_promised(stack, "later"), seconds=SLOW)
    tess.works("release", "later", "--yes")
    wait_for("it is gone", lambda: "later" not in claims_of(stack, ACME), seconds=SLOW)


def test_a_tenant_sees_what_is_sold_and_its_own_bills(tess: Program, stack: Stack):
    assert tess.works("get", "classes").line("h100")

    # a bill of the month appears once something was bound, which another test may have done
    before = _bills(stack)
    said = tess.works("get", "statements")
    seen = [name for name in _bills(stack) if name in said.said]
    assert set(before) <= set(seen)
    assert seen or said.said == f"no gpustatements in namespace {ACME}\n"


def _is_promised(stack: Stack, name: str) -> bool:
    return condition(stack.claim(ACME, name) or {}, "Reserved") == "True"


def _bills(stack: Stack) -> list[str]:
    items = stack.get("hub", "gpustatements.sublet.dev", "-n", ACME)["items"]
    return [each["metadata"]["name"] for each in items]


@pytest.mark.parametrize("command", OTHERS, ids=" ".join)
def test_another_tenants_namespace_is_refused_in_one_line(
    tess: Program, stack: Stack, command: tuple[str, ...]
):
    before = stack.claim(RIVAL, "plan")["spec"]

    said = tess.refuses(*command)

    assert "the hub refuses: " in said
    assert f'User "system:serviceaccount:{ACME}:tess" cannot' in said
    assert claims_of(stack, RIVAL) == ["plan"]
    assert stack.claim(RIVAL, "plan")["spec"] == before


@pytest.mark.parametrize("command", PLATFORMS, ids=" ".join)
def test_what_is_the_platforms_is_refused_in_one_line(tess: Program, command: tuple[str, ...]):
    said = tess.refuses(*command)

    assert "the hub refuses: " in said
    assert f'User "system:serviceaccount:{ACME}:tess" cannot' in said
