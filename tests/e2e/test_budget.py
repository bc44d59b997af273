"""A budget on real control planes under a clock that is moved: it holds, drains, and lets go in the next period."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from sublet.api.periods import BudgetPeriod, period_end
from sublet.api.times import MS_PER_HOUR, MS_PER_SECOND, Millis, parse_instant
from tests.builders.api import claim, gpu_class, lease, tenant
from tests.builders.nodes import gpu_node
from tests.harness.hours import Hours
from tests.harness.ledger import facts_in
from tests.harness.process import OperatorProcess
from tests.harness.stack import Stack, condition
from tests.harness.waiting import stays, wait_for

pytestmark = [pytest.mark.planes, pytest.mark.slow, pytest.mark.timeout(400)]

ACME = "acme"
HOUR = 3_600
LEFT = 12
"""Hours of the month that are left when the operator starts."""


class LastHours(Hours):
    """A clock that begins shortly before the end of the month."""

    def __init__(self, stack: Stack) -> None:
        super().__init__(stack)
        now_ms = Millis(time.time_ns() // 1_000_000)
        end_ms = period_end(BudgetPeriod.MONTH, Millis(now_ms + LEFT * MS_PER_HOUR)) or now_ms
        self._begin = (end_ms - now_ms) / MS_PER_HOUR - LEFT
        self.file.write_text(str(self._begin))

    def move(self, hours: float) -> None:
        """Move the clock by so many hours since the beginning."""
        super().move(self._begin + hours)


@pytest.fixture
def hours(stack: Stack) -> LastHours:
    return LastHours(stack)


@pytest.fixture
def operator(stack: Stack, hours: LastHours) -> Iterator[OperatorProcess]:
    stack.apply("hub", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": ACME}})
    stack.apply("west", *(gpu_node(f"h100-{i}") for i in range(2)))
    spot = gpu_class("spot", guarantee="Preemptible", noticeSeconds=HOUR, price="1")
    stack.apply("hub", lease("west", committed=16), gpu_class(price="1"), spot, budget("60"))
    running = OperatorProcess(
        stack,
        module="tests.harness.shifting",
        CLOCK_SHIFT=str(hours.file),
        SUBLET_ACCOUNTS_SECONDS="1",
    ).start()
    wait_for("west sells", lambda: _inventory(stack).get("free") == 16)
    yield running
    running.kill()


def budget(amount: str) -> dict[str, Any]:
    money = {"amount": amount, "currency": "USD", "period": "Month", "atLimit": "Drain"}
    return tenant(budget=money)


def _inventory(stack: Stack) -> dict[str, int]:
    found: dict[str, int] = stack.get("hub", "gpulease", "west")["status"].get("inventory", {})
    return found


def _reason(stack: Stack, name: str, type_: str = "Ready") -> str | None:
    return condition(stack.claim(ACME, name) or {}, type_, "reason")


def _asking(name: str, lasts: float, class_name: str = "h100") -> dict[str, Any]:
    schedule = {"durationSeconds": int(lasts * HOUR)}
    return claim(name, ACME, class_name=class_name, schedule=schedule)


def test_a_budget_holds_then_drains_and_lets_the_claim_come_back_in_the_next_period(
    operator: OperatorProcess, stack: Stack, hours: LastHours
):
    stack.apply("hub", _asking("cheap", 7, "spot"))
    cheap = wait_for("cheap is bound", lambda: stack.is_bound(ACME, "cheap"))
    # a line comes a moment after Bound, and what was spent before is in no other place
    uid = cheap["metadata"]["uid"]
    wait_for("metered", lambda: uid in {f.claim_uid for f in facts_in(operator.database)})

    # 60 USD less 56 that cheap needs are enough for half an hour of 8 GPUs, less what earlier tests' claims cost
    stack.apply("hub", _asking("more", 1))
    held = wait_for("more is held", lambda: _held(stack, "more"))
    (offer,) = held["offers"]
    assert offer["change"] == "Shorter"
    assert 1_600 < offer["durationSeconds"] <= 1_800 + _unpaid_seconds(cheap)
    stack.kubectl("hub", "delete", "gpuclaim", "-n", ACME, "more", "--timeout=90s")

    # at 8 USD an hour 30 are spent in less than four
    stack.apply("hub", budget("30"))
    stays("cheap runs", lambda: stack.is_bound(ACME, "cheap"), seconds=2)
    hours.move(4)
    wait_for("cheap is told", lambda: _reason(stack, "cheap", "Expiring") == "BudgetExhausted")
    operator.kill()
    operator.start()
    stays("cheap has its notice", lambda: stack.is_bound(ACME, "cheap"), seconds=2)
    spent = operator.metrics()
    assert any(name.startswith("sublet_tenant_budget_spent") for name in spent)

    hours.move(5.1)
    waits = wait_for("cheap waits for money", lambda: _held(stack, "cheap"))
    assert waits["release"]["cause"] == "BudgetExhausted"
    assert set(stack.books("west").values()) == {""}

    hours.move(LEFT + 0.1)
    again = wait_for("cheap is back", lambda: stack.is_bound(ACME, "cheap"))
    assert again["status"]["allocation"]["sequence"] == 2
    stack.kubectl("hub", "delete", "gpuclaims", "-n", ACME, "--all", "--timeout=90s")


def test_a_suspended_tenants_claim_gives_its_gpus_back_and_comes_back_with_the_tenant(
    operator: OperatorProcess, stack: Stack
):
    stack.apply("hub", tenant(), _asking("runs", 5))
    wait_for("runs is bound", lambda: stack.is_bound(ACME, "runs"))

    stack.apply("hub", tenant(suspended=True))
    wait_for("runs waits", lambda: _reason(stack, "runs") == "Suspended")
    wait_for("its node is free", lambda: set(stack.books("west").values()) == {""})
    assert condition(stack.claim(ACME, "runs") or {}, "Stalled") == "True"

    stack.apply("hub", tenant(suspended=False))
    again = wait_for("runs is back", lambda: stack.is_bound(ACME, "runs"))
    assert again["status"]["allocation"]["sequence"] == 2
    stack.kubectl("hub", "delete", "gpuclaims", "-n", ACME, "--all", "--timeout=90s")


def _held(stack: Stack, name: str) -> dict[str, Any] | None:
    found = stack.claim(ACME, name)
    status: dict[str, Any] = (found or {}).get("status", {})
    return status if status.get("pending", {}).get("reason") == "ExceedsBudget" else None


def _unpaid_seconds(bound: dict[str, Any]) -> int:
    """Return how long a claim was being bound: its end counts from the decision, what it costs from Bound."""
    allocation = bound["status"]["allocation"]
    decided, begun = (parse_instant(allocation[field]) for field in ("decidedTime", "boundTime"))
    return -(-(begun - decided) // MS_PER_SECOND)
