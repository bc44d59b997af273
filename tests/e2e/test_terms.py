"""Terms of classes and leases on real control planes: approval, late cancellation, maintenance."""

import time
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from sublet.api.times import MS_PER_HOUR, Millis, format_instant
from sublet.ledger.entry import EntryKind
from tests.builders.api import claim, gpu_class, lease, tenant
from tests.builders.nodes import gpu_node
from tests.harness.ledger import facts_in
from tests.harness.process import OperatorProcess
from tests.harness.stack import Stack, condition
from tests.harness.waiting import wait_for

pytestmark = [pytest.mark.planes, pytest.mark.timeout(400)]

ACME = "acme"
CANCELLATION = {"freeBeforeStartSeconds": 3600, "chargePercent": 50}


@pytest.fixture(scope="module")
def operator(stack: Stack) -> Iterator[OperatorProcess]:
    stack.apply("hub", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": ACME}})
    stack.apply("west", *(gpu_node(f"h100-{i}") for i in range(2)))
    window = {"startTime": _at(30), "endTime": _at(31)}
    stack.apply("hub", lease("west", committed=16, maintenance=[window]), tenant())
    stack.apply("hub", gpu_class(approvalAboveGpus=8, cancellation=CANCELLATION))
    running = OperatorProcess(stack).start()
    yield running
    running.kill()


@cache
def _begun() -> Millis:
    """Return the minute in which the module began: it was collected long before, if other modules came first."""
    return Millis(int(time.time() // 60 * 60 * 1_000))


def _at(hours: float) -> str:
    return format_instant(Millis(_begun() + int(hours * MS_PER_HOUR)))


def _reason(stack: Stack, name: str) -> str | None:
    return condition(stack.claim(ACME, name) or {}, "Ready", "reason")


def _promised(stack: Stack, name: str) -> dict[str, Any] | None:
    found = stack.claim(ACME, name)
    return found if found and condition(found, "Reserved") == "True" else None


def test_a_large_claim_waits_for_a_person_and_says_who_that_was(
    operator: OperatorProcess, stack: Stack
):
    stack.apply("hub", claim("large", ACME, gpus=16, schedule={"durationSeconds": 3600}))
    wait_for("it waits", lambda: _reason(stack, "large") == "WaitingForApproval")
    found = stack.claim(ACME, "large") or {}
    assert condition(found, "Stalled") == "True"

    word = f"sublet.dev/approved={found['metadata']['uid']}=16,{found['spec']['className']}"
    stack.kubectl("hub", "annotate", "gpuclaim", "-n", ACME, "large", word)

    bound = wait_for("it is bound", lambda: stack.is_bound(ACME, "large"))
    assert bound["status"]["allocation"]["approvedBy"] == "admin"
    wait_for("the Event is there", lambda: "approved by admin" in _notes(stack))
    stack.kubectl("hub", "annotate", "gpuclaim", "-n", ACME, "large", "sublet.dev/approved-")
    stack.apply("hub", claim("large", ACME, gpus=16, schedule={"durationSeconds": 7200}))
    wait_for("it goes on", lambda: _is_seen_bound(stack, "large"))
    stack.kubectl("hub", "delete", "gpuclaim", "-n", ACME, "large", "--timeout=90s")


def _notes(stack: Stack) -> set[str]:
    events = stack.get("hub", "events.events.k8s.io", "-n", ACME)["items"]
    return {e.get("note", "") for e in events}


def _is_seen_bound(stack: Stack, name: str) -> bool:
    """Say whether the claim is bound by what its spec says now."""
    found = stack.is_bound(ACME, name) or {}
    status = found.get("status", {})
    return bool(found) and found["metadata"]["generation"] == status["observedGeneration"]


def test_a_promise_that_is_given_up_too_late_is_in_the_ledger_before_the_claim_is_gone(
    operator: OperatorProcess, stack: Stack
):
    schedule = {"startTime": _at(0.9), "durationSeconds": 7200}
    stack.apply("hub", claim("regrets", ACME, schedule=schedule))
    uid = wait_for("promised", lambda: _promised(stack, "regrets"))["metadata"]["uid"]

    stack.kubectl("hub", "delete", "gpuclaim", "-n", ACME, "regrets", "--timeout=90s")

    lines = [f for f in facts_in(operator.database) if f.claim_uid == uid]
    given = [(f.at_ms, f.gpus) for f in lines if f.kind is EntryKind.CANCELLED]
    start = _begun() + int(0.9 * MS_PER_HOUR)
    assert given == [(start, 8), (start + 2 * MS_PER_HOUR, 8)]
    charges = [
        v for k, v in operator.metrics().items() if k.startswith("sublet_tenant_charges_total")
    ]
    assert sum(charges) >= 8 * 2 * 3.99 / 2


def test_a_claim_without_a_duration_is_told_that_maintenance_ends_it(
    operator: OperatorProcess, stack: Stack
):
    stack.apply("hub", claim("open", ACME))
    bound = wait_for("bound", lambda: stack.is_bound(ACME, "open"))

    allocation = bound["status"]["allocation"]
    assert (allocation["untilTime"], allocation["untilCause"]) == (_at(30), "Maintenance")
    (first, *_) = stack.get("hub", "gpulease", "west")["status"]["outlook"]
    assert first["time"] == _at(30)
    assert (first["maintenance"], first["sellable"]) == (16, 0)
    stack.kubectl("hub", "delete", "gpuclaim", "-n", ACME, "open", "--timeout=90s")
