"""Nodes that a lease's watch doesn't show any more on real control planes: handed back, also when the lease goes."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.builders.api import claim, gpu_class, lease, tenant
from tests.builders.nodes import gpu_node
from tests.harness.process import OperatorProcess
from tests.harness.stack import Stack, condition
from tests.harness.tenants import pod
from tests.harness.waiting import stays, wait_for

pytestmark = [pytest.mark.planes, pytest.mark.slow, pytest.mark.timeout(400)]

ACME = "acme"
RACKS = ("0", "1", "2")


@pytest.fixture(scope="module")
def operator(stack: Stack) -> Iterator[OperatorProcess]:
    stack.apply("hub", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": ACME}})
    stack.apply("hub", gpu_class(), tenant())
    running = OperatorProcess(stack).start()
    yield running
    running.kill()


@pytest.fixture(autouse=True)
def _whole(operator: OperatorProcess, stack: Stack) -> None:
    """Give the lease back what an earlier test took from it: three nodes, all of them free."""
    stack.apply("west", *(gpu_node(f"h100-{r}", labels={"pool": "a", "rack": r}) for r in RACKS))
    stack.apply("hub", lease("west", committed=24, nodeSelector={"pool": "a"}))
    _select(stack, rack=None)
    wait_for("adopted", lambda: set(stack.books("west").values()) == {""})


def _select(stack: Stack, *, rack: str | None) -> None:
    patch = json.dumps({"spec": {"nodeSelector": {"rack": rack}}})
    stack.kubectl("hub", "patch", "gpulease", "west", "--type=merge", "-p", patch)


def _bind(stack: Stack, name: str) -> dict[str, Any]:
    stack.apply("hub", claim(name, ACME))
    return wait_for("it is bound", lambda: stack.is_bound(ACME, name))


def _end(stack: Stack, name: str) -> None:
    stack.kubectl("hub", "delete", "gpuclaim", "-n", ACME, name, "--timeout=90s")


def _is_free_of_marks(stack: Stack, node: str) -> bool:
    found = stack.get("west", "node", node)
    marks = str(found["metadata"].get("labels")) + str(found["metadata"].get("annotations"))
    return "sublet.dev" not in marks + str(found["spec"].get("taints"))


def test_a_node_with_a_strangers_pod_is_given_to_nobody_after_a_restart(
    operator: OperatorProcess, stack: Stack
):
    operator.kill()
    for rack in RACKS:
        theirs = yaml.safe_load(pod("theirs", 1, nodeName=f"h100-{rack}", tolerations=[{"operator": "Exists"}]))  # fmt: skip
        theirs["metadata"] |= {"namespace": "kube-system", "name": f"theirs-{rack}"}
        stack.apply("west", theirs)
    stack.apply("hub", claim("beside", ACME))
    operator.start()

    wait_for("it waits", lambda: condition(stack.claim(ACME, "beside") or {}, "Ready") == "False")
    stays("nothing is handed over", lambda: not stack.is_bound(ACME, "beside"), seconds=5)
    assert set(stack.books("west").values()) == {""}

    names = [f"theirs-{rack}" for rack in RACKS]
    stack.kubectl("west", "-n", "kube-system", "delete", "pod", "--force", *names)
    wait_for("it is bound", lambda: stack.is_bound(ACME, "beside"))
    _end(stack, "beside")


def test_nodes_that_a_narrower_selector_leaves_out_go_back_when_no_claim_has_them(
    operator: OperatorProcess, stack: Stack
):
    bound = _bind(stack, "narrowed")
    held = bound["status"]["allocation"]["placements"][0]["node"]
    (kept, free) = (f"h100-{r}" for r in RACKS if f"h100-{r}" != held)

    _select(stack, rack=kept[-1])

    wait_for("the free one is back", lambda: _is_free_of_marks(stack, free))
    assert stack.books("west")[held] == f"{bound['metadata']['uid']}=8"
    assert stack.books("west")[kept] == ""
    _end(stack, "narrowed")
    wait_for("the other one, too", lambda: _is_free_of_marks(stack, held))
    assert stack.books("west")[kept] == ""


def test_a_deleted_lease_waits_for_nodes_that_lost_their_gpu_label(
    operator: OperatorProcess, stack: Stack
):
    stack.kubectl("west", "label", "node", "h100-0", "nvidia.com/gpu.present-")
    stack.kubectl("hub", "delete", "gpulease", "west", "--timeout=90s")

    assert all(_is_free_of_marks(stack, f"h100-{rack}") for rack in RACKS)
