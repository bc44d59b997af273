"""A server's clock jumps by an hour under a running operator: it is said, and nothing is sold, billed or renewed by it."""

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from sublet.api.times import Millis, format_instant, parse_instant
from sublet.clock import SystemClock
from tests.builders.api import LONG_AGO, claim, gpu_class, lease, tenant
from tests.builders.nodes import gpu_node
from tests.harness.between import Between, Change, before_cluster, before_hub
from tests.harness.ledger import facts_in
from tests.harness.process import OperatorProcess
from tests.harness.shared import borrow_stack
from tests.harness.stack import Stack, condition
from tests.harness.tenants import write_access
from tests.harness.verified import is_sound
from tests.harness.waiting import wait_for

pytestmark = [pytest.mark.planes, pytest.mark.slow, pytest.mark.timeout(400)]

ACME = "acme"
JUMPS = pytest.mark.parametrize("seconds", [3_600, -3_600], ids=["ahead", "behind"])
LIFE = timedelta(hours=6)
HUB_AHEAD = "sublet_hub_clock_ahead_seconds"
SAID = {"hub": "deletionTimestamp", "west": "expirationTimestamp"}
"""What a server says by its clock that bills and renewals could hang on."""


@dataclass(frozen=True)
class Scene:
    """An operator that reaches both servers through networks."""

    stack: Stack
    operator: OperatorProcess
    networks: dict[str, Between]

    def jump(self, server: str, seconds: int) -> None:
        """Put a server's clock wrong."""
        self.networks[server].clock_seconds = seconds
        self.networks[server].change = _by_clock(SAID[server], seconds)


def _by_clock(field: str, seconds: int) -> Change:
    said = re.compile(rf'("{field}":\s*")([^"]+)"'.encode())

    def moved(found: re.Match[bytes]) -> bytes:
        instant = Millis(parse_instant(found[2].decode()) + seconds * 1_000)
        return found[1] + format_instant(instant).replace(".000Z", "Z").encode() + b'"'

    return lambda _method, _path, body: said.sub(moved, body)


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    stack = borrow_stack("clocks", leased=("west",))
    try:
        stack.apply("hub", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": ACME}})
        stack.apply("west", *(gpu_node(f"n{i}") for i in range(2)))
        with ExitStack() as networks:
            hub, config = networks.enter_context(before_hub(stack))
            west = networks.enter_context(before_cluster(stack, "west"))
            operator = OperatorProcess(stack, SUBLET_KUBECONFIG=str(config)).start()
            networks.callback(operator.kill)
            stack.apply("hub", lease("west", committed=16), gpu_class(), tenant())
            stack.apply("hub", claim("steady", ACME))
            wait_for("bound", lambda: stack.is_bound(ACME, "steady"))
            yield Scene(stack, operator, {"hub": hub, "west": west})
    finally:
        stack.stop()


@pytest.fixture(autouse=True)
def _nothing_befalls_who_is_bound(scene: Scene) -> Iterator[None]:
    """Whatever a server says of the time, a claim that is bound stays so, is billed on, and the same operator leads."""
    before, pid = scene.stack.is_bound(ACME, "steady"), scene.operator.pid
    yield
    for server in scene.networks:
        scene.jump(server, 0)
    after = scene.stack.is_bound(ACME, "steady")
    assert before is not None
    assert after is not None
    assert after["status"]["allocation"] == before["status"]["allocation"]
    assert [(kind, type_) for kind, type_, _ in _lines(scene, after)] == [("bound", "open")]
    assert not scene.operator.ended
    assert scene.operator.pid == pid
    is_sound(scene.stack, scene.operator.database)


@JUMPS
def test_a_leased_clusters_clock_that_jumps_is_said_and_sells_bills_and_renews_as_before(
    scene: Scene, seconds: int, tmp_path: Path
):
    scene.jump("west", seconds)
    way = "ahead of" if seconds > 0 else "behind"
    wait_for("said", lambda: _clock_says(scene) == ("False", way))

    _renews(scene, tmp_path)
    began_ms = SystemClock().now_ms()
    brief = _lives(scene, "brief")
    _is_billed_within(scene, brief, began_ms)

    scene.jump("west", 0)
    wait_for("well again", lambda: _clock_says(scene)[0] == "True")


@JUMPS
def test_a_hubs_clock_that_jumps_is_said_and_no_meter_stops_in_the_future_or_before_it_began(
    scene: Scene, seconds: int
):
    scene.jump("hub", seconds)
    wait_for("said", lambda: abs(scene.operator.metrics().get(HUB_AHEAD, 0) - seconds) < 60)

    began_ms = SystemClock().now_ms()
    brief = _lives(scene, "brief")
    _is_billed_within(scene, brief, began_ms)

    scene.jump("hub", 0)
    wait_for("well again", lambda: abs(scene.operator.metrics()[HUB_AHEAD]) < 60)


def _clock_says(scene: Scene) -> tuple[str | None, str]:
    """Return ClockSynced, and in which way the clock is wrong by its words."""
    found = scene.stack.get("hub", "gpulease", "west")
    text = condition(found, "ClockSynced", "message") or ""
    way = re.search(r" seconds (ahead of|behind) ours", text)
    return condition(found, "ClockSynced"), way[1] if way else ""


def _lives(scene: Scene, name: str) -> dict[str, Any]:
    """Let a claim be bound and deleted; return it as it was bound."""
    scene.stack.apply("hub", claim(name, ACME))
    bound = wait_for("bound", lambda: scene.stack.is_bound(ACME, name))
    scene.stack.kubectl("hub", "delete", "gpuclaim", "-n", ACME, name, "--timeout=60s")
    return bound


def _is_billed_within(scene: Scene, bound: dict[str, Any], began_ms: Millis) -> None:
    """See one bound and one releasing interval, none of them negative, both within what has passed by our clock."""
    lines = _lines(scene, bound)
    assert [(kind, type_) for kind, type_, _ in lines] == [
        ("bound", "open"), ("bound", "close"), ("releasing", "open"), ("releasing", "close"),
    ]  # fmt: skip
    instants = [at_ms for _, _, at_ms in lines]
    assert [began_ms, *instants, SystemClock().now_ms()] == sorted(
        [began_ms, *instants, SystemClock().now_ms()]
    )


def _lines(scene: Scene, body: dict[str, Any]) -> list[tuple[str, str, Millis]]:
    """Return kind, type and instant of a claim's lines, in the ledger's order."""
    uid = body["metadata"]["uid"]
    facts = [f for f in facts_in(scene.operator.database) if f.claim_uid == uid]
    return [(f.kind.value, f.type.value, f.at_ms) for f in facts]


def _renews(scene: Scene, folder: Path) -> None:
    """Bring a renewal forward; the new token works, and the next renewal is at half its life by our clock, or sooner."""
    patch = json.dumps({"status": {"access": {"renewalTime": LONG_AGO}}})
    scene.stack.kubectl("hub", "patch", "gpuclaim", "-n", ACME, "steady", "--subresource=status", "--type=merge", "-p", patch)  # fmt: skip
    renewed = wait_for("renewed", lambda: _renewed(scene))
    due_ms = parse_instant(renewed["status"]["access"]["renewalTime"])
    now_ms = SystemClock().now_ms()
    assert now_ms < due_ms <= now_ms + LIFE.total_seconds() * 1_000 / 2
    config = write_access(scene.stack, renewed, folder / "kubeconfig")
    assert "No resources found" in scene.stack.kubectl_with(config, "get", "pods")


def _renewed(scene: Scene) -> dict[str, Any] | None:
    found = scene.stack.claim(ACME, "steady") or {}
    return found if found["status"]["access"]["renewalTime"] > LONG_AGO else None
