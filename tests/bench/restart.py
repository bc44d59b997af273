"""A restart with 12,500 nodes and 5,000 bound claims: from the start of the interpreter to the first correct decision."""

import asyncio
import json
import time
from typing import Any

from tests.bench.load import many, session
from tests.bench.results import Row, most
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
from tests.harness.waiting import wait_for

NODES, BOUND = 12_500, 5_000
NAMESPACE = "bench"
CLAIMS = f"/apis/sublet.dev/v1alpha1/namespaces/{NAMESPACE}/gpuclaims"
BUDGET_SECONDS = 10


def measure() -> list[Row]:
    """Return the rows."""
    stack = start_stack("restart", leased=("west",))
    try:
        return asyncio.run(_measure(stack))
    finally:
        stack.stop()


async def _measure(stack: Stack) -> list[Row]:
    async with (
        session(stack.running.kubeconfig("hub")) as hub,
        session(stack.running.kubeconfig("west")) as west,
        session(operator_kubeconfig(stack)) as writer,
    ):
        await hub.create("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        await many([lambda i=i: _make_node(west, i) for i in range(NODES)])
        template = await asyncio.to_thread(_bind_one, stack)
        async with session(leased_kubeconfig(stack, "west")) as locker:
            await _bind_the_rest(hub, west, writer, locker, template)
        raw = await _read_all(hub, west)
        taken = await asyncio.to_thread(_restart, stack)
    size = f"{NODES:,} nodes, {BOUND:,} bound"
    return [
        Row("reading all nodes and claims once", raw, "s", None, f"{size}; one client"),
        Row(
            "restart to first correct decision",
            taken,
            "s",
            most(BUDGET_SECONDS),
            f"{size}; limit: the budget",
        ),
    ]


async def _make_node(west: Any, number: int) -> None:
    """Make a node that is Ready by its status alone: no simulated kubelet renews anything."""
    body = gpu_node(f"n{number:05d}")
    body["metadata"].pop("annotations", None)
    await west.create("/api/v1/nodes", body)
    ready = {
        "type": "Ready",
        "status": "True",
        "reason": "KubeletReady",
        "message": "",
        "lastHeartbeatTime": None,
        "lastTransitionTime": None,
    }
    patch = [{"op": "add", "path": "/status/conditions", "value": [ready]}]
    await west.patch(f"/api/v1/nodes/n{number:05d}/status", patch)


def _bind_one(stack: Stack) -> dict[str, Any]:
    """Let the operator adopt all nodes and bind one claim; return it."""
    body = tenant("bench", namespaces=(NAMESPACE,))
    stack.apply(
        "hub", lease("west", committed=NODES * 8), gpu_class(), body, claim("run-00000", NAMESPACE)
    )
    operator = OperatorProcess(stack, "restart").start()
    wait_for("all adopted", lambda: _free(stack) == (NODES - 1) * 8, seconds=900)
    bound = wait_for("one bound", lambda: stack.is_bound(NAMESPACE, "run-00000"), seconds=120)
    operator.kill()
    return bound


async def _bind_the_rest(
    hub: Any, west: Any, writer: Any, locker: Any, template: dict[str, Any]
) -> None:
    """Write what binds of so many claims leave behind: statuses on the hub, books on the nodes."""
    (place,) = template["status"]["allocation"]["placements"]
    nodes = [n["metadata"] for n in (await west.get("/api/v1/nodes"))["items"]]
    held = next(n for n in nodes if n["uid"] == place["nodeUID"])
    free = [n for n in nodes if n["uid"] != place["nodeUID"]][: BOUND - 1]
    status = json.dumps(template["status"])

    async def bind(number: int, node: dict[str, Any]) -> None:
        made = await hub.create(CLAIMS, claim(f"run-{number:05d}", NAMESPACE))
        uid = made["metadata"]["uid"]
        text = status.replace(place["nodeUID"], node["uid"]).replace(
            f'"{place["node"]}"', f'"{node["name"]}"'
        )
        text = text.replace("run-00000", f"run-{number:05d}")
        body = {k: made[k] for k in ("apiVersion", "kind", "metadata")} | {
            "status": json.loads(text)
        }
        await writer.replace(f"{CLAIMS}/run-{number:05d}/status", body)
        await locker.patch(f"/api/v1/nodes/{node['name']}", [
            {"op": "test", "path": "/metadata/uid", "value": node["uid"]},
            {"op": "add", "path": "/metadata/annotations/sublet.dev~1allocation", "value": f"{uid}=8"},
            {"op": "add", "path": "/metadata/annotations/sublet.dev~1tenant", "value": held["annotations"]["sublet.dev/tenant"]},
            {"op": "add", "path": f"/metadata/labels/claim.sublet.dev~1{uid}", "value": "true"},
        ])  # fmt: skip

    await many([lambda i=i, n=n: bind(i, n) for i, n in enumerate(free, start=1)])


async def _read_all(hub: Any, west: Any) -> float:
    begun = time.perf_counter()
    await asyncio.gather(hub.get(CLAIMS), west.get("/api/v1/nodes"))
    return time.perf_counter() - begun


def _restart(stack: Stack) -> float:
    """Start the operator with one claim waiting; return the seconds until that one is Reserved on a node of nobody's."""
    books = {name: book for name, book in stack.books("west").items() if book}
    stack.apply("hub", claim("fresh", NAMESPACE))
    begun = time.perf_counter()
    operator = OperatorProcess(stack, "restart", cold=True).start(SUBLET_LEADER_ELECTION="false")
    fresh = wait_for("decided", lambda: _reserved(stack), seconds=300)
    taken = time.perf_counter() - begun
    operator.kill()
    (place,) = fresh["status"]["allocation"]["placements"]
    assert place["node"] not in books, "the first decision took a node that is held"
    return taken


def _reserved(stack: Stack) -> dict[str, Any] | None:
    found = stack.claim(NAMESPACE, "fresh")
    return found if found and condition(found, "Reserved") == "True" else None


def _free(stack: Stack) -> int:
    found = stack.get("hub", "gpulease", "west")
    return int(found.get("status", {}).get("inventory", {}).get("free", 0))
