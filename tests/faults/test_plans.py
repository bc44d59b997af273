"""A fixed part of all plans (`make faults` runs every one): each line of quick.jsonl, among them whatever once found a fault."""

import asyncio
import os
from collections import defaultdict
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import uvloop

from tests.faults.outcome import is_difference
from tests.faults.plan import MORE_ACTIONS, WRITE_ACTIONS, Plan, read_plan
from tests.faults.worker import LEARNING_RUNS, Learned, Report, a_world, learn, try_plan
from tests.harness.zygote import warm_up

pytestmark = [pytest.mark.planes, pytest.mark.slow, pytest.mark.timeout(400)]

LINES = Path(__file__).with_name("quick.jsonl").read_text().splitlines()


class Running:
    """A world on a loop of its own, and what fault-free runs of each workload showed."""

    def __init__(self, runner: asyncio.Runner) -> None:
        self._runner = runner
        self._until_the_end = AsyncExitStack()
        self._learned = defaultdict[str, Learned](
            Learned
        )  # workload -> what fault-free runs showed

    def open(self) -> None:
        world = a_world(f"plans-{os.getpid()}", durable=False)
        self.world, self.invariants = self._runner.run(
            self._until_the_end.enter_async_context(world)
        )

    def close(self) -> None:
        self._runner.run(self._until_the_end.aclose())

    def try_line(self, line: str) -> tuple[bool, tuple[str, ...]]:
        """Run a plan; return whether its place was reached and what went wrong.

        Fault-free runs needn't all end alike: where nothing but the end is another, one more run shows another end. Nor do
        all of them write where the fault is put, as those of races: what one with that write does is what is usual.
        """
        workload = read_plan(line).workload
        while self._is_to_learn(read_plan(line)):
            self._learn(workload)
        if faults := self._learned_faults(workload):
            return False, faults
        report = self._try(line)
        if report.faults and all(map(is_difference, report.faults)):
            self._learn(workload)
            report = self._try(line)
        print(*report.journal, sep="\n")  # shown where it fails
        return report.hit, (*self._learned_faults(workload), *report.faults)

    def _learned_faults(self, workload: str) -> tuple[str, ...]:
        return tuple(f for each in self._learned[workload].reports for f in each.faults)

    def _is_to_learn(self, plan: Plan) -> bool:
        known = self._learned[plan.workload].reference.places
        is_at_write = plan.action in (*WRITE_ACTIONS, *MORE_ACTIONS)
        is_known = not is_at_write or any(plan.place in places for places in known)
        return not known or (not is_known and len(known) < LEARNING_RUNS)

    def _learn(self, workload: str) -> None:
        found = self._runner.run(learn(self.world, self.invariants, workload, runs=1))
        known = self._learned[workload]
        known.reference.places += found.reference.places
        known.reference.outcomes += found.reference.outcomes
        known.reference.writes += found.reference.writes
        known.reports += found.reports

    def _try(self, line: str) -> Report:
        plan, reference = read_plan(line), self._learned[read_plan(line).workload].reference
        return self._runner.run(try_plan(self.world, self.invariants, plan, reference))


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    warm_up()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        running = Running(runner)
        running.open()
        yield running
        running.close()


def name_of(line: str) -> str:
    """Return a plan as one word."""
    plan = read_plan(line)
    return f"{LINES.index(line) + 1}-{plan.workload}-{plan.action}"


@pytest.mark.parametrize("line", LINES, ids=name_of)
def test_a_fault_leaves_no_trace(running: Running, line: str):
    assert running.try_line(line) == (True, ())
