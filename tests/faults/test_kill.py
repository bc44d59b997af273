"""Kill -9 at every write of bind and release, then start again: one end state, nothing double, nothing lost."""

import pytest

from sublet.ledger.entry import EntryKind, EntryType
from tests.builders.api import claim, gpu_class, lease, tenant
from tests.builders.nodes import gpu_node
from tests.harness.ledger import facts_in
from tests.harness.process import OperatorProcess, kill_at_write, start_again
from tests.harness.stack import Stack
from tests.harness.waiting import wait_for

pytestmark = [pytest.mark.planes, pytest.mark.timeout(300)]

NAMESPACE = "acme"
BIND_WRITES = 11
"""Reserved, lock, namespace, quota, account, network policy, role binding, token, Secret, Bound; one to spare."""
RELEASE_WRITES = 9
"""Releasing, role binding (two deletions), account, namespace, lock off, released, finalizer; one to spare."""


@pytest.fixture(scope="module")
def ready(stack: Stack) -> Stack:
    stack.apply("hub", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    stack.apply("west", gpu_node("n0"), gpu_node("n1"))
    stack.apply("hub", lease("west", committed=16), gpu_class(), tenant())
    operator = OperatorProcess(stack, "first").start()
    wait_for("two nodes for sale", lambda: _free(stack) == 16)
    operator.kill()
    return stack


def _free(stack: Stack) -> int:
    return int(
        stack.get("hub", "gpulease", "west").get("status", {}).get("inventory", {}).get("free", 0)
    )


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", range(1, BIND_WRITES + 1))
def test_a_bind_that_is_killed_at_a_write_ends_bound_once(ready: Stack, number: int, when: str):
    name = f"bind-{number}-{when}"
    ready.apply("hub", claim(name, NAMESPACE))
    killed = kill_at_write(ready, number, when)
    wait_for("killed or bound", lambda: killed.ended or ready.is_bound(NAMESPACE, name))
    killed.kill()

    operator = start_again(ready)
    bound = wait_for(f"{name} bound", lambda: ready.is_bound(NAMESPACE, name))
    uid = bound["metadata"]["uid"]

    assert sorted(ready.books("west").values()) == ["", f"{uid}=8"]
    assert ready.claim_namespaces("west") == [f"sublet-{uid}-1"]
    lines = wait_for(
        "metered", lambda: [f for f in facts_in(operator.database) if f.claim_uid == uid]
    )
    assert [(f.kind, f.type, f.gpus) for f in lines] == [(EntryKind.BOUND, EntryType.OPEN, 8)]

    ready.kubectl("hub", "delete", "gpuclaim", "-n", NAMESPACE, name, "--timeout=30s")
    operator.kill()


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", range(1, RELEASE_WRITES + 1))
def test_a_release_that_is_killed_at_a_write_ends_free_and_billed_once(
    ready: Stack, number: int, when: str
):
    name = f"release-{number}-{when}"
    ready.apply("hub", claim(name, NAMESPACE))
    first = start_again(ready)
    uid = wait_for("bound", lambda: ready.is_bound(NAMESPACE, name))["metadata"]["uid"]
    first.kill()
    ready.kubectl("hub", "delete", "gpuclaim", "-n", NAMESPACE, name, "--wait=false")
    killed = kill_at_write(ready, number, when)
    wait_for("killed or gone", lambda: killed.ended or ready.claim(NAMESPACE, name) is None)
    killed.kill()

    operator = start_again(ready)
    wait_for(f"{name} gone", lambda: ready.claim(NAMESPACE, name) is None)

    assert list(ready.books("west").values()) == ["", ""]
    assert ready.claim_namespaces("west") == []
    lines = [f for f in facts_in(operator.database) if f.claim_uid == uid]
    assert [(f.kind, f.type) for f in lines] == [
        (EntryKind.BOUND, EntryType.OPEN),
        (EntryKind.BOUND, EntryType.CLOSE),
        (EntryKind.RELEASING, EntryType.OPEN),
        (EntryKind.RELEASING, EntryType.CLOSE),
    ]
    operator.kill()
