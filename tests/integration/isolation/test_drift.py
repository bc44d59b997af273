"""Policies of a leased cluster that somebody touches: seen within a probe, said, not sold over, mended by onboarding."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from sublet.cli.onboarding.apply import apply_all
from sublet.fleet.isolation import MUTATING, VALIDATING
from sublet.kube.hub import hub_endpoint
from sublet.kube.session import ApiServer
from sublet.manifests.render import leased_cluster
from tests.builders.api import claim, gpu_class, lease, tenant
from tests.builders.nodes import gpu_node
from tests.harness.process import OperatorProcess
from tests.harness.shared import borrow_stack
from tests.harness.stack import ONBOARDED, Stack, condition
from tests.harness.waiting import stays, wait_for
from tests.integration.cli.program import Program
from tests.integration.isolation.tenancy import Tenancy, runs

pytestmark = [pytest.mark.planes, pytest.mark.slow, pytest.mark.timeout(600)]

ACME = "acme"
SEEN_SECONDS = 90.0
"""A probe a second in these tests, and a proof; the machine may be busy."""
EACH = [*(("validating", n) for n in VALIDATING), *(("mutating", n) for n in MUTATING)]


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    running = borrow_stack("policies", leased=("west",))
    try:
        running.kubectl("hub", "create", "namespace", ACME)
        running.apply("west", gpu_node("n0"), gpu_node("n1"))
        running.apply("hub", lease("west", committed=16), gpu_class(), tenant())
        running.apply("hub", claim("bound", ACME))
        yield running
    finally:
        running.stop()


@pytest.fixture(autouse=True)
def operator(stack: Stack) -> Iterator[OperatorProcess]:
    """An operator of each test's own, over a cluster that is sound: of one that is touched again and again the same one asks less often."""
    running = OperatorProcess(stack, SUBLET_LEADER_ELECTION="false").start()
    try:
        wait_for("bound", lambda: stack.is_bound(ACME, "bound"))
        wait_for("isolation is proven", lambda: isolation(stack) == "True", seconds=SEEN_SECONDS)
        yield running
        if isolation(stack) != "True":
            mend(stack)
    finally:
        running.kill()


def isolation(stack: Stack, field: str = "status") -> str | None:
    return condition(stack.get("hub", "gpulease", "west"), "IsolationReady", field)


def is_seen(stack: Stack, what: str) -> None:
    """Wait until the lease says that isolation fails, and because of what."""

    def says() -> bool:
        return isolation(stack) == "False" and what in str(isolation(stack, "message"))

    wait_for(f"{what} is seen", says, seconds=SEEN_SECONDS)
    assert "run `sublet onboard`" in str(isolation(stack, "message"))


def mend(stack: Stack) -> None:
    """Do to the cluster what onboarding does, and wait until the lease is sound."""

    async def put() -> None:
        admin = await hub_endpoint(kubeconfig=str(stack.running.kubeconfig("west")))
        async with ApiServer(admin) as api:
            await apply_all(api, leased_cluster(ONBOARDED))

    asyncio.run(put())
    wait_for("isolation is proven", lambda: isolation(stack) == "True", seconds=SEEN_SECONDS)


@pytest.mark.parametrize(("kind", "name"), EACH)
def test_a_policy_that_is_deleted_is_seen_and_mended(stack: Stack, kind: str, name: str):
    stack.kubectl("west", "delete", f"{kind}admissionpolicy", name)

    is_seen(stack, f"{kind}admissionpolicies/{name} is missing")
    mend(stack)


@pytest.mark.parametrize(("kind", "name"), EACH)
def test_a_binding_that_is_deleted_is_seen_and_mended(stack: Stack, kind: str, name: str):
    stack.kubectl("west", "delete", f"{kind}admissionpolicybinding", name)

    is_seen(stack, f"{kind}admissionpolicybindings/{name} is missing")
    mend(stack)


@pytest.mark.parametrize("name", VALIDATING)
def test_a_binding_that_only_warns_is_seen_and_mended(stack: Stack, name: str):
    patch(stack, f"validatingadmissionpolicybinding/{name}", {"validationActions": ["Audit"]})

    is_seen(stack, f"validatingadmissionpolicybindings/{name} was changed since onboarding")
    mend(stack)


@pytest.mark.parametrize(("kind", "name"), EACH)
def test_a_policy_whose_text_is_changed_is_seen_and_mended(stack: Stack, kind: str, name: str):
    never = [{"name": "never", "expression": "false"}]
    patch(stack, f"{kind}admissionpolicy/{name}", {"matchConditions": never})

    is_seen(stack, f"{kind}admissionpolicies/{name} was changed since onboarding")
    mend(stack)


def patch(stack: Stack, what: str, spec: dict[str, Any]) -> None:
    stack.kubectl("west", "patch", what, "--type=merge", "-p", json.dumps({"spec": spec}))


def test_while_isolation_fails_nothing_is_sold_and_who_is_bound_is_told_and_stays(stack: Stack):
    before = stack.is_bound(ACME, "bound")
    stack.kubectl("west", "delete", "validatingadmissionpolicybinding", "sublet-claim-pods")
    is_seen(stack, "sublet-claim-pods is missing")

    stack.apply("hub", claim("late", ACME))
    wait_for("refused", lambda: "until their isolation is proven" in said(stack, "late", "Ready"))
    wait_for("told", lambda: "the policies that keep tenants apart" in said(stack, "bound", "Degraded"))  # fmt: skip
    stays("not sold", lambda: not stack.is_bound(ACME, "late"), seconds=2)
    now = stack.is_bound(ACME, "bound")
    assert now is not None
    assert before is not None
    assert now["status"]["allocation"] == before["status"]["allocation"]

    Program(stack).onboard()
    wait_for("sold again", lambda: stack.is_bound(ACME, "late"), seconds=SEEN_SECONDS)
    wait_for("told no more", lambda: said(stack, "bound", "Degraded") == "")
    stack.kubectl("hub", "-n", ACME, "delete", "gpuclaim", "late", "--timeout=90s")


def said(stack: Stack, name: str, type_: str) -> str:
    found = stack.claim(ACME, name)
    return (condition(found, type_, "message") if found else None) or ""


def test_after_all_that_the_tenants_own_pod_runs_on_its_own_node(
    stack: Stack, operator: OperatorProcess
):
    bound = stack.is_bound(ACME, "bound")
    assert bound is not None

    runs(Tenancy(stack, operator, {"bound": bound}), "bound")
