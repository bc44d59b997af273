"""The model is kept honest: what it answered in a few histories, real control planes answer too."""

import asyncio
import base64

import pytest
import yaml

from sublet.kube.hub import hub_endpoint
from sublet.kube.session import ApiServer
from tests.builders.nodes import gpu_node
from tests.harness.stack import NAMESPACE, Stack, operator_kubeconfig
from tests.harness.waiting import wait_for
from tests.simulation.history import play
from tests.simulation.plan import Plan
from tests.simulation.replay import Replay, Step, recorded

pytestmark = [pytest.mark.planes, pytest.mark.timeout(240)]

PLAIN = {
    "replicas": 1,
    "elects": True,
    "claims": 3,
    "steps": 5,
    "seconds": 20.0,
    "actors": ("tenants",),
    "faults": (),
    "slow_controllers": False,
}
"""Machines and networks that real planes have no counterpart of are left out."""


def steps_of(seed: int, **changes: object) -> list[Step]:
    """Return what the servers were asked in a history."""
    steps: list[Step] = []
    with recorded(steps):
        result = play(Plan.of(seed).narrowed(**{**PLAIN, **changes}))
    assert result.violations == []
    return steps


async def replayed(stack: Stack, steps: list[Step]) -> Replay:
    """Send the steps of a history with one leased cluster, west, to real planes."""
    admin = ApiServer(await hub_endpoint(kubeconfig=str(stack.running.kubeconfig("hub"))))
    operator = ApiServer(await hub_endpoint(kubeconfig=str(operator_kubeconfig(stack))))
    landlord = ApiServer(await hub_endpoint(kubeconfig=str(stack.running.kubeconfig("west"))))
    secret = stack.get("hub", "secret", "-n", NAMESPACE, "west")
    config = yaml.safe_load(base64.b64decode(secret["data"]["kubeconfig"]))
    leased = landlord.with_token(config["users"][0]["user"]["token"])
    servers = {
        "hub": {"admin": admin, "hub-a": operator},
        "west": {"token-west": leased, "admin": landlord},
    }
    replay = Replay(servers)
    try:
        for step in steps:
            if step.status == 200 and step.request.path.startswith("/api/v1/nodes/"):
                replay.know(step.answer, await landlord.get(step.request.path))
        await replay.run(steps)
    finally:
        for api in (admin, operator, landlord):
            await api.close()
    return replay


@pytest.fixture(scope="module")
def furnished(stack: Stack) -> Stack:
    """Planes with the nodes and namespaces that every history begins with."""
    for namespace in ("acme", "globex"):
        stack.apply(
            "hub", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
        )
    stack.apply("west", gpu_node("west-0"), gpu_node("west-1"))
    for name in ("west-0", "west-1"):
        wait_for(f"{name} has no taint", lambda n=name: not _taints(stack, n) and [n])
    return stack


def _taints(stack: Stack, name: str) -> object:
    return stack.get("west", "node", name)["spec"].get("taints")


def test_real_planes_answer_as_the_model_does(furnished: Stack):
    steps = steps_of(3, nodes=(2,), sharing=("SameTenant",))

    replay = asyncio.run(replayed(furnished, steps))

    assert not replay.found, "\n".join(replay.found)
    assert replay.sent > 50
