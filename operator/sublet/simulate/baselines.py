"""The plain ways to choose a node: the first that fits, the tightest, any."""

import random
from collections.abc import Sequence
from typing import Protocol

from sublet.simulate.fleet import Fleet, State, Task


class Strategy(Protocol):
    """Chooses where a task goes; it must take one of the places that are offered."""

    def choose(self, task: Task, fitting: Sequence[State], fleet: Fleet) -> State:
        """Return one of `fitting`, which is never empty."""


class FirstFit:
    """The first node of the node file that has room."""

    def choose(self, task: Task, fitting: Sequence[State], fleet: Fleet) -> State:
        """Return the state of that node."""
        return min(fitting, key=fleet.first)


class BestFit:
    """The node that has the fewest free GPUs, then the least free CPU, then the least free memory."""

    def choose(self, task: Task, fitting: Sequence[State], fleet: Fleet) -> State:
        """Return the state of that node."""
        return min(fitting, key=lambda s: (s.gpus, s.cpu_milli, s.memory_mib, fleet.first(s)))


class RandomFit:
    """Any node that has room, each as likely as the next."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)

    def choose(self, task: Task, fitting: Sequence[State], fleet: Fleet) -> State:
        """Return the state of that node."""
        return self._chance.choices(fitting, [fleet.count(state) for state in fitting])[0]
