"""The ledger's store goes away and comes back: new binds wait, releases go on, and the bill is exact."""

from collections.abc import Iterator
from typing import Any

import pytest

from sublet.api.times import parse_instant
from tests.builders.api import claim, gpu_class, lease, tenant
from tests.builders.nodes import gpu_node
from tests.harness.ledger import facts_in
from tests.harness.postgres import PostgresServer, postgres_server
from tests.harness.process import OperatorProcess
from tests.harness.shared import borrow_stack
from tests.harness.stack import Stack, condition
from tests.harness.waiting import stays, wait_for

pytestmark = [pytest.mark.planes, pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(400)]

ACME = "acme"


@pytest.fixture(scope="module")
def store() -> Iterator[PostgresServer]:
    with postgres_server() as running:
        yield running


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    running = borrow_stack("ledger-away", leased=("west",))
    yield running
    running.stop()


@pytest.fixture(scope="module")
def operator(stack: Stack, store: PostgresServer) -> Iterator[OperatorProcess]:
    stack.apply("hub", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": ACME}})
    stack.apply("west", *(gpu_node(f"n{i}") for i in range(3)))
    stack.apply("hub", lease("west", committed=24), gpu_class(), tenant())
    running = OperatorProcess(stack, SUBLET_DATABASE_URL=store.url).start()
    wait_for("three nodes for sale", lambda: _free(stack) == 24)
    yield running
    running.kill()


def _free(stack: Stack) -> int:
    found = stack.get("hub", "gpulease", "west")
    return int(found.get("status", {}).get("inventory", {}).get("free", 0))


def _bind(stack: Stack, name: str) -> dict[str, Any]:
    stack.apply("hub", claim(name, ACME))
    return wait_for(f"{name} bound", lambda: stack.is_bound(ACME, name))


def _waits_for_the_ledger(stack: Stack, name: str) -> bool:
    found = stack.claim(ACME, name)
    return (
        found is not None
        and condition(found, "Reserved") == "True"
        and "ledger's store" in str(condition(found, "Ready", "message"))
    )


def _is_released(stack: Stack, name: str) -> bool:
    found = stack.claim(ACME, name)
    return found is not None and condition(found, "Releasing", "reason") == "Released"


def test_without_the_ledger_nothing_new_is_handed_over_and_releases_go_on(
    operator: OperatorProcess, stack: Stack, store: PostgresServer
):
    leaving, staying = _bind(stack, "leaving"), _bind(stack, "staying")
    store.stop()
    try:
        stack.apply("hub", claim("waiting", ACME))
        wait_for("it says what it waits for", lambda: _waits_for_the_ledger(stack, "waiting"))
        stack.kubectl("hub", "delete", "gpuclaim", "-n", ACME, "leaving", "--wait=false")
        wait_for("given back", lambda: _is_released(stack, "leaving"))

        uid = leaving["metadata"]["uid"]
        assert not any(uid in book for book in stack.books("west").values())
        assert f"sublet-{uid}-1" not in stack.claim_namespaces("west")
        stays("the finalizer waits", lambda: stack.claim(ACME, "leaving"), seconds=1)
        assert stack.is_bound(ACME, "staying")
        assert not stack.is_bound(ACME, "waiting")
    finally:
        gone = stack.claim(ACME, "leaving")
        store.start()

    wait_for("it goes when its lines are written", lambda: stack.claim(ACME, "leaving") is None)
    bound = wait_for("handed over", lambda: stack.is_bound(ACME, "waiting"))
    wait_for("metered", lambda: _instants(store, bound))
    assert gone is not None
    expected = [leaving["status"]["allocation"]["boundTime"], gone["metadata"]["deletionTimestamp"]]
    assert _instants(store, leaving)[:2] == [
        parse_instant(expected[0]),
        max(parse_instant(text) for text in expected),
    ]
    assert len(_instants(store, leaving)) == 4
    assert len(_instants(store, staying)) == 1
    for name in ("staying", "waiting"):
        stack.kubectl("hub", "delete", "gpuclaim", "-n", ACME, name, "--timeout=90s")


def test_a_ledger_that_hangs_holds_up_no_plan_and_no_release(
    operator: OperatorProcess, stack: Stack, store: PostgresServer
):
    _bind(stack, "before")
    with store.frozen():
        stack.kubectl("hub", "delete", "gpuclaim", "-n", ACME, "before", "--wait=false")
        wait_for("given back", lambda: _is_released(stack, "before"))
        stack.apply("hub", claim("meanwhile", ACME))
        wait_for("reserved", lambda: _in_state(stack, "meanwhile", "Reserved"))
        stack.apply("hub", claim("odd", ACME, gpus=12))
        wait_for("refused", lambda: _in_state(stack, "odd", "Stalled"))

    wait_for("bound afterwards", lambda: stack.is_bound(ACME, "meanwhile"))
    for name in ("meanwhile", "odd"):
        stack.kubectl("hub", "delete", "gpuclaim", "-n", ACME, name, "--timeout=90s")
    wait_for("gone", lambda: stack.claim(ACME, "before") is None)


def _in_state(stack: Stack, name: str, type_: str) -> bool:
    found = stack.claim(ACME, name)
    return found is not None and condition(found, type_) == "True"


def _instants(store: PostgresServer, body: dict[str, Any]) -> list[int]:
    return [f.at_ms for f in facts_in(store.url) if f.claim_uid == body["metadata"]["uid"]]
