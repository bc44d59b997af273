"""Two operators at work at once, without election: no node is ever given twice, with and without the belt policy."""

from collections import Counter
from collections.abc import Iterator

import pytest

from sublet.api.times import Millis
from tests.builders.api import claim, gpu_class, lease, tenant
from tests.builders.nodes import gpu_node
from tests.harness.ledger import facts_in
from tests.harness.process import OperatorProcess
from tests.harness.shared import borrow_stack
from tests.harness.stack import Stack, condition
from tests.harness.waiting import wait_for

pytestmark = [pytest.mark.planes, pytest.mark.slow, pytest.mark.timeout(400)]

NAMESPACE = "acme"
NODES = 6
CLAIMS = 4 * NODES
"""Half of them ask for half a node: enough for each half, whoever comes first, so that in the end every GPU is held."""


@pytest.fixture(scope="module", params=[True, False], ids=["with the belt", "without the belt"])
def stack(request: pytest.FixtureRequest) -> Iterator[Stack]:
    running = borrow_stack("two", leased=("west",), belt=request.param)
    yield running
    running.stop()


def test_two_operators_never_give_a_node_twice(stack: Stack):
    stack.apply("hub", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    stack.apply("west", *(gpu_node(f"n{i}") for i in range(NODES)))
    stack.apply("hub", lease("west", committed=NODES * 8), gpu_class(), tenant())
    operators = [
        OperatorProcess(stack, f"op{i}", SUBLET_LEADER_ELECTION="false").start() for i in (1, 2)
    ]

    stack.apply("hub", *(claim(f"c{i}", NAMESPACE, gpus=8 if i % 2 else 4) for i in range(CLAIMS)))
    wait_for("every GPU held", lambda: _held(stack) == NODES * 8, seconds=90)
    bound = wait_for("all that hold are bound", lambda: _settled(stack))

    nodes: Counter[str] = Counter()
    for each in bound:
        for place in each["status"]["allocation"]["placements"]:
            nodes[place["node"]] += place["gpus"]
    books = {
        n: sum(int(e.split("=")[1]) for e in b.split(",") if e)
        for n, b in stack.books("west").items()
    }
    assert dict(nodes) == books
    assert all(gpus <= 8 for gpus in books.values())
    assert len(stack.claim_namespaces("west")) == len(bound)
    for each in bound:
        uid = each["metadata"]["uid"]
        one, other = wait_for("both ledgers have it", lambda u=uid: _lines(operators, u))
        assert one == other, "both ledgers tell the same"
    for operator in operators:
        assert operator.terminate() == 0


def _lines(operators: list[OperatorProcess], uid: str) -> list[list[Millis]] | None:
    """Return the instants of a claim's lines in each ledger once each has any."""
    found = [[f.at_ms for f in facts_in(o.database) if f.claim_uid == uid] for o in operators]
    return found if all(found) else None


def _claims(stack: Stack) -> list:
    return stack.get("hub", "gpuclaims", "-n", NAMESPACE)["items"]


def _held(stack: Stack) -> int:
    return sum(
        int(entry.split("=")[1])
        for book in stack.books("west").values()
        for entry in book.split(",")
        if entry not in ("", "-")
    )


def _settled(stack: Stack) -> list | None:
    reserved = [c for c in _claims(stack) if condition(c, "Reserved") == "True"]
    holding = {e.split("=")[0] for b in stack.books("west").values() for e in b.split(",") if e}
    same = {c["metadata"]["uid"] for c in reserved} == holding
    return reserved if same and all(condition(c, "Bound") == "True" for c in reserved) else None
