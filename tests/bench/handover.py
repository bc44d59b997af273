"""Two replicas: how long nobody decides when the leader is killed, and when it is told to stop."""

import time
from collections.abc import Callable

from tests.bench.results import Row
from tests.builders.api import claim, gpu_class, lease, tenant
from tests.builders.nodes import gpu_node
from tests.harness.postgres import postgres_server
from tests.harness.process import OperatorProcess
from tests.harness.stack import Stack, condition, start_stack
from tests.harness.waiting import wait_for

NAMESPACE = "bench"
LEASE_SECONDS = 15
RETRY_SECONDS = 2


def measure() -> list[Row]:
    """Return the rows."""
    stack = start_stack("handover", leased=("west",))
    try:
        stack.apply(
            "hub", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
        )
        stack.apply("west", gpu_node("n0"), gpu_node("n1"))
        body = tenant("bench", namespaces=(NAMESPACE,))
        stack.apply("hub", lease("west", committed=16), gpu_class(), body)
        with postgres_server() as store:
            killed = _handover(stack, store.url, "killed", lambda leader: leader.kill())
            told = _handover(stack, store.url, "told", lambda leader: leader.terminate())
    finally:
        stack.stop()
    longest = LEASE_SECONDS + RETRY_SECONDS
    note = f"to the next Reserved; Lease of {LEASE_SECONDS} s"
    return [
        Row(
            "hand-over, leader killed", killed, "s", longest, f"{note}; limit: Lease and one retry"
        ),
        Row("hand-over, leader told to stop", told, "s", longest, f"{note}; likewise"),
    ]


def _handover(stack: Stack, url: str, name: str, end: Callable[[OperatorProcess], object]) -> float:
    """End a leader with a standby beside it; return the seconds until a claim made at that moment is Reserved."""
    settings = {"SUBLET_DATABASE_URL": url, "SUBLET_LEASE_SECONDS": str(LEASE_SECONDS)}
    leader, standby = (
        OperatorProcess(stack, f"{name}-{i}", **settings, SUBLET_IDENTITY=f"{name}-{i}")
        for i in (1, 2)
    )
    leader.start()
    wait_for("it leads", lambda: b'"leading"' in leader.log.read_bytes())
    standby.start()
    begun = time.perf_counter()
    end(leader)
    stack.apply("hub", claim(name, NAMESPACE))
    wait_for("reserved by the other", lambda: _is_reserved(stack, name), seconds=120)
    taken = time.perf_counter() - begun
    wait_for("bound", lambda: stack.is_bound(NAMESPACE, name))
    standby.terminate()
    return taken


def _is_reserved(stack: Stack, name: str) -> bool:
    found = stack.claim(NAMESPACE, name)
    return found is not None and condition(found, "Reserved") == "True"
