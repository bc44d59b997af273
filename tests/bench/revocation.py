"""How long a tenant's token opens anything once its claim is released, asked with the tenant's own kubeconfig."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sublet.fleet.isolation import TENANT_ACCOUNT
from sublet.fleet.kubeconfig import parse_kubeconfig
from sublet.kube.errors import Forbidden, Unauthorized
from sublet.kube.session import ApiServer, Endpoint
from tests.bench.results import Row, most
from tests.builders.api import claim, gpu_class, lease, tenant
from tests.builders.nodes import gpu_node
from tests.harness.process import OperatorProcess
from tests.harness.stack import Stack, start_stack
from tests.harness.tenants import write_access
from tests.harness.tracing import Request, read_trace
from tests.harness.waiting import wait_for

NAMESPACE = "bench"
CLAIMS = 5
FORBIDDEN_SECONDS = 0.5
UNKNOWN_SECONDS = 11.0
REMEMBERED_SECONDS = 10.5
"""For ten seconds an API server knows a token that it looked up."""
PAUSE_SECONDS = 0.01
PATIENCE_SECONDS = 60


@dataclass(frozen=True)
class Answer:
    """What a tenant's request met, sent over a connection of its own."""

    begun: float
    ended: float
    refusal: type[Exception] | None


@dataclass(frozen=True)
class Tenant:
    """A bound claim, and the way in that was handed over for it."""

    name: str
    home: str
    access: Endpoint

    async def ask(self) -> Answer:
        """List the pods over a new connection."""
        begun, refusal = time.monotonic(), None
        async with ApiServer(self.access) as api:
            try:
                await api.get(f"/api/v1/namespaces/{self.home}/pods")
            except (Forbidden, Unauthorized) as error:
                refusal = type(error)
        return Answer(begun, time.monotonic(), refusal)

    async def ask_until_unknown(self) -> list[Answer]:
        """Ask again and again until the token isn't even known; return all answers."""
        answers: list[Answer] = []
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not answers or answers[-1].refusal is not Unauthorized:
                answers.append(await self.ask())
                await asyncio.sleep(PAUSE_SECONDS)
        return answers


def measure() -> list[Row]:
    """Return the rows."""
    stack = start_stack("revocation", leased=("west",))
    try:
        stack.apply(
            "hub", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
        )
        stack.apply("west", *(gpu_node(f"n{i}") for i in range(CLAIMS)))
        body = tenant("bench", namespaces=(NAMESPACE,))
        stack.apply("hub", lease("west", committed=CLAIMS * 8), gpu_class(), body)
        file = stack.folder / "revocation.trace"
        operator = OperatorProcess(stack, "revocation", module="tests.harness.tracing")
        operator.start(TRACE_FILE=str(file))
        tenants = _bound(stack)
        answers = asyncio.run(_released(stack, tenants))
        wait_for("all gone", lambda: not stack.claim_namespaces("west"))
        operator.kill()
        return list(_rows(tenants, answers, list(read_trace(file))))
    finally:
        stack.stop()


def _bound(stack: Stack) -> list[Tenant]:
    names = [f"brief-{i}" for i in range(CLAIMS)]
    stack.apply("hub", *(claim(name, NAMESPACE) for name in names))
    return [
        _tenant(stack, wait_for("bound", lambda name=name: stack.is_bound(NAMESPACE, name)))
        for name in names
    ]


def _tenant(stack: Stack, bound: dict[str, Any]) -> Tenant:
    name = bound["metadata"]["name"]
    file: Path = write_access(stack, bound, stack.folder / f"{name}.kubeconfig")
    access = parse_kubeconfig(file.read_bytes(), allow_local=True, hub_servers=())
    return Tenant(name, bound["status"]["access"]["clusters"][0]["namespace"], access)


async def _released(stack: Stack, tenants: list[Tenant]) -> list[list[Answer]]:
    """Release one claim after another while its tenant asks; return each tenant's answers."""
    await asyncio.sleep(
        REMEMBERED_SECONDS
    )  # what the operator's own proof left in the server's mind
    asking: list[asyncio.Task[list[Answer]]] = []
    for each in tenants:
        assert (await each.ask()).refusal is None  # the server knows the token from now on
        asking.append(asyncio.create_task(each.ask_until_unknown()))
        words = ("delete", "gpuclaim", "-n", NAMESPACE, each.name, "--timeout=60s")
        await asyncio.to_thread(stack.kubectl, "hub", *words)
    return await asyncio.gather(*asking)


def _rows(
    tenants: list[Tenant], answers: list[list[Answer]], trace: list[Request]
) -> Iterator[Row]:
    forbidden: list[float] = []
    unknown: list[float] = []
    late: list[float] = []
    for each, got in zip(tenants, answers, strict=True):
        released = _releasing(trace, each)
        forbidden.append(next(a.ended for a in got if a.refusal) - released.begun)
        late.append(max(a.begun for a in got if not a.refusal) - released.begun)
        unknown.append(got[-1].ended - _account_deleted(trace, each).begun)
    note = (
        f"slowest of {CLAIMS} claims; from the compare-and-set of Releasing to the first 403, each asked over a new"
        f" connection; the last request that was let through began after {max(late):.2f} s"
    )
    yield Row("released: the token is refused", max(forbidden), "s", most(FORBIDDEN_SECONDS), note)
    note = "likewise; from the deletion of its account to the first 401, used just before"
    yield Row("released: the token is unknown", max(unknown), "s", most(UNKNOWN_SECONDS), note)


def _releasing(trace: list[Request], each: Tenant) -> Request:
    """Return the write that made a claim Releasing."""
    path = f"/namespaces/{NAMESPACE}/gpuclaims/{each.name}/status"
    written = (r for r in trace if r.method == "PUT" and r.path.endswith(path) and not r.failed)
    return next(r for r in written if '"releaseTime"' in r.body)


def _account_deleted(trace: list[Request], each: Tenant) -> Request:
    path = f"/api/v1/namespaces/{each.home}/serviceaccounts/{TENANT_ACCOUNT}"
    return next(r for r in trace if r.method == "DELETE" and r.path == path and not r.failed)
