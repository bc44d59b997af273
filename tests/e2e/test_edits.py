"""A claim is edited while its nodes are being locked: what is fixed is refused, what may change is taken up, nothing stays half bound."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from sublet.api.times import parse_instant
from tests.builders.api import claim, gpu_class, lease, tenant
from tests.builders.nodes import gpu_node
from tests.harness.between import Between, Matches, before_cluster
from tests.harness.ledger import facts_in
from tests.harness.process import OperatorProcess
from tests.harness.shared import borrow_stack
from tests.harness.stack import Stack, condition
from tests.harness.verified import is_sound
from tests.harness.waiting import wait_for

pytestmark = [pytest.mark.planes, pytest.mark.slow, pytest.mark.timeout(400)]

ACME = "acme"
FIXED = "can't change while the claim is reserved; make a new claim"


@dataclass(frozen=True)
class Scene:
    """An operator that reaches its leased cluster through a network."""

    stack: Stack
    operator: OperatorProcess
    west: Between


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    stack = borrow_stack("edits", leased=("west",))
    try:
        stack.apply("hub", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": ACME}})
        stack.apply("west", *(gpu_node(f"n{i}") for i in range(2)))
        with before_cluster(stack, "west") as west:
            operator = OperatorProcess(stack, SUBLET_DRIFT_SECONDS="1").start()
            stack.apply("hub", lease("west", committed=16), gpu_class(), tenant())
            wait_for("for sale", lambda: stack.books("west") == {"n0": "", "n1": ""})
            yield Scene(stack, operator, west)
            operator.kill()
    finally:
        stack.stop()


def _first_lock(method: str, path: str, body: bytes) -> bool:
    """Match every lock, of which the first is sent alone; what takes one off doesn't name the lease."""
    is_lock = b"claim.sublet.dev" in body and b"labels/sublet.dev~1lease" in body
    return method == "PATCH" and path.startswith("/api/v1/nodes/") and is_lock


def _second_lock() -> Matches:
    """Return what matches the locks of all nodes but of the first that is asked for."""
    first: list[str] = []

    def matches(method: str, path: str, body: bytes) -> bool:
        if not _first_lock(method, path, body):
            return False
        first.append(path)
        return path != first[0]

    return matches


@pytest.fixture(params=[lambda: _first_lock, _second_lock], ids=["before all", "after one"])
def locking(scene: Scene, request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """A claim for both nodes that is reserved, and whose locks, all or but the first, haven't come to the cluster yet."""
    wait: Callable[[], Matches] = request.param
    scene.west.hold(wait())
    scene.stack.apply("hub", claim("train", ACME, gpus=16))
    scene.west.wait_until_held()
    found = scene.stack.claim(ACME, "train") or {}
    assert condition(found, "Reserved") == "True"
    yield found
    scene.west.let_go()
    is_sound(scene.stack, scene.operator.database)
    scene.stack.kubectl("hub", "delete", "gpuclaim", "-n", ACME, "train", "--timeout=60s")
    wait_for("free", lambda: set(scene.stack.books("west").values()) == {""})
    is_sound(scene.stack, scene.operator.database)


def _edit(scene: Scene, **spec: Any) -> str:
    """Return what the hub says to an edit."""
    body = json.dumps({"spec": spec})
    return scene.stack.kubectl("hub", "patch", "gpuclaim", "-n", ACME, "train", "--type=merge", "-p", body, check=False)  # fmt: skip


def _bound(scene: Scene) -> dict[str, Any]:
    return wait_for("bound", lambda: scene.stack.is_bound(ACME, "train"))


def test_what_is_fixed_is_refused_and_the_claim_is_bound_as_it_was_reserved(
    scene: Scene, locking: dict[str, Any]
):
    for field, value in (("gpus", 8), ("className", "other"), ("placement", {"regions": ["r9"]})):
        assert f"{field} {FIXED}" in _edit(scene, **{field: value})
    scene.west.let_go()

    bound = _bound(scene)
    reserved, got = locking["status"]["allocation"], bound["status"]["allocation"]
    assert bound["spec"] == locking["spec"]
    assert (got["sequence"], got["placements"]) == (reserved["sequence"], reserved["placements"])
    uid = bound["metadata"]["uid"]
    assert scene.stack.books("west") == {"n0": f"{uid}=8", "n1": f"{uid}=8"}


def test_a_duration_that_is_given_takes_effect_and_a_lower_limit_leaves_the_agreed_price(
    scene: Scene, locking: dict[str, Any]
):
    assert "untilTime" not in locking["status"]["allocation"]
    edit = {"schedule": {"durationSeconds": 3_600}, "maxPricePerGpuHour": "1.00"}
    assert "patched" in _edit(scene, **edit)
    scene.west.let_go()

    _bound(scene)
    got = wait_for("it has an end", lambda: _with_end(scene))["status"]["allocation"]
    length_ms = parse_instant(got["untilTime"]) - parse_instant(got["decidedTime"])
    assert length_ms == 3_600_000
    assert got["pricePerGpuHour"] == locking["status"]["allocation"]["pricePerGpuHour"]
    assert got["placements"] == locking["status"]["allocation"]["placements"]


def _with_end(scene: Scene) -> dict[str, Any] | None:
    found = scene.stack.is_bound(ACME, "train")
    return found if found and "untilTime" in found["status"]["allocation"] else None


def test_a_claim_that_is_suspended_is_given_back_whole_and_costs_nothing(
    scene: Scene, locking: dict[str, Any]
):
    uid = locking["metadata"]["uid"]
    assert "patched" in _edit(scene, suspended=True)
    wait_for("taken up", lambda: _says(scene, "Releasing") == "True" or _is_given_back(scene))
    scene.west.let_go()

    wait_for("given back", lambda: _is_given_back(scene))
    # a lock that came when nobody waited for it any more is an orphan's
    wait_for("no lock", lambda: set(scene.stack.books("west").values()) == {""})
    wait_for("no namespace", lambda: scene.stack.claim_namespaces("west") == [])
    kinds = {f.kind.value for f in facts_in(scene.operator.database) if f.claim_uid == uid}
    assert "bound" not in kinds


def _is_given_back(scene: Scene) -> bool:
    return _says(scene, "Reserved") == "False" and _says(scene, "Releasing") != "True"


def _says(scene: Scene, type_: str) -> str | None:
    return condition(scene.stack.claim(ACME, "train") or {}, type_)
