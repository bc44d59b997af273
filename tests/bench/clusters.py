"""Many leased clusters: what each costs."""

import asyncio
from pathlib import Path

import yaml

from sublet.cli.onboarding.credential import hub_secret
from tests.bench.load import many, session
from tests.bench.results import Row, most
from tests.builders.api import lease
from tests.builders.nodes import gpu_node
from tests.harness.process import OperatorProcess
from tests.harness.stack import NAMESPACE as SYSTEM, Stack, leased_kubeconfig, start_stack
from tests.harness.waiting import wait_for

CLUSTERS = 200
PART = "bench.example/part"
BUDGET_MB = 0.5
SETTINGS = {"SUBLET_PROBE_SECONDS": "10", "SUBLET_LEADER_ELECTION": "false"}
"""Probes as shipped: the tests' own, each second, are more than one operator can do for so many."""


def measure() -> list[Row]:
    """Return the row."""
    stack = start_stack("clusters", leased=("west",))
    try:
        return [asyncio.run(_memory(stack))]
    finally:
        stack.stop()


async def _memory(stack: Stack) -> Row:
    """Lease one plane 200 times, each with a node and a credential of its own; measure what the operator grows by."""
    config = yaml.safe_load(leased_kubeconfig(stack, "west").read_text())
    nodes = [gpu_node(f"part-{i:03d}", labels={PART: f"p{i:03d}"}) for i in range(CLUSTERS)]
    async with session(stack.running.kubeconfig("west")) as west:
        await many([lambda n=n: west.create("/api/v1/nodes", n) for n in nodes])
    for index in range(CLUSTERS):
        create = ("-n", SYSTEM, "create", "token", "sublet", "--duration=24h")
        config["users"][0]["user"]["token"] = stack.kubectl("west", *create).strip()
        stack.apply("hub", hub_secret(f"part-{index:03d}", SYSTEM, yaml.safe_dump(config)))
    parts = [
        lease(f"part-{i:03d}", committed=8, nodeSelector={PART: f"p{i:03d}"})
        for i in range(CLUSTERS)
    ]
    stack.apply("hub", parts[0])
    operator = OperatorProcess(stack, "memory").start(**SETTINGS)
    wait_for("the first is served", lambda: _served(stack, operator) == 1)
    alone = _resident_mb(operator)
    stack.apply("hub", *parts)
    wait_for("all are served", lambda: _served(stack, operator) == CLUSTERS, seconds=600)
    together = _resident_mb(operator)
    operator.kill()
    each = (together - alone) / (CLUSTERS - 1)
    note = f"{CLUSTERS} credentials of one plane; {alone:.0f} MB with one; limit: the budget"
    return Row("memory of each leased cluster", each, "MB", most(BUDGET_MB), note)


def _served(stack: Stack, operator: OperatorProcess) -> int:
    assert not operator.ended, operator.tail()
    found = stack.get("hub", "gpuleases")["items"]
    parts = [x for x in found if x["metadata"]["name"].startswith("part-")]
    return sum(x.get("status", {}).get("inventory", {}).get("free") == 8 for x in parts)


def _resident_mb(operator: OperatorProcess) -> float:
    lines = Path(f"/proc/{operator.pid}/status").read_text().splitlines()
    (kib,) = (line.split()[1] for line in lines if line.startswith("VmRSS:"))
    return int(kib) * 1024 / 1e6
