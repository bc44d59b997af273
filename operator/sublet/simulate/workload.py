"""What kinds of tasks a workload has and how often each comes, as a landlord knows it from what was asked for before.

It answers one question quickly, for strategies ask it of every node for every task: how much of a node's free GPUs is
stranded, because tasks of this workload would find too little beside them.
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import accumulate
from typing import Final

from sublet.simulate.fleet import State, Task

_STEPS: Final = 100
"""Requests for CPU or memory that are told apart; where a workload has more, they are rounded up to so many."""


class Workload:
    """The kinds of tasks that ask for GPUs.

    Those that don't are left out: free GPUs are of no use to them wherever they are, so they would add the same to
    each choice.
    """

    def __init__(self, tasks: Iterable[Task]) -> None:
        """Count the kinds."""
        asked = Counter(task for task in tasks if task.gpus)
        cpu_steps = _steps(task.cpu_milli for task in asked)
        memory_steps = _steps(task.memory_mib for task in asked)
        self._kinds: Counter[Task] = Counter()
        for task, times in asked.items():
            cpu = cpu_steps[bisect_left(cpu_steps, task.cpu_milli)]
            memory = memory_steps[bisect_left(memory_steps, task.memory_mib)]
            self._kinds[Task(cpu, memory, task.gpus, task.models)] += times
        self._tables: dict[tuple[str, int], _Table] = {}  # model, free GPUs -> who could run there
        self._largest = max((task.gpus for task in asked), default=0)
        self.tasks = asked.total()
        """How many tasks it has."""
        self.by_name = _shares_by_name(asked)
        """models that tasks name -> share of all GPUs asked for"""

    def stranded(self, state: State) -> int:
        """Return a node's free GPUs, each counted once for every task of the workload that couldn't run there."""
        if not state.gpus:
            return 0
        fitting = self._table(state).count(state.cpu_milli, state.memory_mib)
        return state.gpus * (self.tasks - fitting)

    def _table(self, state: State) -> "_Table":
        key = state.model, min(state.gpus, self._largest)
        found = self._tables.get(key)
        if found is None:
            found = self._tables[key] = _Table(
                {
                    task: times
                    for task, times in self._kinds.items()
                    if task.gpus <= state.gpus and (not task.models or state.model in task.models)
                }
            )
        return found


class _Table:
    """How many tasks need at most so much CPU and so much memory."""

    def __init__(self, kinds: Mapping[Task, int]) -> None:
        self._cpu = sorted({task.cpu_milli for task in kinds})
        self._memory = sorted({task.memory_mib for task in kinds})
        exactly = [[0] * (len(self._memory) + 1) for _ in range(len(self._cpu) + 1)]
        for task, times in kinds.items():
            row = exactly[bisect_right(self._cpu, task.cpu_milli)]
            row[bisect_right(self._memory, task.memory_mib)] += times
        by_memory = [list(accumulate(row)) for row in exactly]
        self._at_most: list[list[int]] = [
            list(accumulate(column)) for column in zip(*by_memory, strict=True)
        ]
        """memory step -> CPU step -> tasks"""

    def count(self, cpu_milli: int, memory_mib: int) -> int:
        """Return how many tasks could run beside so much free CPU and memory."""
        column = self._at_most[bisect_right(self._memory, memory_mib)]
        return column[bisect_right(self._cpu, cpu_milli)]


def _steps(requests: Iterable[int]) -> list[int]:
    """Return the values that requests are rounded up to: their own, or evenly chosen ones if there are too many."""
    values = sorted(set(requests))
    if len(values) <= _STEPS:
        return values
    return [values[len(values) * step // _STEPS - 1] for step in range(1, _STEPS + 1)]


def _shares_by_name(asked: Mapping[Task, int]) -> dict[frozenset[str], float]:
    named: Counter[frozenset[str]] = Counter()
    for task, times in asked.items():
        named[task.models] += task.gpus * times
    gpus = named.total()
    return {models: wanted / gpus for models, wanted in named.items() if models}
