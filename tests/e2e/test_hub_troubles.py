"""What befalls the hub's side of a life: its API server restarts, somebody writes without end, a commitment shrinks, a pod won't go."""

import asyncio
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from typing import Any

import pytest

from sublet.kube.errors import KubeError
from sublet.kube.hub import hub_endpoint
from sublet.kube.session import ApiServer
from tests.builders.api import claim, gpu_class, lease, tenant
from tests.harness.kubelet import HandKubelet
from tests.harness.ledger import facts_in
from tests.harness.process import OperatorProcess
from tests.harness.server import restart_api_server
from tests.harness.shared import borrow_stack
from tests.harness.stack import Stack, condition
from tests.harness.tenants import pod
from tests.harness.waiting import stays, wait_for

pytestmark = [pytest.mark.planes, pytest.mark.slow, pytest.mark.timeout(400)]

ACME = "acme"


@pytest.fixture(scope="module")
def operator() -> Iterator[OperatorProcess]:
    stack = borrow_stack("hub-troubles", leased=("west",))
    running = OperatorProcess(stack, SUBLET_LEASE_SECONDS="15")
    try:
        stack.apply("hub", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": ACME}})
        HandKubelet(stack, "west").join("n0", "n1", "n2")  # nobody ends their pods
        stack.apply("hub", lease("west", committed=24), gpu_class(), tenant())
        yield running.start()
    finally:
        running.kill()
        stack.stop()


@pytest.fixture
def stack(operator: OperatorProcess) -> Iterator[Stack]:
    """The planes, with nothing claimed before and after."""
    yield operator.stack
    gone = ("delete", "gpuclaims", "-n", ACME, "--all", "--timeout=60s")
    said = operator.stack.kubectl("hub", *gone, check=False)
    assert not _claims(operator.stack), f"{said}\n{operator.tail(80)}"
    wait_for("all free", lambda: set(operator.stack.books("west").values()) == {""})


def _claims(stack: Stack) -> list[Any]:
    found: list[Any] = stack.get("hub", "gpuclaims", "-n", ACME)["items"]
    return found


def _bind(stack: Stack, name: str) -> dict[str, Any]:
    stack.apply("hub", claim(name, ACME))
    return wait_for(f"{name} bound", lambda: stack.is_bound(ACME, name), seconds=90)


def _says(stack: Stack, kind: str, name: str, type_: str, field: str = "status") -> str | None:
    where = ("-n", ACME) if kind == "gpuclaim" else ()
    return condition(stack.get("hub", kind, *where, name), type_, field)


def test_a_hub_whose_api_server_restarts_loses_nothing(operator: OperatorProcess, stack: Stack):
    before = _bind(stack, "before")
    books, uid = stack.books("west"), before["metadata"]["uid"]
    stack.apply("hub", claim("under-way", ACME))
    restart_api_server(stack, "hub")

    wait_for("goes on", lambda: stack.is_bound(ACME, "under-way"), seconds=90)
    _bind(stack, "after")
    after = stack.is_bound(ACME, "before")
    assert after is not None
    assert after["status"]["allocation"] == before["status"]["allocation"]
    assert {n: b for n, b in stack.books("west").items() if uid in b} == {
        n: b for n, b in books.items() if uid in b
    }
    lines = [f.kind.value for f in facts_in(operator.database) if f.claim_uid == uid]
    assert lines == ["bound"]
    assert not operator.ended


def test_a_leased_api_server_that_restarts_loses_nothing(operator: OperatorProcess, stack: Stack):
    before = _bind(stack, "steady")
    stack.apply("hub", claim("on-the-way", ACME))
    restart_api_server(stack, "west")

    wait_for("goes on", lambda: stack.is_bound(ACME, "on-the-way"), seconds=90)
    after = stack.is_bound(ACME, "steady")
    assert after is not None
    assert after["status"]["allocation"] == before["status"]["allocation"]


def test_claims_are_bound_and_released_while_somebody_writes_without_end(stack: Stack):
    nodes = [("west", f"/api/v1/nodes/n{i}") for i in range(3)]
    ours = f"/apis/sublet.dev/v1alpha1/namespaces/{ACME}/gpuclaims/contended"
    with _writing(stack, *nodes, ("hub", ours)) as writes:
        wait_for("somebody writes", lambda: writes() > len(nodes))
        stack.apply("hub", claim("contended", ACME))
        bound = wait_for("bound", lambda: stack.is_bound(ACME, "contended"), seconds=90)
        node, before = bound["status"]["allocation"]["placements"][0]["node"], writes()
        stack.kubectl("hub", "delete", "gpuclaim", "-n", ACME, "contended", "--timeout=90s")
        assert stack.books("west")[node] == ""
        during = before, writes() - before
    assert min(during) >= 2 * (len(nodes) + 1), "each was written more than once in both halves"


@contextmanager
def _writing(stack: Stack, *what: tuple[str, str]) -> Iterator[Any]:
    """Change an annotation of some objects as fast as it goes, for the length of the block; gives how often it was done."""
    done, count = Event(), [0]

    async def write() -> None:
        apis = {p: ApiServer(await hub_endpoint(kubeconfig=str(stack.running.kubeconfig(p)))) for p, _ in what}  # fmt: skip
        while not done.is_set():
            for plane, path in what:
                count[0] += 1
                body = json.dumps({"metadata": {"annotations": {"example.com/n": str(count[0])}}})
                try:
                    await apis[plane].request("PATCH", path, content_type="application/merge-patch+json", body=body.encode())  # fmt: skip
                except KubeError:
                    await asyncio.sleep(0.01)  # it may be gone
        for api in apis.values():
            await api.close()

    with ThreadPoolExecutor(1) as pool:
        writer = pool.submit(lambda: asyncio.run(write()))
        try:
            yield lambda: count[0]
        finally:
            done.set()
            writer.result()


def test_a_commitment_that_shrinks_below_what_is_bound_takes_nothing_away(stack: Stack):
    for name in ("one", "two"):
        _bind(stack, name)
    stack.apply("hub", lease("west", committed=8))
    wait_for("said", lambda: _says(stack, "gpulease", "west", "Overcommitted") == "True")
    stack.apply("hub", claim("three", ACME))

    def nothing_changes() -> bool:
        both = stack.is_bound(ACME, "one") and stack.is_bound(ACME, "two")
        return bool(both) and _says(stack, "gpuclaim", "three", "Reserved") != "True"

    wait_for("three waits", lambda: _says(stack, "gpuclaim", "three", "Reserved") == "False")
    stays("it stays so", nothing_changes, seconds=3)

    stack.apply("hub", lease("west", committed=24))
    wait_for("three is bound", lambda: stack.is_bound(ACME, "three"))
    wait_for("not said any more", lambda: _says(stack, "gpulease", "west", "Overcommitted") == "False")  # fmt: skip


def test_a_pod_that_does_not_go_keeps_its_node_and_the_meter_stands(
    operator: OperatorProcess, stack: Stack
):
    bound = _bind(stack, "stuck")
    uid, node = bound["metadata"]["uid"], bound["status"]["allocation"]["placements"][0]["node"]
    home = ("-n", f"sublet-{uid}-1")
    stack.kubectl("west", *home, "apply", "-f", "-", given=pod("work", gpus=8))
    wait_for("the pod is there", lambda: stack.get("west", "pod", *home, "work")["spec"].get("nodeName") == node)  # fmt: skip
    stack.kubectl("hub", "delete", "gpuclaim", "-n", ACME, "stuck", "--wait=false")

    wait_for("said", lambda: "waiting for 1 pod " in str(_says(stack, "gpuclaim", "stuck", "Ready", "message")))  # fmt: skip
    stays("held", lambda: stack.books("west")[node] == f"{uid}=8", seconds=3)
    metrics = operator.metrics()
    assert 'sublet_lease_releasing_since_timestamp_seconds{lease="west"}' in metrics
    lines = [(f.kind.value, f.type.value) for f in facts_in(operator.database) if f.claim_uid == uid]  # fmt: skip
    assert lines == [("bound", "open"), ("bound", "close"), ("releasing", "open")]

    stack.kubectl("west", *home, "delete", "pod", "work", "--force", "--grace-period=0")
    wait_for("released", lambda: stack.claim(ACME, "stuck") is None)
    assert stack.books("west")[node] == ""
