"""On real planes: raw writes, claims Reserved and locked, full binds, writes per bind."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from sublet.kube.hub import hub_endpoint
from sublet.kube.session import ApiServer, Limits
from tests.bench.results import Row
from tests.builders.api import claim, gpu_class, lease, tenant
from tests.builders.nodes import gpu_node
from tests.harness.process import OperatorProcess
from tests.harness.stack import Stack, condition, start_stack
from tests.harness.waiting import wait_for

CLAIMS = 2_000
NAMESPACE = "bench"
AT_ONCE = 32
RAW = 2_000


def measure() -> list[Row]:
    """Return the rows."""
    stack = start_stack("bench", leased=("west",))
    try:
        return asyncio.run(_measure(stack))
    finally:
        stack.stop()


async def _measure(stack: Stack) -> list[Row]:
    limits = Limits(connections=AT_ONCE)
    async with (
        ApiServer(
            await hub_endpoint(kubeconfig=str(stack.running.kubeconfig("hub"))), limits
        ) as hub,
        ApiServer(
            await hub_endpoint(kubeconfig=str(stack.running.kubeconfig("west"))), limits
        ) as west,
    ):
        await hub.create("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        await _many(
            [lambda i=i: west.create("/api/v1/nodes", gpu_node(f"n{i:04d}")) for i in range(CLAIMS)]
        )
        await asyncio.to_thread(wait_for, "every node Ready", lambda: _ready(stack), seconds=300)
        raw_nodes = await _raw_node_patches(west)
        tenant_body = tenant("bench", namespaces=(NAMESPACE,))
        await asyncio.to_thread(
            stack.apply, "hub", lease("west", committed=CLAIMS * 8), gpu_class(), tenant_body
        )
        operator = await asyncio.to_thread(OperatorProcess(stack).start)
        await asyncio.to_thread(
            wait_for, "every node adopted", lambda: _free(stack) == CLAIMS * 8, seconds=300
        )
        operator.kill()
        path = f"/apis/sublet.dev/v1alpha1/namespaces/{NAMESPACE}/gpuclaims"
        await _many(
            [lambda i=i: hub.create(path, claim(f"c{i:04d}", NAMESPACE)) for i in range(CLAIMS)]
        )
        raw_status = await _raw_status_patches(hub, path)
        locked, bound, journal = await _watch_binds(stack, west, hub, path)
    writes = [line.split(" ", 2)[1:] for line in journal]
    custom = sum("/gpuclaims/" in path for _, path in writes)
    raw_pairs = 1 / (1 / raw_nodes + 1 / raw_status)
    return [
        Row(
            "raw node patches",
            raw_nodes,
            "1/s",
            None,
            f"one client, {AT_ONCE} at once, planes on the same cores",
        ),
        Row("raw status patches of a custom resource", raw_status, "1/s", None, "likewise"),
        Row("raw pairs of one patch each", raw_pairs, "1/s", None, "what a reservation writes"),
        Row(
            "claims Reserved and locked",
            locked,
            "1/s",
            raw_pairs,
            f"{CLAIMS:,} pending; limit: raw pairs",
        ),
        Row("full binds to Bound", bound, "1/s", None, f"{CLAIMS:,} claims of one node"),
        Row("writes per single-node bind", len(writes) / CLAIMS, "writes", 14, "limit: the budget"),
        Row("of them on custom resources", custom / CLAIMS, "writes", 3, "limit: the budget"),
    ]


async def _watch_binds(
    stack: Stack, west: ApiServer, hub: ApiServer, path: str
) -> tuple[float, float, list[str]]:
    """Start the operator on pending claims; return locks per second, binds per second, and its writes."""
    journal = stack.folder / "bench.journal"
    operator = OperatorProcess(stack, "bench", module="tests.harness.killing")
    await asyncio.to_thread(
        operator.start, KILL_JOURNAL=str(journal), SUBLET_LEADER_ELECTION="false"
    )
    deadline = time.perf_counter() + 600
    instants: list[float] = []  # of each answer that confirmed a lock
    with journal.open() as lines:
        while len(instants) < CLAIMS and time.perf_counter() < deadline:
            found = sum("/api/v1/nodes/" in line for line in lines)
            instants += [time.perf_counter()] * found
            await asyncio.sleep(0.05)
    assert len(instants) == CLAIMS, f"{len(instants)} of {CLAIMS} locked\n{operator.tail()}"
    nodes: list[dict[str, Any]] = (await west.get("/api/v1/nodes"))["items"]
    assert all(n["metadata"]["annotations"].get("sublet.dev/allocation") for n in nodes)
    while True:
        items: list[dict[str, Any]] = (await hub.get(path))["items"]
        if all(condition(item, "Bound") == "True" for item in items):
            break
        assert time.perf_counter() < deadline, operator.tail()
        await asyncio.sleep(1)
    bound_in = time.perf_counter() - instants[0]
    operator.kill()
    return (
        (CLAIMS - 1) / (instants[-1] - instants[0]),
        CLAIMS / bound_in,
        journal.read_text().splitlines(),
    )


async def _raw_node_patches(west: ApiServer) -> float:
    def patch(i: int) -> Callable[[], Awaitable[Any]]:
        operations = [{"op": "add", "path": "/metadata/annotations/raw", "value": str(i)}]
        return lambda: west.patch(f"/api/v1/nodes/n{i % CLAIMS:04d}", operations)

    return RAW / await _many([patch(i) for i in range(RAW)])


async def _raw_status_patches(hub: ApiServer, path: str) -> float:
    def patch(i: int) -> Callable[[], Awaitable[Any]]:
        operations = [{"op": "add", "path": "/status/observedGeneration", "value": 1}]
        return lambda: hub.patch(f"{path}/c{i % CLAIMS:04d}/status", operations)

    return RAW / await _many([patch(i) for i in range(RAW)])


async def _many(works: list[Callable[[], Awaitable[Any]]]) -> float:
    """Run works, so many at once; return the seconds it took."""
    slots = asyncio.Semaphore(AT_ONCE)

    async def run(work: Callable[[], Awaitable[Any]]) -> None:
        async with slots:
            await work()

    begun = time.perf_counter()
    await asyncio.gather(*(run(work) for work in works))
    return time.perf_counter() - begun


def _ready(stack: Stack) -> bool:
    """Say whether the simulated kubelets have brought every node up; before that they use the cores."""
    nodes = stack.get("west", "nodes")["items"]
    return all(condition(node, "Ready") == "True" for node in nodes)


def _free(stack: Stack) -> int:
    found = stack.get("hub", "gpulease", "west")
    return int(found.get("status", {}).get("inventory", {}).get("free", 0))
