"""Claims in Argo CD's namespace are clusters that it deploys into; nowhere else may the operator make one."""

import asyncio
import base64
import json

import pytest

from sublet.cli.onboarding.apply import apply_all
from sublet.kube.hub import hub_endpoint
from sublet.kube.session import ApiServer
from sublet.manifests.render import HubOptions, hub as hub_manifests
from tests.builders.api import claim, gpu_class, lease, tenant
from tests.builders.nodes import gpu_node
from tests.harness.process import OperatorProcess
from tests.harness.stack import Stack
from tests.harness.waiting import wait_for

pytestmark = [pytest.mark.planes, pytest.mark.timeout(300)]

ARGOCD, ACME = "argocd", "acme"


@pytest.fixture(scope="module")
def operator(stack: Stack) -> OperatorProcess:
    asyncio.run(_install(stack))
    spaces = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": n}} for n in (ARGOCD, ACME)]  # fmt: skip
    stack.apply("hub", *spaces)
    stack.apply("west", gpu_node("n0"), gpu_node("n1"))
    stack.apply("hub", lease("west", committed=16), gpu_class(), tenant(namespaces=[ARGOCD, ACME]))
    return OperatorProcess(stack, SUBLET_ARGOCD_NAMESPACE=ARGOCD).start()


async def _install(stack: Stack) -> None:
    """Install the hub as the chart does with the setting."""
    config = str(stack.running.kubeconfig("hub"))
    async with ApiServer(await hub_endpoint(kubeconfig=config)) as api:
        await apply_all(api, hub_manifests(HubOptions(argocd_namespace=ARGOCD)))


def test_a_claim_in_its_namespace_is_a_cluster_to_argo_cd_and_another_is_not(
    operator: OperatorProcess, stack: Stack
):
    stack.apply("hub", claim("deploys", ARGOCD), claim("train", ACME))
    for namespace, name in ((ARGOCD, "deploys"), (ACME, "train")):
        wait_for(f"{name} is bound", lambda n=namespace, c=name: stack.is_bound(n, c))

    secret = stack.get("hub", "secret", "-n", ARGOCD, "deploys-kubeconfig")
    data = {key: base64.b64decode(text).decode() for key, text in secret["data"].items()}
    assert secret["metadata"]["labels"]["argocd.argoproj.io/secret-type"] == "cluster"
    assert data["namespaces"] in stack.claim_namespaces("west")
    assert json.loads(data["config"])["bearerToken"] in data["value"]
    assert "labels" not in stack.get("hub", "secret", "-n", ACME, "train-kubeconfig")["metadata"]
