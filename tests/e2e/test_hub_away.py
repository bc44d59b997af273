"""The hub is away for longer than a tenant's token lives: access ends, pods run on, and all comes back by itself.

The ten minutes that a token lives at least are played in seconds: the server's tokens end early, though it says ten minutes
of them, and when the hub is back the operator's clock is ahead by what was skipped.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.builders.api import claim, gpu_class, lease, tenant
from tests.builders.nodes import gpu_node
from tests.harness.between import Between, before_cluster
from tests.harness.early_ends import end_early
from tests.harness.frozen import away
from tests.harness.hours import Hours
from tests.harness.ledger import facts_in
from tests.harness.process import OperatorProcess
from tests.harness.shared import borrow_stack
from tests.harness.stack import Stack, condition
from tests.harness.tenants import pod, write_access
from tests.harness.waiting import wait_for

pytestmark = [pytest.mark.planes, pytest.mark.slow, pytest.mark.timeout(400)]

ACME = "acme"
LIFE_SECONDS = 600
PLAYED_SECONDS = 20
SKIPPED_HOURS = 0.2
"""More than a token's life."""


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    running = borrow_stack("hub-away", leased=("west",))
    running.apply("hub", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": ACME}})
    running.apply("west", gpu_node("n0"))
    yield running
    running.stop()


@pytest.fixture
def west(stack: Stack) -> Iterator[Between]:
    """West through a network that brings the end of tenants' tokens forward."""
    key = stack.running.folder / "west" / "sa.key"

    def change(method: str, path: str, body: bytes) -> bytes:
        if method != "POST" or not path.endswith("/serviceaccounts/tenant/token"):
            return body
        answer = json.loads(body)
        answer["status"]["token"] = end_early(answer["status"]["token"], key, PLAYED_SECONDS)
        return json.dumps(answer).encode()

    with before_cluster(stack, "west") as network:
        network.change = change
        yield network


def test_access_ends_and_pods_run_on_until_the_hub_is_back(
    stack: Stack, west: Between, tmp_path: Path
):
    hours = Hours(stack)
    operator = hours.operator(SUBLET_TOKEN_LIFE_SECONDS=str(LIFE_SECONDS)).start()
    stack.apply("hub", lease("west", committed=8), gpu_class(), tenant(), claim("train", ACME))
    bound = wait_for("bound", lambda: stack.is_bound(ACME, "train"))
    old = write_access(stack, bound, tmp_path / "old")
    stack.kubectl_with(old, "apply", "-f", "-", given=pod("work", 8))
    running = wait_for("the pod runs", lambda: _running(stack, bound))
    stack.apply("hub", claim("next", ACME))
    wait_for("another waits", lambda: "pending" in (stack.claim(ACME, "next") or {})["status"])
    with away(stack, "hub"):
        wait_for("nobody leads", lambda: operator.ended)
        wait_for("401", lambda: _is_unknown(stack, old))
        assert _running(stack, bound) == running
        assert stack.books("west") == {"n0": f"{bound['metadata']['uid']}=8"}
    west.change = lambda _method, _path, body: body  # from here on time runs as it does
    hours.file.write_text(str(SKIPPED_HOURS))
    operator.start()

    new = wait_for("a new token", lambda: _other_than(stack, bound, old, tmp_path / "new"))
    assert "work" in stack.kubectl_with(new, "get", "pods")
    assert _is_unknown(stack, old)
    assert _running(stack, bound) == running
    assert stack.books("west") == {"n0": f"{bound['metadata']['uid']}=8"}
    assert stack.is_bound(ACME, "train")["status"]["allocation"] == bound["status"]["allocation"]
    assert condition(stack.claim(ACME, "next") or {}, "Reserved") == "False"
    assert _lines(operator, bound) == [("bound", "open")]
    operator.kill()


def _is_unknown(stack: Stack, access: Path) -> bool:
    """Say whether the cluster doesn't know who has this token any more."""
    return "(Unauthorized)" in stack.kubectl_with(access, "get", "pods", check=False)


def _running(stack: Stack, bound: dict[str, Any]) -> str | None:
    """Return the UID of the tenant's pod if it runs."""
    home = bound["status"]["access"]["clusters"][0]["namespace"]
    found = stack.get("west", "pod", "-n", home, "work")
    return str(found["metadata"]["uid"]) if found["status"].get("phase") == "Running" else None


def _other_than(stack: Stack, bound: dict[str, Any], old: Path, path: Path) -> Path | None:
    """Return a tenant's kubeconfig, as it is now, if it isn't the old one."""
    new = write_access(stack, bound, path)
    return new if new.read_text() != old.read_text() else None


def _lines(operator: OperatorProcess, bound: dict[str, Any]) -> list[tuple[str, str]]:
    uid = bound["metadata"]["uid"]
    facts = facts_in(operator.database)
    return [(f.kind.value, f.type.value) for f in facts if f.claim_uid == uid]
