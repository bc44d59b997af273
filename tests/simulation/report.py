"""What many histories came to, as one table and one file."""

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.simulation.history import Result


@dataclass
class Report:
    """Sums over histories."""

    histories: int = 0
    requests: int = 0
    writes: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    failed: list[dict[str, Any]] = field(default_factory=list)
    longest_convergence_seconds: float = 0.0
    slowest_seed: int = 0
    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0
    workers: int = 1

    def add(self, result: Result) -> None:
        """Take one history in."""
        self.histories += 1
        self.requests += result.requests
        self.writes += result.writes
        self.faults.update(result.faults)
        self.cpu_seconds += result.cpu_seconds
        if result.convergence_seconds > self.longest_convergence_seconds:
            self.longest_convergence_seconds = result.convergence_seconds
            self.slowest_seed = result.plan.seed
        if result.violations:
            self.failed.append({"seed": result.plan.seed, "violations": result.violations[:5]})

    def write(self, path: Path) -> None:
        """Write the file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.content(), indent=2) + "\n")

    def content(self) -> dict[str, Any]:
        """Return the report as JSON."""
        return {
            "histories": self.histories,
            "violations": sum(len(f["violations"]) for f in self.failed),
            "failed": self.failed,
            "requests": self.requests,
            "writes": self.writes,
            "faults": dict(sorted(self.faults.items())),
            "longestConvergenceSeconds": round(self.longest_convergence_seconds, 1),
            "longestConvergenceSeed": self.slowest_seed,
            "wallSeconds": round(self.wall_seconds, 1),
            "cpuSecondsPerHistory": round(self.cpu_seconds / max(1, self.histories), 3),
            "historiesPerSecond": round(self.histories / max(0.001, self.wall_seconds), 2),
            "workers": self.workers,
        }

    def lines(self) -> list[str]:
        """Return the table for a person."""
        said = self.content()
        rows = [
            ("histories", said["histories"]),
            ("requests", said["requests"]),
            ("committed writes", said["writes"]),
            ("violations", said["violations"]),
            (
                "longest convergence",
                f"{said['longestConvergenceSeconds']} s of virtual time (seed {self.slowest_seed})",
            ),
            ("speed", f"{said['historiesPerSecond']} histories/s on {self.workers} workers"),
            ("CPU per history", f"{said['cpuSecondsPerHistory']} s"),
            *((f"faults: {kind}", count) for kind, count in said["faults"].items()),
        ]
        return [f"{name:<24} {value}" for name, value in rows]
