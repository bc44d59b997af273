"""Between the reservation and the locks the world changes: all nodes or none, and nothing is left of the attempt.

Each story begins with an operator that dies right after it wrote the reservation; the next one finds another world.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.builders.api import claim, gpu_class, lease, tenant, uid_of
from tests.builders.nodes import gpu_node
from tests.harness.ledger import facts_in
from tests.harness.process import OperatorProcess, kill_at_write, start_again
from tests.harness.shared import borrow_stack
from tests.harness.stack import NAMESPACE as SYSTEM, Stack, condition
from tests.harness.waiting import wait_for

pytestmark = [pytest.mark.planes, pytest.mark.slow, pytest.mark.timeout(400)]

ACME = "acme"
STRANGER = uid_of("a claim of another hub")


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    running = borrow_stack("give-back", leased=("west",))
    running.apply("hub", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": ACME}})
    running.apply("west", *(gpu_node(f"n{i}") for i in range(3)))
    running.apply("hub", lease("west", committed=24), gpu_class(), tenant())
    operator = OperatorProcess(running, "first").start()
    wait_for("three nodes for sale", lambda: _free(running) == 24)
    operator.kill()
    yield running
    running.stop()


@pytest.fixture
def reserved(stack: Stack, request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """A claim for two whole nodes whose reservation is written and whose locks aren't."""
    name = f"c-{abs(hash(request.node.name)) % 10**8}"
    stack.apply("hub", claim(name, ACME, gpus=16))
    yield wait_for("reserved and not more", lambda: _reserve(stack, name))
    stack.kubectl("hub", "delete", "gpuclaim", "-n", ACME, name, "--timeout=60s", check=False)


def _reserve(stack: Stack, name: str) -> dict[str, Any] | None:
    """Let an operator make one write; what a slow machine makes it write first may be why the claim waits."""
    killed = kill_at_write(stack, 1, "after")
    wait_for("killed", lambda: killed.ended)
    found = stack.claim(ACME, name)
    return found if found and condition(found, "Reserved") == "True" else None


@pytest.fixture
def operator(stack: Stack, reserved: dict[str, Any]) -> Iterator[Callable[[], OperatorProcess]]:
    """Starts the next operator when it is called; the claim of the test is released before it goes."""
    running: list[OperatorProcess] = []

    def start() -> OperatorProcess:
        running.append(start_again(stack))
        return running[0]

    yield start
    name = reserved["metadata"]["name"]
    stack.kubectl("hub", "delete", "gpuclaim", "-n", ACME, name, "--timeout=60s")
    for each in running:
        each.kill()


def _free(stack: Stack) -> int:
    found = stack.get("hub", "gpulease", "west")
    return int(found.get("status", {}).get("inventory", {}).get("free", 0))


def _nodes(body: dict[str, Any]) -> list[str]:
    return [p["node"] for p in body["status"]["allocation"]["placements"]]


def _bound_anew(stack: Stack, body: dict[str, Any]) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        found = stack.is_bound(ACME, body["metadata"]["name"])
        return found if found and found["status"]["allocation"]["sequence"] == 2 else None

    return wait_for("bound with sequence 2", look)


def _see_one_end_state(stack: Stack, bound: dict[str, Any], operator: OperatorProcess) -> None:
    uid = bound["metadata"]["uid"]
    holding = {n for n, book in stack.books("west").items() if uid in book}
    assert holding == set(_nodes(bound))
    assert stack.claim_namespaces("west") == [f"sublet-{uid}-2"]
    lines = wait_for(
        "metered", lambda: [f for f in facts_in(operator.database) if f.claim_uid == uid]
    )
    assert [(f.sequence, f.gpus) for f in lines] == [(2, 16)]


def test_a_node_that_is_cordoned_meanwhile_is_given_back_with_all_others(
    stack: Stack, reserved: dict[str, Any], operator: Callable[[], OperatorProcess]
):
    sick = _nodes(reserved)[-1]
    stack.kubectl("west", "cordon", sick)
    running = operator()

    bound = _bound_anew(stack, reserved)
    _see_one_end_state(stack, bound, running)
    assert sick not in _nodes(bound)
    events = stack.get("hub", "events.events.k8s.io", "-n", ACME)["items"]
    assert "LostRace" in {
        e["reason"] for e in events if e["regarding"]["uid"] == bound["metadata"]["uid"]
    }
    stack.kubectl("west", "uncordon", sick)


def test_a_node_that_another_hub_took_meanwhile_stays_its(
    stack: Stack, reserved: dict[str, Any], operator: Callable[[], OperatorProcess]
):
    taken = _nodes(reserved)[-1]
    _write_book(stack, taken, STRANGER, add=True)
    running = operator()

    bound = _bound_anew(stack, reserved)
    _see_one_end_state(stack, bound, running)
    assert stack.books("west")[taken] == f"{STRANGER}=8"
    _write_book(stack, taken, STRANGER, add=False)


def test_a_node_made_anew_under_its_name_is_another_node(
    stack: Stack, reserved: dict[str, Any], operator: Callable[[], OperatorProcess]
):
    name = _nodes(reserved)[0]
    stack.kubectl("west", "delete", "node", name)
    stack.apply("west", gpu_node(name))
    running = operator()

    bound = _bound_anew(stack, reserved)
    _see_one_end_state(stack, bound, running)
    live = {
        n["metadata"]["name"]: n["metadata"]["uid"] for n in stack.get("west", "nodes")["items"]
    }
    for place in bound["status"]["allocation"]["placements"]:
        assert place["nodeUID"] == live[place["node"]]


def test_a_claim_deleted_between_reservation_and_locks_leaves_nothing(
    stack: Stack, reserved: dict[str, Any], operator: Callable[[], OperatorProcess]
):
    meta = reserved["metadata"]
    stack.kubectl("hub", "delete", "gpuclaim", "-n", ACME, meta["name"], "--wait=false")
    running = operator()

    wait_for("gone", lambda: stack.claim(ACME, meta["name"]) is None)
    assert set(stack.books("west").values()) == {""}
    assert stack.claim_namespaces("west") == []
    kinds = {f.kind.value for f in facts_in(running.database) if f.claim_uid == meta["uid"]}
    assert "bound" not in kinds
    stack.apply("hub", claim(meta["name"], ACME, gpus=16))  # for the clean-up to delete


def _write_book(stack: Stack, node: str, uid: str, *, add: bool) -> None:
    """Write a node's book with the operator's own credential, as an operator of another hub would."""
    tenant_uid = uid_of("a tenant of another hub")
    book, label = "/metadata/annotations/sublet.dev~1allocation", f"claim.sublet.dev~1{uid}"
    owner = "/metadata/annotations/sublet.dev~1tenant"
    patch = [
        {"op": "add", "path": book, "value": f"{uid}=8" if add else ""},
        {"op": "add", "path": f"/metadata/labels/{label}", "value": "true"}
        if add
        else {"op": "remove", "path": f"/metadata/labels/{label}"},
        {"op": "add", "path": owner, "value": tenant_uid}
        if add
        else {"op": "remove", "path": owner},
    ]
    user = f"--as=system:serviceaccount:{SYSTEM}:sublet"
    stack.kubectl("west", "patch", "node", node, "--type=json", "-p", json.dumps(patch), user)
