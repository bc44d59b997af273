"""A lease of the hub's own GPU nodes: reached by a second, narrow identity and never with the hub's own rights."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from sublet.cli.onboarding.apply import apply_all
from sublet.kube.hub import hub_endpoint
from sublet.kube.session import ApiServer
from sublet.manifests.render import LeasedOptions, leased_cluster
from tests.builders.api import claim, gpu_class, lease, tenant
from tests.builders.nodes import gpu_node
from tests.harness.process import OperatorProcess
from tests.harness.stack import NAMESPACE, Stack, condition, operator_kubeconfig, start_stack
from tests.harness.tenants import write_access
from tests.harness.waiting import wait_for

pytestmark = [pytest.mark.planes, pytest.mark.slow, pytest.mark.timeout(400)]

ACME = "acme"


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    running = start_stack("hub-as-lease", leased=(), hub_nodes=True)
    yield running
    running.stop()


@pytest.fixture
def operator(stack: Stack) -> Iterator[OperatorProcess]:
    stack.apply("hub", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": ACME}})
    own = lease("own", committed=8, clusterRef={"inCluster": {}})
    stack.apply("hub", gpu_node("n0"), own, gpu_class(), tenant())
    running = OperatorProcess(stack, SUBLET_HUB_TENANT_SERVER=f"https://{_host(stack)}").start()
    yield running
    running.kill()


def _host(stack: Stack) -> str:
    server = stack.kubectl("hub", "config", "view", "-o", "jsonpath={.clusters[0].cluster.server}")
    return server.replace("https://127.0.0.1", "localhost")


def _lease_says(stack: Stack, type_: str, field: str = "status") -> str | None:
    return condition(stack.get("hub", "gpulease", "own"), type_, field)


async def _onboard(stack: Stack) -> None:
    endpoint = await hub_endpoint(kubeconfig=str(stack.running.kubeconfig("hub")))
    async with ApiServer(endpoint) as hub:
        await apply_all(hub, leased_cluster(LeasedOptions(account="sublet-leased")))


def test_the_hubs_own_nodes_can_be_leased_and_claimed(
    operator: OperatorProcess, stack: Stack, tmp_path: Path
):
    wait_for(
        "it says what to do",
        lambda: (
            "`sublet onboard --in-cluster`"
            in str(_lease_says(stack, "CredentialsValid", "message"))
        ),
    )
    asyncio.run(_onboard(stack))
    wait_for("ready", lambda: _lease_says(stack, "Ready") == "True")
    stack.apply("hub", claim("train", ACME))
    bound = wait_for("bound", lambda: stack.is_bound(ACME, "train"))

    config = write_access(stack, bound, tmp_path / "tenant")
    assert f"server: https://{_host(stack)}" in config.read_text()
    assert "No resources found" in stack.kubectl_with(config, "get", "pods")
    for arguments in (("patch", "nodes"), ("create", "namespaces"), ("create", "pods", "-A")):
        asked = stack.kubectl_with(
            operator_kubeconfig(stack), "auth", "can-i", *arguments, check=False
        )
        assert "no" in asked.splitlines(), arguments
    leased = stack.kubectl("hub", "-n", NAMESPACE, "get", "serviceaccounts", "-o", "name")
    assert "serviceaccount/sublet-leased" in leased

    stack.kubectl("hub", "delete", "gpuclaim", "-n", ACME, "train", "--timeout=90s")
    assert stack.books("hub") == {"n0": ""}
