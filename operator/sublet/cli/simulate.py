"""`sublet simulate`: how much of a recorded fleet each placement strategy gives away. Needs no cluster."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from sublet.cli.choices import Format
from sublet.cli.output import show_data, show_fields, show_table
from sublet.cli.problems import Problem, fail
from sublet.simulate.fleet import State, Task
from sublet.simulate.openb import TraceError, parse_nodes, parse_pods
from sublet.simulate.run import Outcome, StrategyName, arrivals, play, strategy
from sublet.simulate.workload import Workload

T = TypeVar("T")

_COLUMNS = ("strategy", "allocated", "gpus", "at-capacity")
_WIDE = ("placed", "refused")


def command(nodes: Path, pods: Path, only: StrategyName | None, output: Format) -> None:
    """Play the trace with one strategy, or each, and show what it allocates."""
    try:
        fleet, tasks = read(nodes, parse_nodes), read(pods, parse_pods)
        coming = _coming(fleet, tasks, nodes, pods)
    except Problem as problem:
        fail(str(problem))
    workload = Workload(tasks)
    outcomes = {
        name: play(fleet, coming, strategy(name, workload))
        for name in ([only] if only else StrategyName)
    }
    if not show_data(as_data(fleet, coming, outcomes), output):
        show(fleet, coming, outcomes, wide=output is Format.WIDE)


def read(path: Path, parse: Callable[[Iterable[str], str], list[T]]) -> list[T]:
    """Return what a file says; Problem if it can't be read or isn't such a trace."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as lines:
            return parse(lines, str(path))
    except TraceError as error:
        raise Problem(str(error)) from error
    except OSError as error:
        raise Problem(f"{path}: {error.strerror}; give the path of a CSV file") from error
    except UnicodeDecodeError as error:
        raise Problem(f"{path}: it isn't text; give a CSV file in UTF-8") from error


def as_data(
    fleet: list[State], coming: list[Task], outcomes: dict[StrategyName, Outcome]
) -> dict[str, Any]:
    """Return the results as programs read them; shares are of all GPUs of the fleet."""
    return {
        "nodes": len(fleet),
        "gpus": sum(node.gpus for node in fleet),
        "tasks": len(coming),
        "gpusAsked": sum(task.gpus for task in coming),
        "strategies": [
            {
                "strategy": str(name),
                "share": round(run.allocated / run.gpus, 6),
                "shareAtCapacity": round(run.allocated_at_capacity / run.gpus, 6),
                "gpusAllocated": run.allocated,
                "tasksPlaced": len(coming) - run.refused,
                "tasksRefused": run.refused,
            }
            for name, run in outcomes.items()
        ],
    }


def show(
    fleet: list[State],
    coming: list[Task],
    outcomes: dict[StrategyName, Outcome],
    *,
    wide: bool = False,
) -> None:
    """Print the results for people."""
    gpus, asked = sum(node.gpus for node in fleet), sum(task.gpus for task in coming)
    show_fields(
        {
            "Fleet": f"{gpus:,} GPUs on {len(fleet):,} nodes",
            "Asked": f"{asked:,} GPUs by {len(coming):,} tasks",
        }
    )
    print()
    show_table(
        (*_COLUMNS, *(_WIDE if wide else ())),
        [
            (
                name,
                f"{100 * run.allocated / run.gpus:.2f} %",
                run.allocated,
                f"{100 * run.allocated_at_capacity / run.gpus:.2f} %",
                *((len(coming) - run.refused, run.refused) if wide else ()),
            )
            for name, run in outcomes.items()
        ],
    )


def _coming(fleet: list[State], tasks: list[Task], nodes: Path, pods: Path) -> list[Task]:
    """Return all that comes; Problem, naming the file, if there is nothing to allocate."""
    gpus = sum(node.gpus for node in fleet)
    if not gpus:
        raise Problem(f"{nodes}: no node has a GPU; give nodes whose column gpu isn't 0")
    if not any(task.gpus for task in tasks):
        raise Problem(f"{pods}: no pod asks for a GPU; give pods whose column num_gpu isn't 0")
    return arrivals(tasks, gpus)
