"""Claims that need one NVLink domain, and claims that are spread over landlords, on real control planes."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.builders.api import claim, gpu_class, lease, tenant, uid_of
from tests.builders.nodes import GB200, gpu_node
from tests.harness.process import OperatorProcess
from tests.harness.stack import Stack, condition
from tests.harness.waiting import wait_for

pytestmark = [pytest.mark.planes, pytest.mark.timeout(400)]

ACME = "acme"


def _rack(number: int, nodes: int) -> list[dict[str, Any]]:
    clique = {"nvidia.com/gpu.clique": f"{uid_of(f'rack-{number}')}.{number}"}
    return [gpu_node(f"r{number}-{i}", GB200, labels=clique) for i in range(nodes)]


@pytest.fixture(scope="module")
def operator(stack: Stack) -> Iterator[OperatorProcess]:
    stack.apply("hub", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": ACME}})
    stack.apply("west", *_rack(1, 3), *_rack(2, 2))
    stack.apply("east", *_rack(3, 2))
    stack.apply(
        "hub",
        lease("west", product=GB200.product, committed=20),
        lease("east", product=GB200.product, committed=8),
        gpu_class("gb200", products=(GB200.product,)),
        tenant(),
    )
    running = OperatorProcess(stack).start()
    for name, free in (("west", 20), ("east", 8)):
        wait_for(f"{name} sells", lambda n=name, f=free: _free(stack, n) == f)
    yield running
    running.kill()


@pytest.fixture(autouse=True)
def _clean(operator: OperatorProcess, stack: Stack) -> Iterator[None]:
    yield
    stack.kubectl("hub", "delete", "gpuclaims", "-n", ACME, "--all", "--timeout=90s")


def _free(stack: Stack, name: str) -> int | None:
    counts: dict[str, int] = stack.get("hub", "gpulease", name)["status"].get("inventory", {})
    return counts.get("free")


def _bound(stack: Stack, name: str, **spec: Any) -> list[str]:
    """Return the nodes that a claim is bound to."""
    stack.apply("hub", claim(name, ACME, class_name="gb200", **spec))
    found = wait_for(f"{name} bound", lambda: stack.is_bound(ACME, name))
    return sorted(p["node"] for p in found["status"]["allocation"]["placements"])


def test_a_domain_is_given_whole_and_one_that_is_too_small_is_refused_with_what_there_is(
    operator: OperatorProcess, stack: Stack
):
    one_domain = {"scope": "NVLinkDomain"}
    assert _bound(stack, "small", gpus=8, topology=one_domain)[0][:2] in ("r2", "r3")
    assert _bound(stack, "large", gpus=12, topology=one_domain) == ["r1-0", "r1-1", "r1-2"]

    stack.apply("hub", claim("huge", ACME, class_name="gb200", gpus=16, topology=one_domain))
    told = wait_for("huge is told", lambda: _told(stack, "huge"))
    assert condition(told, "Ready", "reason") == "TopologyUnfit"
    assert "no NVLink domain has 4 nodes" in str(condition(told, "Ready", "message"))


def test_a_claim_is_spread_over_as_many_clusters_as_it_asks_for(
    operator: OperatorProcess, stack: Stack
):
    spread = {"minClusters": 2, "maxSharePerProviderPercent": 50}
    nodes = _bound(stack, "spread", gpus=16, placement=spread)
    assert len([n for n in nodes if n.startswith("r3")]) == 2
    assert len(nodes) == 4


def _told(stack: Stack, name: str) -> dict[str, Any] | None:
    found = stack.claim(ACME, name)
    return found if found and condition(found, "Stalled") == "True" else None
