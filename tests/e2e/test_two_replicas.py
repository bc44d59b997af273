"""Two replicas on one PostgreSQL: the leader is killed, paused, cut off; the other goes on, and nothing is double."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sublet.hub.leader import LEASE_NAME
from sublet.ledger.entry import EntryType
from tests.builders.api import claim, gpu_class, lease, tenant
from tests.builders.nodes import gpu_node
from tests.harness.ledger import facts_in
from tests.harness.postgres import PostgresServer, postgres_server
from tests.harness.process import OperatorProcess
from tests.harness.relay import relayed
from tests.harness.shared import borrow_stack
from tests.harness.stack import NAMESPACE, Stack, operator_kubeconfig
from tests.harness.tracing import read_trace
from tests.harness.waiting import stays, wait_for

pytestmark = [pytest.mark.planes, pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(400)]

ACME = "acme"
NODES = 8
LOST_LEASE = 1
"""Exit status of a replica that lost the Lease."""


@pytest.fixture(scope="module")
def store() -> Iterator[PostgresServer]:
    with postgres_server() as running:
        yield running


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    running = borrow_stack("replicas", leased=("west",))
    running.apply("hub", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": ACME}})
    running.apply("west", *(gpu_node(f"n{i}") for i in range(NODES)))
    running.apply("hub", lease("west", committed=NODES * 8), gpu_class(), tenant())
    yield running
    running.stop()


def replica(
    stack: Stack, store: PostgresServer, name: str, config: Path | None = None, **more: str
) -> OperatorProcess:
    settings = {"SUBLET_DATABASE_URL": store.url, "SUBLET_IDENTITY": name, **more}
    if config is not None:
        settings["SUBLET_KUBECONFIG"] = str(config)
    return OperatorProcess(stack, name, **settings).start()


@contextmanager
def pair(
    stack: Stack, store: PostgresServer, case: str, config: Path | None = None, **leading: str
) -> Iterator[tuple[OperatorProcess, OperatorProcess]]:
    """A leader, whose way to the hub may be another one, and a standby."""
    leader = replica(stack, store, f"{case}-leader", config, **leading)
    wait_for("the first leads", lambda: holder(stack) == f"{case}-leader")
    standby = replica(stack, store, f"{case}-standby")
    try:
        yield leader, standby
    finally:
        leader.kill()
        standby.terminate()


def holder(stack: Stack) -> str:
    found = stack.get("hub", "lease", "-n", NAMESPACE, LEASE_NAME)
    return str(found["spec"].get("holderIdentity", "")) if found else ""


def order(stack: Stack, *names: str) -> None:
    stack.apply("hub", *(claim(name, ACME) for name in names))


def bound(stack: Stack, *names: str) -> list[dict[str, Any]]:
    return [
        wait_for(f"{name} bound", lambda name=name: stack.is_bound(ACME, name)) for name in names
    ]


def give_back(stack: Stack) -> None:
    stack.kubectl("hub", "delete", "gpuclaims", "-n", ACME, "--all", "--timeout=60s")
    assert set(stack.books("west").values()) == {""}
    assert stack.claim_namespaces("west") == []


def assert_nothing_double(stack: Stack, store: PostgresServer, *names: str) -> None:
    """Each claim has its node, its one namespace and its one open line; nobody else has any."""
    uids = [stack.claim(ACME, name)["metadata"]["uid"] for name in names]
    held = sorted(book for book in stack.books("west").values() if book)
    assert held == sorted(f"{uid}=8" for uid in uids)
    assert sorted(stack.claim_namespaces("west")) == sorted(f"sublet-{uid}-1" for uid in uids)
    for uid in uids:
        lines = wait_for("the ledger has it", lambda u=uid: [f.type for f in facts_in(store.url) if f.claim_uid == u])  # fmt: skip
        assert lines == [EntryType.OPEN]


def test_a_leader_that_is_killed_in_the_middle_of_binds_leaves_nothing_undone(
    stack: Stack, store: PostgresServer
):
    names = [f"kill-{i}" for i in range(NODES)]
    with pair(stack, store, "kill") as (leader, _):
        order(stack, *names)
        wait_for("it is at work", lambda: any(stack.books("west").values()))
        leader.kill()

        bound(stack, *names)
        assert holder(stack) == "kill-standby"
        assert_nothing_double(stack, store, *names)
        give_back(stack)


def test_a_leader_that_is_paused_and_wakes_writes_nothing_and_ends(
    stack: Stack, store: PostgresServer
):
    first, later = ["pause-0", "pause-1", "pause-2"], ["pause-3", "pause-4", "pause-5"]
    trace = stack.folder / "pause.trace"
    traced = {"module": "tests.harness.tracing", "TRACE_FILE": str(trace)}
    with pair(stack, store, "pause", **traced) as (leader, _):
        order(stack, *first)
        wait_for("it is at work", lambda: any(stack.books("west").values()))
        os.kill(leader.pid, signal.SIGSTOP)
        bound(stack, *first)
        # what the sleeper had in hand goes back and to others
        stack.kubectl("hub", "delete", "gpuclaims", "-n", ACME, *first, "--timeout=60s")
        order(stack, *later)
        bound(stack, *later)

        woken = time.monotonic()
        os.kill(leader.pid, signal.SIGCONT)

        assert leader.wait() == LOST_LEASE
        # its network is whole: what met no server wasn't sent; to its own Lease it may look
        sent = [r for r in read_trace(trace) if r.begun > woken and r.failed != "Unreachable"]
        assert [r.path for r in sent if r.changes and not r.path.endswith(LEASE_NAME)] == []
        assert holder(stack) == "pause-standby"
        assert_nothing_double(stack, store, *later)
        give_back(stack)


def test_a_leader_that_is_cut_off_from_the_hub_ends_and_the_other_goes_on(
    stack: Stack, store: PostgresServer
):
    names = ["cut-0", "cut-1", "cut-2"]
    copy = stack.folder / "cut.kubeconfig"
    with (
        relayed(operator_kubeconfig(stack), copy) as link,
        pair(stack, store, "cut", copy) as (leader, _),
    ):
        order(stack, *names)
        wait_for("it is at work", lambda: any(stack.books("west").values()))
        link.cut()

        bound(stack, *names)
        assert leader.wait() == LOST_LEASE
        assert holder(stack) == "cut-standby"
        assert_nothing_double(stack, store, *names)
        give_back(stack)


def test_a_standby_that_is_cut_off_changes_nothing(stack: Stack, store: PostgresServer):
    copy = stack.folder / "aside.kubeconfig"
    with relayed(operator_kubeconfig(stack), copy) as link:
        leader = replica(stack, store, "aside-leader")
        wait_for("the first leads", lambda: holder(stack) == "aside-leader")
        standby = replica(stack, store, "aside-standby", copy)
        link.cut()
        order(stack, "aside")
        bound(stack, "aside")

        stays("it leads", lambda: holder(stack) == "aside-leader", seconds=4)
        link.heal()
        stays("it still leads", lambda: holder(stack) == "aside-leader", seconds=4)
        assert not standby.ended
        assert_nothing_double(stack, store, "aside")
        give_back(stack)
        standby.kill()
        assert leader.terminate() == 0
