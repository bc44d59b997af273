"""Many leased clusters: what each costs, and that one which answers nothing keeps no other waiting."""

import asyncio
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from sublet.cli.onboarding.credential import hub_secret
from tests.bench.load import many, session
from tests.bench.results import Row
from tests.builders.api import claim, gpu_class, lease, tenant
from tests.builders.nodes import H100, H200, gpu_node
from tests.harness.process import OperatorProcess
from tests.harness.relay import Relay, relayed
from tests.harness.stack import (
    NAMESPACE as SYSTEM,
    Stack,
    condition,
    leased_kubeconfig,
    start_stack,
)
from tests.harness.tracing import Request, read_trace
from tests.harness.waiting import wait_for

CLUSTERS = 200
ROUNDS, CLAIMS, DARK_CLAIMS = 5, 24, 6
NAMESPACE = "bench"
PART = "bench.example/part"
BUDGET_MIB = 0.5


def measure() -> list[Row]:
    """Return the rows."""
    stack = start_stack("clusters", leased=("west", "east"))
    try:
        stack.apply(
            "hub", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
        )
        stack.apply("hub", tenant("bench", namespaces=(NAMESPACE,)), gpu_class())
        stack.apply("hub", gpu_class("h200", products=(H200.product,)))
        return [*_dark(stack), asyncio.run(_memory(stack))]
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
    operator = OperatorProcess(stack, "memory").start()
    wait_for("the first is served", lambda: _served(stack) == 1)
    alone = _resident_mib(operator)
    stack.apply("hub", *parts)
    wait_for("all are served", lambda: _served(stack) == CLUSTERS, seconds=300)
    together = _resident_mib(operator)
    operator.kill()
    each = (together - alone) / (CLUSTERS - 1)
    note = f"{CLUSTERS} credentials of one plane; {alone:.0f} MiB with one; limit: the budget"
    return Row("memory of each leased cluster", each, "MiB", BUDGET_MIB, note)


def _served(stack: Stack) -> int:
    found = stack.get("hub", "gpuleases")["items"]
    parts = [x for x in found if x["metadata"]["name"].startswith("part-")]
    return sum(x.get("status", {}).get("inventory", {}).get("free") == 8 for x in parts)


def _resident_mib(operator: OperatorProcess) -> float:
    lines = Path(f"/proc/{operator.pid}/status").read_text().splitlines()
    (kib,) = (line.split()[1] for line in lines if line.startswith("VmRSS:"))
    return int(kib) / 1024


def _dark(stack: Stack) -> Iterator[Row]:
    """Bind claims in one cluster while another answers, and while it answers nothing, in turn."""
    stack.apply("west", *(gpu_node(f"n{i:02d}", H100) for i in range(CLAIMS)))
    stack.apply("east", *(gpu_node(f"d{i:02d}", H200) for i in range(DARK_CLAIMS)))
    with _through_a_relay(stack, "east") as link:
        dark = lease("east", product=H200.product, committed=DARK_CLAIMS * 8)
        stack.apply("hub", lease("west", committed=CLAIMS * 8), dark)
        file = stack.folder / "clusters.trace"
        operator = OperatorProcess(stack, "clusters", module="tests.harness.tracing")
        operator.start(TRACE_FILE=str(file))
        _wait_free(stack, "west", CLAIMS * 8)
        _wait_free(stack, "east", DARK_CLAIMS * 8)
        rounds: dict[bool, list[tuple[float, float]]] = {False: [], True: []}
        for number in range(2 * ROUNDS):
            is_dark = number % 2 == 1
            rounds[is_dark].append(_round(stack, number, link if is_dark else None, file))
        operator.kill()
    stack.kubectl("hub", "delete", "gpuleases", "--all", "--wait=false")
    well, ill = (
        [statistics.median(x[i] for x in rounds[d]) for i in (0, 1)] for d in (False, True)
    )
    note = f"median of {ROUNDS} rounds of {CLAIMS} claims in turn"
    yield Row("binds while all clusters answer", well[0], "1/s", None, note)
    yield Row(
        "binds while one answers nothing", ill[0], "1/s", well[0], f"{note}; limit: the row above"
    )
    yield Row(
        "longest wait within a bind, all answer", well[1], "s", None, "between two of its requests"
    )
    yield Row(
        "longest wait within a bind, one is dark",
        ill[1],
        "s",
        None,
        "none of them went to the dark one",
    )


def _round(stack: Stack, number: int, link: Relay | None, file: Path) -> tuple[float, float]:
    """Bind claims, some of them wanting the dark cluster if there is a link to cut; return binds per second and the longest wait."""
    if link is not None:
        stack.apply(
            "hub",
            *(
                claim(f"dark-{number}-{i}", NAMESPACE, class_name="h200")
                for i in range(DARK_CLAIMS)
            ),
        )
        link.cut()
    names = [f"run-{number}-{i:02d}" for i in range(CLAIMS)]
    begun = time.perf_counter()
    stack.apply("hub", *(claim(name, NAMESPACE) for name in names))
    bound = wait_for("all bound", lambda: _bound(stack, f"run-{number}-"), seconds=180)
    rate = CLAIMS / (time.perf_counter() - begun)
    if link is not None:
        link.heal()
    trace = list(read_trace(file))
    longest = max(_longest_wait(c["metadata"]["uid"], trace) for c in bound)
    stack.kubectl("hub", "delete", "gpuclaims", "-n", NAMESPACE, "--all", "--timeout=180s")
    _wait_free(stack, "west", CLAIMS * 8)
    _wait_free(stack, "east", DARK_CLAIMS * 8)
    return rate, longest


def _longest_wait(uid: str, trace: list[Request]) -> float:
    """Return the longest time within a bind in which none of its requests was under way."""
    mine = sorted((r for r in trace if r.is_about(uid)), key=lambda r: r.begun)
    until, longest = mine[0].ended, 0.0
    for each in mine[1:]:
        longest = max(longest, each.begun - until)
        until = max(until, each.ended)
        if '"boundTime"' in each.body and each.method == "PUT":
            break
    return longest


def _bound(stack: Stack, prefix: str) -> list[dict[str, Any]] | None:
    found = stack.get("hub", "gpuclaims", "-n", NAMESPACE)["items"]
    mine = [c for c in found if c["metadata"]["name"].startswith(prefix)]
    return mine if all(condition(c, "Bound") == "True" for c in mine) else None


def _wait_free(stack: Stack, name: str, gpus: int) -> None:
    def free() -> bool:
        found = stack.get("hub", "gpulease", name).get("status", {}).get("inventory", {})
        return bool(found.get("free") == gpus)

    wait_for(f"{name} free", free, seconds=120)


@contextmanager
def _through_a_relay(stack: Stack, name: str) -> Iterator[Relay]:
    """Lead the operator to a leased cluster through a relay."""
    copy = stack.folder / f"{name}.relayed.kubeconfig"
    with relayed(leased_kubeconfig(stack, name), copy) as link:
        stack.apply("hub", hub_secret(name, SYSTEM, copy.read_text()))
        yield link
