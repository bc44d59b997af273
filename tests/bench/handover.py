"""Two replicas: how long nobody decides when the leader is killed, told to stop, paused or cut off, and what it writes when it wakes."""

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sublet.hub.leader import LEASE_NAME
from sublet.kube.errors import Unreachable
from tests.bench.results import Row, most
from tests.builders.api import claim, gpu_class, lease, tenant
from tests.builders.nodes import gpu_node
from tests.harness.postgres import postgres_server
from tests.harness.process import OperatorProcess
from tests.harness.relay import relayed
from tests.harness.stack import Stack, condition, operator_kubeconfig, start_stack
from tests.harness.tracing import Request, read_trace
from tests.harness.waiting import wait_for

NAMESPACE = "bench"
LEASE_SECONDS = 15
RETRY_SECONDS = 2
NODES = 28
IN_HAND = tuple(f"in-hand-{i:02d}" for i in range(24))
"""So many that some are at each step of a bind when the leader is paused."""
LEASE_PATH = f"/leases/{LEASE_NAME}"
LOST_LEASE = 1
"""Exit status of a replica that lost the Lease."""


def measure() -> list[Row]:
    """Return the rows."""
    stack = start_stack("handover", leased=("west",))
    try:
        stack.apply(
            "hub", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
        )
        stack.apply("west", *(gpu_node(f"n{i:02d}") for i in range(NODES)))
        body = tenant("bench", namespaces=(NAMESPACE,))
        stack.apply("hub", lease("west", committed=NODES * 8), gpu_class(), body)
        with postgres_server() as store:
            return [
                _killed(stack, store.url),
                _told(stack, store.url),
                *_paused(stack, store.url),
                _cut_off(stack, store.url),
            ]
    finally:
        stack.stop()


def _killed(stack: Stack, url: str) -> Row:
    with _pair(stack, url, "killed") as leader:
        taken = _handed_over(stack, "killed", leader.kill)
    return _row("killed", taken, f"to the next Reserved; Lease of {LEASE_SECONDS} s; {_WHY}")


def _told(stack: Stack, url: str) -> Row:
    with _pair(stack, url, "told") as leader:
        taken = _handed_over(stack, "told", leader.terminate)
    return _row("told to stop", taken, "likewise: it gives the Lease up")


def _paused(stack: Stack, url: str) -> Iterator[Row]:
    """Pause a leader that has binds in hand, let the other end them, and wake it."""
    file = stack.folder / "paused.trace"
    traced = {"module": "tests.harness.tracing", "TRACE_FILE": str(file)}
    with _pair(stack, url, "paused", **traced) as leader:
        stack.apply("hub", *(claim(name, NAMESPACE) for name in IN_HAND))
        wait_for("it is at work", lambda: any(stack.books("west").values()))
        slept = time.monotonic()
        taken = _handed_over(stack, "paused", lambda: os.kill(leader.pid, signal.SIGSTOP))
        for name in IN_HAND:
            wait_for(f"{name} bound", lambda name=name: stack.is_bound(NAMESPACE, name))
        # what the sleeper had in hand goes back; its requests are given up after half a minute, and it must wake in one
        stack.kubectl("hub", "delete", "gpuclaims", "-n", NAMESPACE, "--all", "--timeout=60s")
        woken = time.monotonic()
        os.kill(leader.pid, signal.SIGCONT)
        assert leader.wait() == LOST_LEASE
    sent = [r for r in read_trace(file) if r.begun > woken and not r.path.endswith(LEASE_PATH)]
    # its network is whole: what met no server wasn't sent
    writes = [r for r in sent if r.changes and r.failed != Unreachable.__name__]
    yield _row("paused", taken, f"likewise, {len(IN_HAND)} claims in its hand")
    yield Row(
        "writes of a leader that wakes",
        len(writes),
        "writes",
        most(0),
        f"it slept for {woken - slept:.0f} s; {_told_of(writes)}",
    )


def _told_of(writes: list[Request]) -> str:
    """Return what was written and what came of it."""
    kinds = Counter(f"{r.method} {_kind(r.path)} {r.failed or 'done'}" for r in writes)
    return "not counted: those to its Lease; " + ", ".join(f"{n} {k}" for k, n in kinds.items())


def _kind(path: str) -> str:
    """Return the plural in an object's or a collection's path."""
    parts = path.split("/")[3 if path.startswith("/api/") else 4 :]
    return parts[2] if len(parts) > 2 else parts[0]


def _cut_off(stack: Stack, url: str) -> Row:
    copy = stack.folder / "cut.kubeconfig"
    with (
        relayed(operator_kubeconfig(stack), copy) as link,
        _pair(stack, url, "cut", SUBLET_KUBECONFIG=str(copy)) as leader,
    ):
        taken = _handed_over(stack, "cut", link.cut)
        assert leader.wait() == LOST_LEASE
    return _row("cut off from the hub", taken, "likewise; it ends by itself")


_WHY = "limit: the Lease, a retry until its last renewal is seen and one until it is tried for"


def _row(how: str, taken: float, note: str) -> Row:
    longest = most(LEASE_SECONDS + 2 * RETRY_SECONDS)
    return Row(f"hand-over, leader {how}", taken, "s", longest, note)


@contextmanager
def _pair(stack: Stack, url: str, name: str, **leading: str) -> Iterator[OperatorProcess]:
    """Give a leader with a standby beside it, on one ledger; at the end nobody has a claim."""
    settings = {"SUBLET_DATABASE_URL": url, "SUBLET_LEASE_SECONDS": str(LEASE_SECONDS)}
    leader, standby = (
        OperatorProcess(stack, i, **{**settings, "SUBLET_IDENTITY": i, **more})
        for i, more in ((f"{name}-leader", leading), (f"{name}-standby", {}))
    )
    leader.start()
    wait_for("it leads", lambda: _holder(stack) == f"{name}-leader")
    standby.start()
    try:
        yield leader
        stack.kubectl("hub", "delete", "gpuclaims", "-n", NAMESPACE, "--all", "--timeout=60s")
    finally:
        leader.kill()
        standby.terminate()


def _handed_over(stack: Stack, name: str, end: Callable[[], object]) -> float:
    """End a leader; return the seconds until a claim made at that moment is Reserved by the other."""
    begun = time.perf_counter()
    end()
    stack.apply("hub", claim(name, NAMESPACE))
    wait_for("reserved by the other", lambda: _is_reserved(stack, name), seconds=120)
    taken = time.perf_counter() - begun
    wait_for("bound", lambda: stack.is_bound(NAMESPACE, name))
    return taken


def _is_reserved(stack: Stack, name: str) -> bool:
    found = stack.claim(NAMESPACE, name)
    return found is not None and condition(found, "Reserved") == "True"


def _holder(stack: Stack) -> str:
    found = stack.get("hub", "lease", "-n", "sublet-system", LEASE_NAME)
    return str(found["spec"].get("holderIdentity", "")) if found else ""
