"""A fixed part of all plans (`make faults` runs every one): each line of quick.jsonl, among them whatever once found a fault."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import uvloop

from tests.faults.plan import read_plan
from tests.faults.worker import Learned, a_world, learn, try_plan
from tests.harness.zygote import warm_up

pytestmark = [pytest.mark.planes, pytest.mark.slow, pytest.mark.timeout(400)]

LINES = Path(__file__).with_name("quick.jsonl").read_text().splitlines()


class Running:
    """A world on a loop of its own, and what fault-free runs of each workload showed."""

    def __init__(self, runner: asyncio.Runner) -> None:
        self._runner = runner
        self._until_the_end = AsyncExitStack()
        self._learned: dict[str, Learned] = {}  # workload -> what fault-free runs showed

    def open(self) -> None:
        world = a_world(f"plans-{os.getpid()}", durable=False)
        self.world, self.invariants = self._runner.run(
            self._until_the_end.enter_async_context(world)
        )

    def close(self) -> None:
        self._runner.run(self._until_the_end.aclose())

    def try_line(self, line: str) -> tuple[bool, tuple[str, ...]]:
        """Run a plan; return whether its place was reached and what went wrong."""
        plan = read_plan(line)
        if plan.workload not in self._learned:
            found = self._runner.run(learn(self.world, self.invariants, plan.workload, runs=2))
            self._learned[plan.workload] = found
        learned = self._learned[plan.workload]
        report = self._runner.run(try_plan(self.world, self.invariants, plan, learned.reference))
        faults = [f for each in learned.reports for f in each.faults]
        return report.hit, (*faults, *report.faults)


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    warm_up()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        running = Running(runner)
        running.open()
        yield running
        running.close()


@pytest.mark.parametrize("line", LINES)
def test_a_fault_leaves_no_trace(running: Running, line: str):
    assert running.try_line(line) == (True, ())
