"""Windows promised ahead, on real control planes under a clock that is moved."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from sublet.api.times import Millis, format_instant
from tests.builders.api import claim, gpu_class, lease, tenant
from tests.builders.nodes import gpu_node
from tests.harness.hours import Hours
from tests.harness.process import OperatorProcess
from tests.harness.stack import Stack, condition
from tests.harness.waiting import stays, wait_for

pytestmark = [pytest.mark.planes, pytest.mark.slow, pytest.mark.timeout(400)]

ACME = "acme"
HOUR = 3_600


@pytest.fixture
def hours(stack: Stack) -> Hours:
    return Hours(stack)


@pytest.fixture
def operator(stack: Stack, hours: Hours) -> Iterator[OperatorProcess]:
    stack.apply("hub", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": ACME}})
    stack.apply("west", *(gpu_node(f"h100-{i}") for i in range(2)))
    stack.apply("hub", lease("west", committed=16), gpu_class(), tenant())
    running = hours.operator().start()
    wait_for("west sells", lambda: _free(stack) == 16)
    yield running
    # whatever became of the test, the next one finds the lease free
    if running.ended:
        running.start()
    stack.kubectl("hub", "delete", "gpuclaims", "-n", ACME, "--all", "--timeout=90s")
    running.kill()


def _free(stack: Stack) -> int | None:
    counts: dict[str, int] = stack.get("hub", "gpulease", "west")["status"].get("inventory", {})
    return counts.get("free")


def _window(name: str, start: float, lasts: float, gpus: int = 16) -> dict[str, Any]:
    begin = Millis(int((time.time() // 60 * 60 + start * HOUR) * 1_000))
    schedule = {"startTime": format_instant(begin), "durationSeconds": int(lasts * HOUR)}
    return claim(name, ACME, gpus=gpus, schedule=schedule)


def _promised(stack: Stack, name: str) -> dict[str, Any] | None:
    found = stack.claim(ACME, name)
    return found if found and condition(found, "Reserved") == "True" else None


def _reason(stack: Stack, name: str, type_: str = "Ready") -> str | None:
    return condition(stack.claim(ACME, name) or {}, type_, "reason")


def test_a_window_is_promised_and_becomes_nodes_at_its_start_over_a_restart(
    operator: OperatorProcess, stack: Stack, hours: Hours
):
    stack.apply("hub", _window("train", 4, 2))
    promised = wait_for("train is promised", lambda: _promised(stack, "train"))
    (booking,) = promised["status"]["allocation"]["bookings"]
    assert (booking["nodes"], booking["gpusPerNode"], booking["lease"]) == (2, 8, "west")
    assert not promised["status"]["allocation"].get("placements")
    assert condition(promised, "Ready") == "True"
    assert set(stack.books("west").values()) == {""}

    # whoever fits before the window runs there; nobody else is let in
    stack.apply("hub", claim("gap", ACME, gpus=8, schedule={"durationSeconds": 3 * HOUR}))
    stack.apply("hub", claim("long", ACME, gpus=8, schedule={"durationSeconds": 5 * HOUR}))
    wait_for("the gap is used", lambda: stack.is_bound(ACME, "gap"))
    wait_for("the other waits", lambda: _reason(stack, "long") == "WaitingForCapacity")
    assert _reason(stack, "train") == "WaitingForStart"

    operator.kill()
    operator.start()
    hours.move(3.5)
    wait_for(
        "the gap claim has ended", lambda: condition(stack.claim(ACME, "gap"), "Ended") == "True"
    )
    stays("it isn't begun", lambda: _reason(stack, "train") == "WaitingForStart", seconds=2)
    stack.kubectl("hub", "delete", "gpuclaim", "-n", ACME, "long")

    hours.move(4.1)
    bound = wait_for("train is bound", lambda: stack.is_bound(ACME, "train"))
    allocation = bound["status"]["allocation"]
    assert allocation["sequence"] == 2
    assert sorted(p["node"] for p in allocation["placements"]) == ["h100-0", "h100-1"]

    hours.move(6.5)
    wait_for("its window is over", lambda: condition(stack.claim(ACME, "train"), "Ended") == "True")
    wait_for("the nodes are free", lambda: set(stack.books("west").values()) == {""})


def test_a_promise_that_is_given_up_is_free_for_others_and_costs_nothing(
    operator: OperatorProcess, stack: Stack
):
    stack.apply("hub", _window("train", 4, 2))
    train = wait_for("train is promised", lambda: _promised(stack, "train"))
    stack.apply("hub", _window("late", 5, 2, gpus=8))
    wait_for("the window is taken", lambda: _reason(stack, "late") == "WaitingForCapacity")

    stack.kubectl("hub", "delete", "gpuclaim", "-n", ACME, "train", "--timeout=90s")

    wait_for("others have it", lambda: _promised(stack, "late"))
    billed = [x for x in operator.metrics() if x.startswith("sublet_claim_billable")]
    assert not [name for name in billed if train["metadata"]["uid"] in name]


def test_a_claim_that_waits_is_told_when_it_could_begin_and_what_would_bind(
    operator: OperatorProcess, stack: Stack
):
    stack.apply("hub", claim("runs", ACME, gpus=16, schedule={"durationSeconds": 2 * HOUR}))
    runs = wait_for("bound", lambda: stack.is_bound(ACME, "runs"))
    until = runs["status"]["allocation"]["untilTime"]

    stack.apply(
        "hub",
        claim("waits", ACME, gpus=8, schedule={"durationSeconds": HOUR}),
        claim("asks", ACME, gpus=8, suspended=True),
    )

    told = wait_for("waits is told", lambda: _offered(stack, "waits"))["status"]
    assert told["pending"]["position"] == 1
    assert told["pending"]["estimatedStartTime"] == until
    assert [(o["change"], o.get("startTime")) for o in told["offers"]] == [("Later", until)]
    quoted = wait_for("asks is quoted", lambda: _offered(stack, "asks"))
    assert condition(quoted, "Ready") == "True"
    assert quoted["status"]["offers"][0]["pricePerGpuHour"] == "3.99"


def _offered(stack: Stack, name: str) -> dict[str, Any] | None:
    found = stack.claim(ACME, name)
    return found if found and found.get("status", {}).get("offers") else None


def test_a_tenant_is_told_once_of_each_stage_before_its_lease_ends(
    operator: OperatorProcess, stack: Stack, hours: Hours
):
    end = Millis(int((time.time() // 60 * 60 + 40 * HOUR) * 1_000))
    stack.apply("hub", lease("west", committed=16, end=format_instant(end)))
    stack.apply("hub", claim("stays", ACME))
    bound = wait_for("bound", lambda: stack.is_bound(ACME, "stays"))
    uid = bound["metadata"]["uid"]
    wait_for("a week", lambda: _reason(stack, "stays", "Expiring") == "EndsWithin7Days")

    hours.move(17)
    wait_for("a day", lambda: _reason(stack, "stays", "Expiring") == "EndsWithin24Hours")
    # an Event comes a moment after the condition that it is about: a kill in between loses it
    both = ["EndsWithin24Hours", "EndsWithin7Days"]
    wait_for("told of both", lambda: set(_told(stack, uid)) == set(both))
    assert _told(stack, uid) == both
    operator.kill()
    operator.start()
    hours.move(17.5)

    stays("bound", lambda: stack.is_bound(ACME, "stays"), seconds=2)
    assert _told(stack, uid) == both


def _told(stack: Stack, uid: str) -> list[str]:
    """Return the reasons of the Events about the coming end of a claim; other claims' Events outlive them."""
    events = stack.get("hub", "events.events.k8s.io", "-n", ACME)["items"]
    about = (e["reason"] for e in events if e["regarding"]["uid"] == uid)
    return sorted(reason for reason in about if reason.startswith("EndsWithin"))


def test_a_preemptible_claim_is_told_gives_way_and_waits_again(
    operator: OperatorProcess, stack: Stack, hours: Hours
):
    priority = {
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": {"name": "urgent"},
        "value": 100,
    }
    ordinary = {**priority, "metadata": {"name": "ordinary"}, "value": 1}
    spot = gpu_class("spot", guarantee="Preemptible", noticeSeconds=HOUR, price="1.99")
    payer = tenant(priorityClasses=["ordinary", "urgent"])
    stack.apply("hub", priority, ordinary, spot, payer)
    stack.apply("hub", claim("cheap", ACME, class_name="spot", gpus=16))
    wait_for("bound", lambda: stack.is_bound(ACME, "cheap"))

    stack.apply("hub", claim("vital", ACME, gpus=16, priorityClassName="urgent"))
    wait_for("cheap is told", lambda: _reason(stack, "cheap", "Expiring") == "Preempted")
    stays("cheap has its notice", lambda: stack.is_bound(ACME, "cheap"), seconds=2)

    hours.move(1.01)
    wait_for("vital is bound", lambda: stack.is_bound(ACME, "vital"))
    wait_for("cheap waits", lambda: _reason(stack, "cheap") == "WaitingForCapacity")
    hours.move(2)
    stack.kubectl("hub", "delete", "gpuclaim", "-n", ACME, "vital", "--timeout=90s")
    again = wait_for("cheap is back", lambda: stack.is_bound(ACME, "cheap"))
    assert again["status"]["allocation"]["sequence"] == 2
