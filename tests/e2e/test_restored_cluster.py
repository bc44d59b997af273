"""A leased cluster whose etcd is restored from a backup: what it forgot of a bound claim is put back."""

from collections.abc import Iterator

import pytest

from tests.builders.api import claim, gpu_class, lease, tenant
from tests.builders.nodes import gpu_node
from tests.harness.backup import back_up, restore
from tests.harness.process import OperatorProcess
from tests.harness.stack import Stack, start_stack
from tests.harness.waiting import wait_for

pytestmark = [pytest.mark.planes, pytest.mark.slow, pytest.mark.timeout(400)]

ACME = "acme"
COUNTER = "counter"
_REVISIONS = 1_000
"""So many more writes than the restored server makes of itself: it stays behind what the operator has seen."""


@pytest.fixture(scope="module")
def operator() -> Iterator[OperatorProcess]:
    stack = start_stack("restored-cluster", leased=("west",))
    operator = OperatorProcess(stack, SUBLET_DRIFT_SECONDS="2")
    try:
        stack.apply("hub", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": ACME}})
        stack.apply("west", gpu_node("n0"))
        stack.apply("hub", lease("west", committed=8), gpu_class(), tenant())
        yield operator.start()
    finally:
        operator.kill()
        stack.stop()


def test_what_a_restored_cluster_forgot_of_a_bound_claim_is_put_back(operator: OperatorProcess):
    stack = operator.stack
    wait_for("for sale", lambda: stack.books("west") == {"n0": ""}, seconds=60)
    backup = back_up(stack, "west")
    stack.apply("hub", claim("train", ACME))
    bound = wait_for("bound", lambda: stack.is_bound(ACME, "train"), seconds=120)
    uid = bound["metadata"]["uid"]
    _write_on(stack)
    restore(stack, "west", backup)
    assert stack.get("west", "configmap", "-n", "default", COUNTER) is None

    wait_for("locked again", lambda: stack.books("west") == {"n0": f"{uid}=8"}, seconds=120)
    wait_for("with a namespace", lambda: _homes(stack, uid), seconds=120)
    wait_for("bound", lambda: stack.is_bound(ACME, "train"), seconds=60)


def _homes(stack: Stack, uid: str) -> list[str]:
    return [n for n in stack.claim_namespaces("west") if n.startswith(f"sublet-{uid}-")]


def _write_on(stack: Stack) -> None:
    """Bring the cluster's versions far beyond those of the backup."""
    meta = {"name": COUNTER, "namespace": "default"}
    for number in range(_REVISIONS):
        stack.apply("west", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"n": str(number)}})  # fmt: skip
