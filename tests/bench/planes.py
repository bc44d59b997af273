"""On real planes: raw writes, claims Reserved and locked, full binds, writes per bind."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from sublet.kube.session import ApiServer
from tests.bench.bare import Bind, Names, is_lock, names_of, node_of, play, recorded_bind
from tests.bench.load import AT_ONCE, many, session
from tests.bench.results import Row
from tests.builders.api import claim, gpu_class, lease, tenant
from tests.builders.nodes import gpu_node
from tests.harness.process import OperatorProcess
from tests.harness.stack import (
    Stack,
    condition,
    leased_kubeconfig,
    operator_kubeconfig,
    start_stack,
)
from tests.harness.tracing import Request, read_trace
from tests.harness.waiting import wait_for

CLAIMS = 2_000
BARE = 400
"""Binds that a bare client sends again, on nodes of their own."""
NODES = CLAIMS + BARE
NAMESPACE = "bench"
RAW = 2_000


def measure() -> list[Row]:
    """Return the rows."""
    stack = start_stack("bench", leased=("west",))
    try:
        return asyncio.run(_measure(stack))
    finally:
        stack.stop()


async def _measure(stack: Stack) -> list[Row]:
    async with (
        session(stack.running.kubeconfig("hub")) as hub,
        session(stack.running.kubeconfig("west")) as west,
    ):
        await hub.create("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        await many(
            [lambda i=i: west.create("/api/v1/nodes", gpu_node(f"n{i:04d}")) for i in range(NODES)]
        )
        await asyncio.to_thread(wait_for, "every node Ready", lambda: _ready(stack), seconds=300)
        raw_nodes = await _raw_node_patches(west)
        tenant_body = tenant("bench", namespaces=(NAMESPACE,))
        await asyncio.to_thread(
            stack.apply, "hub", lease("west", committed=NODES * 8), gpu_class(), tenant_body
        )
        operator = await asyncio.to_thread(OperatorProcess(stack).start)
        await asyncio.to_thread(
            wait_for, "every node adopted", lambda: _free(stack) == NODES * 8, seconds=300
        )
        operator.kill()
        path = f"/apis/sublet.dev/v1alpha1/namespaces/{NAMESPACE}/gpuclaims"
        await many(
            [lambda i=i: hub.create(path, claim(_name(i), NAMESPACE)) for i in range(CLAIMS)]
        )
        raw_status = await _raw_status_patches(hub, path)
        locked, bound, trace = await _watch_binds(stack, west, hub, path)
        bare_locked, bare_bound = await _bare_binds(stack, west, hub, path, trace)
    writes = [r.path for r in trace if _is_bind_write(r)]
    custom = sum("/gpuclaims/" in each for each in writes)
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
        Row("raw pairs of one patch each", raw_pairs, "1/s", None, "of small objects, as admin"),
        Row(
            "locks by a bare client",
            bare_locked,
            "1/s",
            None,
            f"the same requests with the same rights, {BARE} claims",
        ),
        Row(
            "claims Reserved and locked",
            locked,
            "1/s",
            bare_locked,
            f"{CLAIMS:,} pending; limit: locks by a bare client",
        ),
        Row("binds by a bare client", bare_bound, "1/s", None, f"the same requests, {BARE} claims"),
        Row(
            "full binds to Bound",
            bound,
            "1/s",
            bare_bound,
            f"{CLAIMS:,} claims of one node; limit: bare client",
        ),
        Row("writes per single-node bind", len(writes) / CLAIMS, "writes", 14, "limit: the budget"),
        Row("of them on custom resources", custom / CLAIMS, "writes", 3, "limit: the budget"),
    ]


async def _watch_binds(
    stack: Stack, west: ApiServer, hub: ApiServer, path: str
) -> tuple[float, float, list[Request]]:
    """Start the operator on pending claims; return locks per second, binds per second, and its requests."""
    file = stack.folder / "bench.trace"
    operator = OperatorProcess(stack, "bench", module="tests.harness.tracing")
    await asyncio.to_thread(operator.start, TRACE_FILE=str(file), SUBLET_LEADER_ELECTION="false")
    deadline = time.perf_counter() + 900
    while True:
        items: list[dict[str, Any]] = (await hub.get(path))["items"]
        if all(condition(item, "Bound") == "True" for item in items):
            break
        assert time.perf_counter() < deadline, operator.tail()
        await asyncio.sleep(2)
    nodes: list[dict[str, Any]] = (await west.get("/api/v1/nodes"))["items"]
    held = [n for n in nodes if n["metadata"]["annotations"].get("sublet.dev/allocation")]
    assert len(held) == CLAIMS
    await asyncio.sleep(2)  # the last Events
    operator.kill()
    trace = list(read_trace(file))
    locks = [r.ended for r in trace if is_lock(r)]
    ends = [
        r.ended
        for r in trace
        if r.method == "PUT" and r.path.endswith("/status") and '"boundTime"' in r.body
    ]
    return (
        (CLAIMS - 1) / (max(locks) - min(locks)),
        CLAIMS / (max(ends) - min(r.begun for r in trace if _is_bind_write(r))),
        trace,
    )


async def _bare_binds(
    stack: Stack, west: ApiServer, hub: ApiServer, path: str, trace: list[Request]
) -> tuple[float, float]:
    """Return locks and binds per second of a client that sends recorded binds again, with the operator's own credentials."""
    bound: list[dict[str, Any]] = (await hub.get(path))["items"]
    await many(
        [lambda i=i: hub.create(path, claim(_name(i), NAMESPACE)) for i in range(CLAIMS, NODES)]
    )
    waiting = [c for c in (await hub.get(path))["items"] if condition(c, "Bound") != "True"]
    nodes: list[dict[str, Any]] = (await west.get("/api/v1/nodes"))["items"]
    free = [
        n["metadata"] for n in nodes if not n["metadata"]["annotations"]["sublet.dev/allocation"]
    ]
    binds: list[tuple[Bind, Names, dict[str, Any]]] = []
    for recorded, fresh, node in zip(bound, waiting, free, strict=False):
        bind = recorded_bind(names_of(recorded, *node_of(recorded)), trace)
        binds.append((bind, names_of(fresh, node["name"], node["uid"]), fresh))
    assert len(binds) == BARE
    own, theirs = operator_kubeconfig(stack), leased_kubeconfig(stack, "west")
    async with session(own) as as_operator, session(theirs) as there:
        return await play(binds, as_operator, there, AT_ONCE)


def _is_bind_write(request: Request) -> bool:
    """Say whether a request changes something for a claim: no read, no dry run, no adoption, no status of a lease."""
    about = ("/gpuclaims/", "/namespaces/sublet-", f"/namespaces/{NAMESPACE}/")
    made = request.method == "POST" and request.path == "/api/v1/namespaces"
    changes = request.method != "GET" and "dryRun" not in request.params
    return changes and (made or is_lock(request) or any(part in request.path for part in about))


def _name(number: int) -> str:
    """Return a claim's name; nothing of it can be part of a UID."""
    return f"run-{number:04d}"


async def _raw_node_patches(west: ApiServer) -> float:
    def patch(i: int) -> Callable[[], Awaitable[Any]]:
        operations = [{"op": "add", "path": "/metadata/annotations/raw", "value": str(i)}]
        return lambda: west.patch(f"/api/v1/nodes/n{i % CLAIMS:04d}", operations)

    return RAW / await many([patch(i) for i in range(RAW)])


async def _raw_status_patches(hub: ApiServer, path: str) -> float:
    def patch(i: int) -> Callable[[], Awaitable[Any]]:
        operations = [{"op": "add", "path": "/status/observedGeneration", "value": 1}]
        return lambda: hub.patch(f"{path}/{_name(i % CLAIMS)}/status", operations)

    return RAW / await many([patch(i) for i in range(RAW)])


def _ready(stack: Stack) -> bool:
    """Say whether the simulated kubelets have brought every node up; before that they use the cores."""
    nodes = stack.get("west", "nodes")["items"]
    return all(condition(node, "Ready") == "True" for node in nodes)


def _free(stack: Stack) -> int:
    found = stack.get("hub", "gpulease", "west")
    return int(found.get("status", {}).get("inventory", {}).get("free", 0))
