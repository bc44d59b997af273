"""Choosing by what the fleet's rest stays good for: the fragmentation gradient, and Sublet's own strategy on top of it.

Both know the workload's kinds of tasks and how often each comes; neither knows what comes next.
"""

from collections.abc import Mapping, Sequence

from sublet.simulate.fleet import Fleet, State, Task, after
from sublet.simulate.workload import Workload


class FragmentationGradient:
    """The node where the fleet's expected fragmentation grows least, after "Beware of Fragmentation" (ATC '23)."""

    def __init__(self, workload: Workload) -> None:
        self._workload = workload

    def choose(self, task: Task, fitting: Sequence[State], fleet: Fleet) -> State:
        """Return that node's state; of equal ones the first in the node file."""
        return min(fitting, key=lambda s: (growth(self._workload, task, s), fleet.first(s)))


class Scarcity:
    """Sublet's own: the fragmentation gradient, with a price on models that others ask for by name.

    The gradient alone spends scarce models on tasks that would run anywhere, and has none left for tasks that name
    them. Here a GPU costs in addition what share of the demand names its model, over the share of the free GPUs that
    would do for that demand: 1 where a model is asked for by name as much as there is of it. Of equal nodes the
    tightest is taken, so that large rests stay large.
    """

    def __init__(self, workload: Workload) -> None:
        self._workload = workload

    def choose(self, task: Task, fitting: Sequence[State], fleet: Fleet) -> State:
        """Return the state of the node that costs least."""
        prices = self._prices(fleet.free) if task.gpus else {}
        scale = self._workload.tasks * task.gpus
        return min(
            fitting,
            key=lambda s: (
                growth(self._workload, task, s) + scale * prices.get(s.model, 0.0),
                s.gpus,
                s.cpu_milli,
                s.memory_mib,
                fleet.first(s),
            ),
        )

    def _prices(self, free: Mapping[str, int]) -> dict[str, float]:
        """Return model -> the price of one of its GPUs."""
        everything = sum(free.values())
        prices: dict[str, float] = {}
        for models, share in self._workload.by_name.items():
            usable = sum(free.get(model, 0) for model in models)
            for model in models if usable else ():
                prices[model] = prices.get(model, 0.0) + share * everything / usable
        return prices


def growth(workload: Workload, task: Task, state: State) -> int:
    """Return by how much a task strands more than before on a node in this state; below 0 where it's less."""
    return workload.stranded(after(state, task)) - workload.stranded(state)
