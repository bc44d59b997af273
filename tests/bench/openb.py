"""Placement on the openb traces: the share of a full fleet's GPUs that each strategy has given away.

The traces are public and not part of this tree; `OPENB_DIR` says where they are.
"""

import os
from pathlib import Path
from typing import Final, TypeAlias

from sublet.cli.simulate import read
from sublet.simulate.openb import parse_nodes, parse_pods
from sublet.simulate.run import StrategyName, arrivals, play, strategy
from sublet.simulate.workload import Workload
from tests.bench.results import Row, least, most
from tests.planes.binaries import ROOT

TRACES: Final = ("default", "gpushare40", "gpuspec10", "multigpu20")
NODES: Final = "openb_node_list_gpu_node.csv"
OURS: Final = StrategyName.SUBLET
POINTS_BEHIND: Final = 0.5
_SOURCE: Final = "cluster-trace-gpu-v2023/csv of https://github.com/alibaba/clusterdata"

Shares: TypeAlias = dict[StrategyName, dict[str, float]]
"""strategy -> trace -> percent of the fleet's GPUs"""


def measure() -> list[Row]:
    """Return the rows."""
    folder = Path(os.environ.get("OPENB_DIR") or ROOT.parent / "shared" / "traces" / "openb")
    wanted = [NODES, *map(_pods, TRACES)]
    missing = [name for name in wanted if not (folder / name).is_file()]
    if missing:
        note = (
            f"no {missing[0]} in {folder}: take it from {_SOURCE} and set OPENB_DIR to its folder"
        )
        return [Row("placement on openb", 0, "NOT MEASURED", None, note)]
    return rows(_shares(folder))


def rows(shares: Shares) -> list[Row]:
    """Return one row per strategy with its mean and its share on each trace, and how far ours is behind."""
    means = {name: sum(found.values()) / len(found) for name, found in shares.items()}
    best_other = max(mean for name, mean in means.items() if name is not OURS)
    best = {trace: max(found[trace] for found in shares.values()) for trace in TRACES}
    behind = max(best[trace] - shares[OURS][trace] for trace in TRACES)
    return [
        *(
            Row(
                f"placement on openb: {name}",
                means[name],
                "% of GPUs",
                least(best_other) if name is OURS else None,
                ", ".join(f"{trace} {share:.2f}" for trace, share in found.items())
                + ("; limit: at least the best baseline" if name is OURS else ""),
            )
            for name, found in shares.items()
        ),
        Row(
            f"placement on openb: {OURS} behind the best",
            behind,
            "points",
            most(POINTS_BEHIND),
            "on the trace where it is furthest behind",
        ),
    ]


def _shares(folder: Path) -> Shares:
    nodes = read(folder / NODES, parse_nodes)
    gpus = sum(node.gpus for node in nodes)
    shares: Shares = {name: {} for name in StrategyName}
    for trace in TRACES:
        tasks = read(folder / _pods(trace), parse_pods)
        coming, workload = arrivals(tasks, gpus), Workload(tasks)
        for name in StrategyName:
            outcome = play(nodes, coming, strategy(name, workload))
            shares[name][trace] = 100 * outcome.allocated / gpus
    return shares


def _pods(trace: str) -> str:
    return f"openb_pod_list_{trace}.csv"
