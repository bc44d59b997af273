"""A leased cluster whose etcd is restored from a backup: what it forgot of a bound claim is put back, and nobody else gets it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.builders.api import claim, gpu_class, lease, tenant
from tests.builders.nodes import gpu_node
from tests.harness.backup import COUNTER, back_up, restore, write_on
from tests.harness.ledger import facts_in
from tests.harness.process import OperatorProcess
from tests.harness.stack import Stack, condition, start_stack
from tests.harness.tenants import pod, write_access
from tests.harness.verified import is_sound
from tests.harness.waiting import wait_for

pytestmark = [pytest.mark.planes, pytest.mark.slow, pytest.mark.timeout(400)]

ACME = "acme"


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


def test_what_a_restored_cluster_forgot_of_a_bound_claim_is_put_back(
    operator: OperatorProcess, tmp_path: Path
):
    stack = operator.stack
    wait_for("for sale", lambda: stack.books("west") == {"n0": ""}, seconds=60)
    backup = back_up(stack, "west")
    stack.apply("hub", claim("train", ACME))
    bound = wait_for("bound", lambda: stack.is_bound(ACME, "train"), seconds=120)
    uid, old = bound["metadata"]["uid"], write_access(stack, bound, tmp_path / "old")
    assert "No resources found" in stack.kubectl_with(old, "get", "pods")
    stack.apply("hub", claim("next", ACME))
    wait_for("another waits", lambda: "pending" in (stack.claim(ACME, "next") or {})["status"])
    write_on(stack, "west")
    restore(stack, "west", backup)
    assert stack.get("west", "configmap", "-n", "default", COUNTER) is None

    wait_for("locked again, and sold to nobody before", lambda: _is_locked(stack, uid), seconds=120)
    wait_for("with a namespace", lambda: _homes(stack, uid), seconds=120)
    new = wait_for("a new token is good", lambda: _way_in(stack, tmp_path / "new"), seconds=120)
    stack.kubectl_with(new, "apply", "-f", "-", given=pod("work", 8))
    # it is bound to the node; the simulated kubelet waits for the node's Lease of the one before
    stack.kubectl_with(new, "wait", "--for=condition=PodScheduled", "pod/work", "--timeout=60s")
    assert "(Unauthorized)" in stack.kubectl_with(old, "get", "pods", check=False)
    assert _is_locked(stack, uid)
    assert _lines(operator, uid) == [("bound", "open")]
    is_sound(stack, operator.database)


def _is_locked(stack: Stack, uid: str) -> bool:
    """Say whether the node is the claim's again; AssertionError if the one that waits is given anything meanwhile."""
    waiting, books = stack.claim(ACME, "next") or {}, stack.books("west")
    assert waiting["metadata"]["uid"] not in books["n0"]
    assert condition(waiting, "Reserved") == "False"
    return books == {"n0": f"{uid}=8"}


def _homes(stack: Stack, uid: str) -> list[str]:
    return [n for n in stack.claim_namespaces("west") if n.startswith(f"sublet-{uid}-")]


def _way_in(stack: Stack, path: Path) -> Path | None:
    """Return the claim's kubeconfig, as it is now, if the cluster accepts it."""
    config = write_access(stack, stack.claim(ACME, "train") or {}, path)
    said = stack.kubectl_with(config, "get", "pods", check=False)
    return config if "No resources found" in said else None


def _lines(operator: OperatorProcess, uid: str) -> list[tuple[str, str]]:
    facts = facts_in(operator.database)
    return [(f.kind.value, f.type.value) for f in facts if f.claim_uid == uid]
