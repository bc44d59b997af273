"""Nodes that fall ill under claims: what is told, what stays held, and that nothing is sold or taken away for it."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.builders.api import LONG_AGO, claim, gpu_class, lease, tenant
from tests.harness.kubelet import HandKubelet
from tests.harness.ledger import facts_in
from tests.harness.process import OperatorProcess
from tests.harness.shared import borrow_stack
from tests.harness.stack import Stack, condition
from tests.harness.waiting import stays, wait_for

pytestmark = [pytest.mark.planes, pytest.mark.slow, pytest.mark.timeout(400)]

ACME = "acme"
NODES = ("n0", "n1", "n2", "n3")


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    running = borrow_stack("ill-nodes", leased=("west",))
    yield running
    running.stop()


@pytest.fixture(scope="module")
def kubelet(stack: Stack) -> HandKubelet:
    return HandKubelet(stack, "west")


@pytest.fixture(scope="module")
def operator(stack: Stack, kubelet: HandKubelet) -> Iterator[OperatorProcess]:
    stack.apply("hub", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": ACME}})
    kubelet.join(*NODES)
    stack.apply("hub", lease("west", committed=32), gpu_class(), tenant())
    running = OperatorProcess(stack).start()
    yield running
    running.kill()


@pytest.fixture
def bound(operator: OperatorProcess, stack: Stack) -> Iterator[dict[str, Any]]:
    """A claim on one node, which may be replaced; three nodes are free."""
    wait_for("all for sale", lambda: _counts(stack).get("free") == 32)
    stack.apply("hub", claim("train", ACME, replacement="OnFailure"))
    yield wait_for("bound", lambda: stack.is_bound(ACME, "train"))
    stack.kubectl("hub", "delete", "gpuclaims", "-n", ACME, "--all", "--timeout=90s")


def _counts(stack: Stack) -> dict[str, Any]:
    found = stack.get("hub", "gpulease", "west").get("status", {})
    counts: dict[str, Any] = found.get("inventory", {})
    return counts


def _unsellable(stack: Stack) -> dict[str, int]:
    return {u["reason"]: u["gpus"] for u in _counts(stack).get("unsellable", [])}


def _node(body: dict[str, Any]) -> str:
    (place,) = body["status"]["allocation"]["placements"]
    return str(place["node"])


def _told(stack: Stack) -> str:
    found = stack.claim(ACME, "train") or {}
    said = condition(found, "Degraded", "message") or ""
    return said if condition(found, "Degraded") == "True" else ""


def _holds_its_node(stack: Stack, bound: dict[str, Any]) -> bool:
    now = stack.is_bound(ACME, "train")
    held = stack.books("west")[_node(bound)] == f"{bound['metadata']['uid']}=8"
    return now is not None and held and _node(now) == _node(bound)


def test_a_kubelet_that_is_not_ready_is_told_and_its_node_stays_the_claims(
    kubelet: HandKubelet, stack: Stack, bound: dict[str, Any]
):
    kubelet.show(_node(bound), ready=False)
    wait_for("told", lambda: "NotReady" in _told(stack))
    stays("it has its node", lambda: _holds_its_node(stack, bound), seconds=2)

    kubelet.show(_node(bound), ready=True)
    wait_for("told that it is well", lambda: not _told(stack))
    assert _holds_its_node(stack, bound)


def test_a_gpu_that_is_lost_is_told_and_a_node_without_all_its_gpus_is_not_sold(
    kubelet: HandKubelet, stack: Stack, bound: dict[str, Any]
):
    free = next(n for n in NODES if n != _node(bound))
    kubelet.show(_node(bound), gpus=7)
    kubelet.show(free, gpus=7)

    wait_for("told", lambda: "GpusLost" in _told(stack))
    wait_for("not for sale", lambda: "GpusLost" in _unsellable(stack))
    assert _holds_its_node(stack, bound)

    kubelet.show(_node(bound), gpus=8)
    kubelet.show(free, gpus=8)
    wait_for("watched for a while", lambda: _unsellable(stack).get("Settling") == 8)
    wait_for("told that it is well", lambda: not _told(stack))
    wait_for("for sale again", lambda: _counts(stack)["free"] == 24)
    assert _holds_its_node(stack, bound)


def test_gpus_that_vanish_on_all_nodes_at_once_free_nothing_and_move_nobody(
    kubelet: HandKubelet, stack: Stack, bound: dict[str, Any]
):
    for name in NODES:
        kubelet.show(name, gpus=0)

    wait_for("told why nothing is done", lambda: "many nodes of the lease failed" in _told(stack))
    stays("it has its node", lambda: _holds_its_node(stack, bound), seconds=2)
    assert _counts(stack)["free"] == 0
    assert _counts(stack)["bound"] == 8

    for name in NODES:
        kubelet.show(name, gpus=8)
    wait_for("told that it is well", lambda: not _told(stack))
    wait_for("for sale again", lambda: _counts(stack)["free"] == 24)
    assert _holds_its_node(stack, bound)


def test_a_driver_upgrade_stops_sales_of_a_node_and_is_no_failure(
    kubelet: HandKubelet, stack: Stack, bound: dict[str, Any]
):
    free = next(n for n in NODES if n != _node(bound))
    for name in (_node(bound), free):
        kubelet.label(name, gpu_driver_upgrade_state="pod-restart-required")
        kubelet.show(name, gpus=0)

    wait_for("not for sale", lambda: "Upgrading" in _unsellable(stack))
    stays("it isn't called failed", lambda: not _told(stack), seconds=1)
    assert _holds_its_node(stack, bound)

    for name in (_node(bound), free):
        kubelet.show(name, gpus=8)
        kubelet.label(name, gpu_driver_upgrade_state="upgrade-done")
    wait_for("for sale again", lambda: _counts(stack)["free"] == 24)


def test_a_cordon_of_somebody_elses_is_respected_and_not_undone(
    kubelet: HandKubelet, stack: Stack, bound: dict[str, Any]
):
    free = next(n for n in NODES if n != _node(bound))
    for name in (_node(bound), free):
        stack.kubectl("west", "cordon", name)

    wait_for("not for sale", lambda: _unsellable(stack).get("Cordoned", 0) >= 8)
    stays("it has its node", lambda: _holds_its_node(stack, bound), seconds=1)
    assert stack.get("west", "node", free)["spec"]["unschedulable"] is True

    for name in (_node(bound), free):
        stack.kubectl("west", "uncordon", name)
    wait_for("for sale again", lambda: _counts(stack)["free"] == 24)


def test_a_price_that_changes_is_for_new_claims_alone(
    operator: OperatorProcess, stack: Stack, bound: dict[str, Any]
):
    prices = [
        {"effectiveTime": LONG_AGO, "perGpuHour": "3.99"},
        {"effectiveTime": "2026-06-01T00:00:00Z", "perGpuHour": "5.50"},
    ]
    stack.apply("hub", gpu_class(prices=prices))
    stack.apply("hub", claim("later", ACME))
    later = wait_for("bound", lambda: stack.is_bound(ACME, "later"))
    stays("it has its node", lambda: _holds_its_node(stack, bound), seconds=1)

    now = stack.claim(ACME, "train") or {}
    paid = [c["status"]["allocation"]["pricePerGpuHour"] for c in (now, later)]
    assert paid == ["3.99", "5.50"]
    hashes = [c["status"]["allocation"]["priceHash"] for c in (now, later)]
    wait_for("both are metered", lambda: len(_prices(operator, now, later)) == 2)
    assert _prices(operator, now, later) == hashes


def _prices(operator: OperatorProcess, *claims: dict[str, Any]) -> list[str]:
    """Return the price hash of each claim's first line."""
    first: dict[str, str] = {}  # claim UID -> price hash
    for fact in facts_in(operator.database):
        first.setdefault(fact.claim_uid, fact.price_hash)
    return [first[c["metadata"]["uid"]] for c in claims if c["metadata"]["uid"] in first]
