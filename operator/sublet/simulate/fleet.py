"""Nodes by what they have left. A strategy looks at the few different nodes, not at each of a thousand.

Nodes in the same state (free CPU, memory and GPUs, and the GPUs' model) are as good as each other, so a strategy
chooses a state and the fleet takes the state's first node, in order of the node file.
"""

from bisect import insort
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple


class State(NamedTuple):
    """What one node has left."""

    cpu_milli: int
    memory_mib: int
    gpus: int
    model: str
    """What its GPUs are; empty where a node has none."""


class Task(NamedTuple):
    """What one task takes, all of it from one node and for good."""

    cpu_milli: int
    memory_mib: int
    gpus: int
    """Whole GPUs; 0: it takes CPU and memory only."""
    models: frozenset[str] = frozenset()
    """It runs on a node of one of these models; empty: on any."""


def fits(task: Task, state: State) -> bool:
    """Say whether a node in this state can take the task: GPUs, CPU, memory and model all count."""
    return (
        task.gpus <= state.gpus
        and task.cpu_milli <= state.cpu_milli
        and task.memory_mib <= state.memory_mib
        and (not task.models or state.model in task.models)
    )


def after(state: State, task: Task) -> State:
    """Return what a node has left once it has taken the task."""
    return State(
        state.cpu_milli - task.cpu_milli,
        state.memory_mib - task.memory_mib,
        state.gpus - task.gpus,
        state.model,
    )


class Fleet:
    """All nodes, and what is free on them."""

    def __init__(self, nodes: Sequence[State]) -> None:
        """Begin with whole nodes."""
        self._nodes: dict[State, list[int]] = {}  # state -> numbers of its nodes, sorted
        for number, node in enumerate(nodes):
            self._nodes.setdefault(node, []).append(number)
        self.gpus = sum(node.gpus for node in nodes)
        """What the fleet has, free or not."""
        self.free: Counter[str] = Counter()
        """model -> free GPUs"""
        for node in nodes:
            self.free[node.model] += node.gpus

    def fitting(self, task: Task) -> list[State]:
        """Return the states of nodes that can take the task; the order says nothing but is always the same."""
        return [state for state in self._nodes if fits(task, state)]

    def first(self, state: State) -> int:
        """Return the number of the first node in this state."""
        return self._nodes[state][0]

    def count(self, state: State) -> int:
        """Return how many nodes are in this state."""
        return len(self._nodes[state])

    def take(self, task: Task, state: State) -> int:
        """Give the task the first node in this state; return the node's number."""
        if not fits(task, state):
            raise ValueError(f"{task} doesn't fit on a node with {state}")
        numbers = self._nodes[state]
        number = numbers.pop(0)
        if not numbers:
            del self._nodes[state]
        insort(self._nodes.setdefault(after(state, task), []), number)
        self.free[state.model] -= task.gpus
        return number
