"""A worker: one set of planes, one world, workload after workload; learns each one's writes and runs its plans.

Runs in a process of its own and says each result as it comes. Whatever it started ends with it.
"""

import asyncio
import os
import queue
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field, replace
from multiprocessing.queues import Queue
from typing import Any, Final

import uvloop

from tests.faults.invariants import Invariants
from tests.faults.plan import COUNTED, MUTE, Place, Plan, common_places, dropped_places, plans_for
from tests.faults.run import Reference, Result, run
from tests.faults.workloads import ALL
from tests.faults.world import World
from tests.harness.stack import start_stack
from tests.harness.zygote import warm_up
from tests.planes.plane import die_with_parent

LEARNING_RUNS: Final = 3
_TRIES: Final = 6
"""Of a race between two writes either may come first, and be it on each machine another one."""
_LAST_SECONDS: Final = 0.5


@dataclass(frozen=True)
class Report:
    """What came of one plan, as it goes from a worker to whoever asked."""

    workload: str
    line: str
    """The line that replays it; "" for a fault-free run."""
    place: Place | None
    faults: tuple[str, ...]
    hit: bool
    seconds: float
    converged_seconds: float
    journal: tuple[str, ...] = ()
    """Of a plan that failed."""
    places: int = 0
    """How many writes there were."""
    dropped: tuple[Place, ...] = ()
    """Of a workload's last fault-free run: writes that not every one of them has, at which no fault is put."""

    @property
    def body(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return asdict(self)


@dataclass
class Learned:
    """What fault-free runs of a workload showed."""

    reference: Reference = field(default_factory=Reference)
    reports: list[Report] = field(default_factory=list)
    changed: list[set[str]] = field(default_factory=list)
    """Of each run: watched kinds of which operators were told changes."""
    tells: list[bool] = field(default_factory=list)
    """Of each run: whether operators told news."""

    def take_end(self, workload: str, result: Result) -> None:
        """Take what a fault-free run wrote and ended in."""
        self.reference.outcomes.append(result.outcome)
        self.reference.writes.append([e for e in result.journal if e.is_write])
        self.reports.append(_report(Plan(workload), result, line=""))

    @property
    def dropped(self) -> list[Place]:
        """Return the writes that some runs have and others don't."""
        return dropped_places(self.reference.places)

    @property
    def places(self) -> list[Place]:
        """Return the writes that every run has."""
        return common_places(self.reference.places)


@asynccontextmanager
async def a_world(name: str, *, durable: bool) -> AsyncIterator[tuple[World, Invariants]]:
    """Start planes and a world on them; everything is gone afterwards."""
    stack = await asyncio.to_thread(start_stack, name, durable=durable)
    world = World(stack)
    invariants: Invariants | None = None
    try:
        await world.open()
        invariants = Invariants(world)
        yield world, invariants
    finally:
        await world.close()
        if invariants is not None:
            await invariants.close()
        await asyncio.to_thread(stack.stop)


async def learn(
    world: World, invariants: Invariants, workload: str, runs: int = LEARNING_RUNS
) -> Learned:
    """Run a workload without a fault, often enough to see what varies, and once each way that it may also go."""
    learned = Learned()
    for _ in range(runs):
        result = await run(world, Plan(workload), None, invariants)
        learned.take_end(workload, result)
        learned.reference.places.append(result.places)
        learned.changed.append(set(result.changed))
        learned.tells.append(result.tells)
    learned.reports[-1] = replace(learned.reports[-1], dropped=tuple(learned.dropped))
    for act in ALL[workload].also:
        learned.take_end(workload, await run(world, Plan(workload), None, invariants, act))
    return learned


async def try_plan(
    world: World, invariants: Invariants, plan: Plan, reference: Reference
) -> Report:
    """Run one plan; again if its place wasn't reached, since what varies may have passed it by."""
    for _ in range(_TRIES):
        result = await run(world, plan, reference, invariants)
        if result.hit or result.faults:
            break
    return _report(plan, result, line=plan.line)


def plans_of(workload: str, learned: Learned) -> list[Plan]:
    """Return all plans of a workload; old views only of what every fault-free run saw change, so that each can be reached."""
    story = ALL[workload]
    changed = set.intersection(*learned.changed) - set(story.not_old)
    views = sorted(v for v in changed if story.with_counted or v.split()[1] not in COUNTED)
    plans = plans_for(workload, learned.places, more=story.actions, views=views, pairs=story.pairs)
    return [*plans, *([Plan(workload, MUTE)] if all(learned.tells) else [])]


def _report(plan: Plan, result: Result, *, line: str) -> Report:
    shown = [str(e) for e in result.journal if not e.is_watch] if result.faults else []
    return Report(
        plan.workload, line, plan.place, tuple(result.faults), result.hit,
        result.seconds, result.converged_seconds, tuple(shown), len(result.places),
    )  # fmt: skip


@dataclass(frozen=True)
class Choice:
    """Which plans of a workload are to be run."""

    part: str = "1/1"
    """2/8: every eighth, from the second on."""
    actions: tuple[str, ...] = ()
    """These alone; none: all."""

    def of(self, plans: Sequence[Plan]) -> Sequence[Plan]:
        """Return those of these plans that are to be run."""
        first, step = map(int, self.part.split("/"))
        return [p for p in plans if not self.actions or p.action in self.actions][first - 1 :: step]


def work_off(number: int, choice: Choice, todo: "Queue[str]", done: "Queue[Report]") -> None:
    """Do the chosen plans of each workload that is to do; runs in a process of its own."""
    die_with_parent()
    warm_up()

    async def do() -> None:
        async with a_world(f"faults-{os.getpid()}-{number}", durable=True) as (world, invariants):
            while (workload := _next(todo)) is not None:
                learned = await learn(world, invariants, workload)
                for report in learned.reports:
                    done.put(report)
                # what ends otherwise than a run that failed without a fault, which is told, is no fault of a plan's
                failed = any(report.faults for report in learned.reports)
                for plan in () if failed else choice.of(plans_of(workload, learned)):
                    done.put(await try_plan(world, invariants, plan, learned.reference))
                for fault in await invariants.prove():
                    done.put(Report(workload, "", None, (fault,), True, 0.0, 0.0))

    uvloop.run(do())


def _next(todo: "Queue[str]") -> str | None:
    try:
        return todo.get(timeout=_LAST_SECONDS)
    except queue.Empty:
        return None
