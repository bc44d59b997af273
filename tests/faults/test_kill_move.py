"""Kill -9 again and again while a claim comes to another node: it ends there, nothing double, nothing lost."""

import pytest

from sublet.ledger.entry import EntryKind, EntryType
from tests.builders.api import claim, gpu_class, lease, tenant
from tests.builders.nodes import gpu_node
from tests.harness.hours import Hours
from tests.harness.ledger import facts_in
from tests.harness.process import OperatorProcess, kill_at_write, start_again
from tests.harness.stack import Stack
from tests.harness.waiting import wait_for

pytestmark = [pytest.mark.planes, pytest.mark.timeout(300)]

NAMESPACE = "acme"
SICK = "nvidia.com/gpu-xid-error"
MOST_WRITES = 40


def _free(stack: Stack, name: str) -> int:
    found = stack.get("hub", "gpulease", name).get("status", {})
    return int(found.get("inventory", {}).get("free", 0))


def _is_over(stack: Stack) -> bool:
    """Say whether the claim stands on its second reservation and has left the first."""
    status = (stack.claim(NAMESPACE, "train") or {}).get("status", {})
    return status["allocation"]["sequence"] == 2 and not status.get("leaving")


def test_a_replacement_that_is_killed_again_and_again_ends_replaced_once(stack: Stack):
    hours = Hours(stack)
    stack.apply("hub", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    stack.apply("west", gpu_node("w-0"))
    stack.apply(
        "hub", lease("west", committed=8), lease("east", committed=8), gpu_class(), tenant()
    )
    first = OperatorProcess(stack, "killed").start(SUBLET_LEADER_ELECTION="false")
    wait_for("for sale", lambda: _free(stack, "west") == 8)
    stack.apply("hub", claim("train", NAMESPACE, replacement="OnFailure"))
    bound = wait_for("bound", lambda: stack.is_bound(NAMESPACE, "train"))
    uid = bound["metadata"]["uid"]
    # the other node is in another cluster, so that a namespace comes and one goes
    stack.apply("east", gpu_node("e-0"))
    wait_for("another node", lambda: _free(stack, "east") == 8)
    stack.kubectl("west", "taint", "nodes", "w-0", f"{SICK}=yes:NoSchedule")
    wait_for("told", lambda: "NodeFailed" in str(stack.claim(NAMESPACE, "train")))
    first.kill()

    hours.file.write_text("0.1")
    kills = 0
    for number in range(1, MOST_WRITES):
        # each begins again where the last one was killed, and gets one write further
        killed = kill_at_write(stack, number, "after", CLOCK_SHIFT=str(hours.file))
        wait_for("killed or over", lambda k=killed: k.ended or _is_over(stack))
        kills += killed.ended
        killed.kill()
        if _is_over(stack):
            break

    assert kills >= 5, "the move was over before it was killed often"
    operator = start_again(stack)
    wait_for("over", lambda: _is_over(stack))
    assert (stack.books("west"), stack.books("east")) == ({"w-0": ""}, {"e-0": f"{uid}=8"})
    assert (stack.claim_namespaces("west"), stack.claim_namespaces("east")) == (
        [],
        [f"sublet-{uid}-2"],
    )
    lines = [
        (f.kind, f.type, f.sequence) for f in facts_in(operator.database) if f.claim_uid == uid
    ]
    assert lines == [
        (EntryKind.BOUND, EntryType.OPEN, 1),
        (EntryKind.BOUND, EntryType.CLOSE, 1),
        (EntryKind.RELEASING, EntryType.OPEN, 1),
        (EntryKind.BOUND, EntryType.OPEN, 2),
        (EntryKind.RELEASING, EntryType.CLOSE, 1),
    ]
    operator.kill()
