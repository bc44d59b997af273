"""Plays a trace against a fleet: tasks come one by one, find a node or are refused, and never leave.

All tasks of the trace come, in order; a refusal ends nothing, for a smaller task may still fit. Where they ask for
less than 130 % of the fleet's GPUs, more are drawn from the trace by chance until they do, as the authors of the
openb traces fill their clusters. Then what is counted is what a full fleet could give away.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sublet.simulate.baselines import BestFit, FirstFit, RandomFit, Strategy
from sublet.simulate.fleet import Fleet, State, Task
from sublet.simulate.fragmentation import FragmentationGradient, Scarcity
from sublet.simulate.workload import Workload

SEED: Final = 0
_ASKED_PERCENT: Final = 130


class StrategyName(StrEnum):
    """The strategies that can be compared."""

    SUBLET = "sublet"
    FIRST_FIT = "first-fit"
    BEST_FIT = "best-fit"
    RANDOM = "random"
    FRAGMENTATION_GRADIENT = "fragmentation-gradient"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one run."""

    gpus: int
    """What the fleet has."""
    allocated: int
    """GPUs given away when the last task has come."""
    allocated_at_capacity: int
    """GPUs given away when tasks had asked for as many as the fleet has."""
    nodes: tuple[int | None, ...]
    """For each task the number of its node, None if it was refused."""

    @property
    def refused(self) -> int:
        """Return how many tasks found no node."""
        return self.nodes.count(None)


def arrivals(tasks: Sequence[Task], gpus: int, seed: int = SEED) -> list[Task]:
    """Return all that comes to a fleet of `gpus` GPUs: the trace, then draws from it."""
    asked, chance, coming = sum(task.gpus for task in tasks), random.Random(seed), list(tasks)
    if not gpus:
        raise ValueError("no node has a GPU; there is nothing to allocate")
    if not asked:
        raise ValueError("no task asks for a GPU; there is nothing to allocate")
    while asked * 100 < _ASKED_PERCENT * gpus:
        task = chance.choice(tasks)
        coming.append(task)
        asked += task.gpus
    return coming


def strategy(name: StrategyName, workload: Workload, seed: int = SEED) -> Strategy:
    """Return a strategy, ready for one run."""
    match name:
        case StrategyName.FIRST_FIT:
            return FirstFit()
        case StrategyName.BEST_FIT:
            return BestFit()
        case StrategyName.RANDOM:
            return RandomFit(seed)
        case StrategyName.FRAGMENTATION_GRADIENT:
            return FragmentationGradient(workload)
        case StrategyName.SUBLET:
            return Scarcity(workload)


def play(nodes: Sequence[State], coming: Sequence[Task], chosen: Strategy) -> Outcome:
    """Let all tasks come to whole nodes and return what came of it."""
    fleet = Fleet(nodes)
    asked = allocated = 0
    at_capacity: int | None = None
    places: list[int | None] = []
    for task in coming:
        fitting = fleet.fitting(task)
        if fitting:
            places.append(fleet.take(task, chosen.choose(task, fitting, fleet)))
            allocated += task.gpus
        else:
            places.append(None)
        asked += task.gpus
        if at_capacity is None and asked >= fleet.gpus:
            at_capacity = allocated
    return Outcome(
        fleet.gpus, allocated, allocated if at_capacity is None else at_capacity, tuple(places)
    )
