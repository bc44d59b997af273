"""On real planes: raw writes, claims Reserved and locked, full binds, writes per bind."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sublet.kube.session import ApiServer
from tests.bench.bare import Bind, Names, is_lock, names_of, node_of, play, recorded_bind
from tests.bench.load import AT_ONCE, many, session
from tests.bench.results import Row, beside, least, most
from tests.bench.waits import says_bound
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
NODES_PATH = "/api/v1/nodes"
CLAIMS_PATH = f"/apis/sublet.dev/v1alpha1/namespaces/{NAMESPACE}/gpuclaims"
RAW = 2_000
LOCKS_PER_SECOND = 400
"""What the operator must be able to do."""
BARE_SHARE = 0.6
MEMORY = "4GiB"
"""Heap of each program of the planes: in a plane of tests, its collector would take a tenth of what is measured."""
RAW_OBJECTS = 200
"""Nodes and claims for the raw writes, gone before the operator is measured: another writer in an object makes it dearer."""


def measure() -> list[Row]:
    """Return the rows."""
    stack = start_stack("bench", leased=("west",), memory=MEMORY)
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
            [lambda i=i: west.create(NODES_PATH, gpu_node(f"n{i:04d}")) for i in range(NODES)]
        )
        await asyncio.to_thread(wait_for, "every node Ready", lambda: _ready(stack), seconds=300)
        tenant_body = tenant("bench", namespaces=(NAMESPACE,))
        await asyncio.to_thread(
            stack.apply, "hub", lease("west", committed=NODES * 8), gpu_class(), tenant_body
        )
        await asyncio.to_thread(
            _run_until, stack, "every node adopted", lambda: _free(stack) == NODES * 8
        )
        raw_nodes, raw_status = await _raw_node_patches(west), await _raw_status_patches(hub)
        await asyncio.to_thread(
            _run_until, stack, "the raw claims let go", lambda: not _claims(stack)
        )
        await many(
            [lambda i=i: hub.create(CLAIMS_PATH, claim(_name(i), NAMESPACE)) for i in range(CLAIMS)]
        )
        bound, trace = await _watch_binds(stack, west, hub)
        bare_locked, bare_bound = await _bare_binds(stack, west, hub, trace)
    writes = [r.path for r in trace if _is_bind_write(r)]
    custom = sum("/gpuclaims/" in each for each in writes)
    locked, own_cpu = _locks(trace)
    raw_pairs = 1 / (1 / raw_nodes + 1 / raw_status)
    return [
        Row(
            "raw node patches",
            raw_nodes,
            "1/s",
            None,
            f"one client, {AT_ONCE} at once, planes on the same cores, heaps of {MEMORY}",
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
            least(LOCKS_PER_SECOND),
            f"{CLAIMS:,} pending; limit: the budget",
        ),
        Row(
            "the same beside a bare client",
            locked,
            "1/s",
            beside(bare_locked),
            "who decides nothing",
        ),
        Row("the same beside raw pairs", locked, "1/s", beside(raw_pairs), "as above"),
        Row(
            "CPU of the operator per lock",
            own_cpu * 1_000,
            "ms",
            most(1_000 / LOCKS_PER_SECOND),
            f"one core; limit: {LOCKS_PER_SECOND} locks/s, if the API servers have cores of their own",
        ),
        Row("binds by a bare client", bare_bound, "1/s", None, f"the same requests, {BARE} claims"),
        Row(
            "full binds to Bound",
            bound,
            "1/s",
            beside(bare_bound),
            f"{CLAIMS:,} claims of one node; beside the bare client",
        ),
        Row(
            "full binds, share of the bare client's rate",
            bound / bare_bound,
            "ratio",
            least(BARE_SHARE),
            "limit: the budget",
        ),
        Row(
            "writes per single-node bind",
            len(writes) / CLAIMS,
            "writes",
            most(14),
            "limit: the budget",
        ),
        Row("of them on custom resources", custom / CLAIMS, "writes", most(3), "limit: the budget"),
    ]


def _run_until(stack: Stack, what: str, look: Callable[[], bool]) -> None:
    """Let an operator work until something is so."""
    operator = OperatorProcess(stack).start(SUBLET_LEADER_ELECTION="false")
    wait_for(what, look, seconds=600)
    operator.kill()


async def _watch_binds(
    stack: Stack, west: ApiServer, hub: ApiServer
) -> tuple[float, list[Request]]:
    """Start the operator on pending claims; return binds per second, and its requests."""
    file = stack.folder / "bench.trace"
    operator = OperatorProcess(stack, "bench", module="tests.harness.tracing")
    await asyncio.to_thread(operator.start, TRACE_FILE=str(file), SUBLET_LEADER_ELECTION="false")
    try:
        await _all_bound(file)
    except TimeoutError:
        raise AssertionError(operator.tail()) from None
    items: list[dict[str, Any]] = (await hub.get(CLAIMS_PATH))["items"]
    assert all(condition(item, "Bound") == "True" for item in items), operator.tail()
    nodes: list[dict[str, Any]] = (await west.get(NODES_PATH))["items"]
    held = [n for n in nodes if n["metadata"]["annotations"].get("sublet.dev/allocation")]
    assert len(held) == CLAIMS
    await asyncio.sleep(2)  # the last Events
    operator.kill()
    trace = list(read_trace(file))
    ends = [r.ended for r in trace if says_bound(r)]
    return CLAIMS / (max(ends) - min(r.begun for r in trace if _is_bind_write(r))), trace


def _locks(trace: list[Request]) -> tuple[float, float]:
    """Return locks per second, and the CPU seconds that the operator itself took for each."""
    locks = sorted((r.ended, r.cpu_seconds) for r in trace if is_lock(r))
    (begun, cpu_before), (ended, cpu_after) = locks[0], locks[-1]
    return (CLAIMS - 1) / (ended - begun), (cpu_after - cpu_before) / (CLAIMS - 1)


async def _all_bound(file: Path) -> None:
    """Wait until the trace has every claim's status as Bound: asking the hub would use the cores that are measured."""
    bound: set[str] = set()
    rest = b""
    async with asyncio.timeout(900):
        with file.open("rb") as trace:
            while len(bound) < CLAIMS:
                await asyncio.sleep(1)
                *lines, rest = (rest + trace.read()).split(b"\n")
                found = [Request(**json.loads(each)) for each in lines if b"boundTime" in each]
                bound |= {r.path for r in found if says_bound(r)}


async def _bare_binds(
    stack: Stack, west: ApiServer, hub: ApiServer, trace: list[Request]
) -> tuple[float, float]:
    """Return locks and binds per second of a client that sends recorded binds again, with the operator's own credentials."""
    bound: list[dict[str, Any]] = (await hub.get(CLAIMS_PATH))["items"]
    await many(
        [
            lambda i=i: hub.create(CLAIMS_PATH, claim(_name(i), NAMESPACE))
            for i in range(CLAIMS, NODES)
        ]
    )
    waiting = [c for c in (await hub.get(CLAIMS_PATH))["items"] if condition(c, "Bound") != "True"]
    nodes: list[dict[str, Any]] = (await west.get(NODES_PATH))["items"]
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
    return request.changes and (
        made or is_lock(request) or any(part in request.path for part in about)
    )


def _name(number: int) -> str:
    """Return a claim's name; nothing of it can be part of a UID."""
    return f"run-{number:04d}"


async def _raw_node_patches(west: ApiServer) -> float:
    body = {"op": "add", "path": "/metadata/annotations/raw"}
    return await _raw_patches(west, NODES_PATH, gpu_node, "", lambda i: [{**body, "value": str(i)}])


async def _raw_status_patches(hub: ApiServer) -> float:
    body = {"op": "add", "path": "/status/observedGeneration"}
    return await _raw_patches(
        hub,
        CLAIMS_PATH,
        lambda name: claim(name, NAMESPACE),
        "/status",
        lambda i: [{**body, "value": i + 1}],  # what changes nothing isn't written
    )


async def _raw_patches(
    server: ApiServer,
    folder: str,
    body: Callable[[str], dict[str, Any]],
    part: str,
    operations: Callable[[int], list[dict[str, Any]]],
) -> float:
    """Return how many patches a second objects take that are there for nothing else."""
    names = [f"raw-{i}" for i in range(RAW_OBJECTS)]
    await many([lambda n=n: server.create(folder, body(n)) for n in names])
    patches = [
        lambda i=i: server.patch(f"{folder}/{names[i % RAW_OBJECTS]}{part}", operations(i))
        for i in range(RAW)
    ]
    rate = RAW / await many(patches)
    await many([lambda n=n: server.delete(f"{folder}/{n}") for n in names])
    return rate


def _ready(stack: Stack) -> bool:
    """Say whether the simulated kubelets have brought every node up; before that they use the cores."""
    nodes = stack.get("west", "nodes")["items"]
    return all(condition(node, "Ready") == "True" for node in nodes)


def _claims(stack: Stack) -> list[Any]:
    found: list[Any] = stack.get("hub", "gpuclaims", "-n", NAMESPACE)["items"]
    return found


def _free(stack: Stack) -> int:
    found = stack.get("hub", "gpulease", "west")
    return int(found.get("status", {}).get("inventory", {}).get("free", 0))
