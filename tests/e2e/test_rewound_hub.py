"""A hub that is older than the ledger, as after a restored backup: nothing is taken back without a person's word."""

import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from sublet.api.ids import ClaimUID
from tests.builders.api import claim, gpu_class, lease, tenant
from tests.builders.nodes import gpu_node
from tests.harness.ledger import add_fact, facts_in
from tests.harness.process import OperatorProcess
from tests.harness.shared import borrow_stack
from tests.harness.stack import Stack, condition
from tests.harness.waiting import stays, wait_for
from tests.harness.wounds import let_go, patch

pytestmark = [pytest.mark.planes, pytest.mark.slow, pytest.mark.timeout(300)]

ACME = "acme"


@pytest.fixture(scope="module")
def operator() -> Iterator[OperatorProcess]:
    stack = borrow_stack("rewound", leased=("west",))
    operator = OperatorProcess(stack, SUBLET_DRIFT_SECONDS="1")
    try:
        stack.apply("hub", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": ACME}})
        stack.apply("west", gpu_node("n1"), gpu_node("n2"))
        stack.apply("hub", lease("west", committed=16), gpu_class(), tenant())
        operator.start()
        stack.apply("hub", claim("newer", ACME), claim("other", ACME))
        for name in ("newer", "other"):
            wait_for(f"{name} bound", lambda n=name: stack.is_bound(ACME, n), seconds=120)
        yield operator
    finally:
        operator.kill()
        stack.stop()


def test_nothing_is_taken_back_while_the_hub_is_older_than_the_ledger(operator: OperatorProcess):
    stack = operator.stack
    newer = stack.claim(ACME, "newer") or {}
    uid, node = newer["metadata"]["uid"], newer["status"]["allocation"]["placements"][0]["node"]
    wait_for("the ledger has it", lambda: _lines(operator, uid))
    operator.kill()
    _see_a_later_hub(operator, uid)
    let_go(stack, ACME, "newer")
    stack.kubectl("hub", "-n", ACME, "delete", "gpuclaim", "newer", "--timeout=90s")
    operator.start()

    wait_for("said", lambda: _orphaned(stack) == "HubRewound", seconds=120)
    stays("held", lambda: stack.books("west")[node] == f"{uid}=8", seconds=4)
    assert f"sublet-{uid}-1" in stack.claim_namespaces("west")
    assert [(f.kind.value, f.type.value) for f in _lines(operator, uid)] == [("bound", "open")]

    patch(stack, "hub", "gpulease", "west", spec={"releaseOrphans": [uid]})
    wait_for("taken back", lambda: stack.books("west")[node] == "", seconds=120)
    assert stack.is_bound(ACME, "other")


def _see_a_later_hub(operator: OperatorProcess, uid: str) -> None:
    """Let the ledger have a line that names a resourceVersion which this hub hasn't reached."""
    known = _lines(operator, uid)[0]
    later = replace(known, claim_uid=ClaimUID(str(uuid.uuid4())), source_version="999999999")
    add_fact(operator.database, later)


def _lines(operator: OperatorProcess, uid: str) -> list[Any]:
    return [f for f in facts_in(operator.database) if f.claim_uid == uid]


def _orphaned(stack: Stack) -> str | None:
    return condition(stack.get("hub", "gpulease", "west"), "Orphaned", "reason")
