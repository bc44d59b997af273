"""What all plans together showed: the figures that are printed and written to build/faults.json."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from tests.faults.plan import OLD_VIEWS, Place, read_plan
from tests.faults.worker import Report


@dataclass
class Summary:
    """Counts reports."""

    plans: Counter[str] = field(default_factory=Counter)
    """workload -> plans that were run"""
    writes: dict[str, set[Place]] = field(default_factory=lambda: defaultdict(set))
    """workload -> writes at which a fault happened"""
    views: dict[str, set[Place]] = field(default_factory=lambda: defaultdict(set))
    """workload -> watched kinds of which an old view was shown"""
    dropped: dict[str, tuple[Place, ...]] = field(default_factory=dict)
    """workload -> writes that not every fault-free run has, at which no fault was put"""
    violations: list[dict[str, Any]] = field(default_factory=list)
    unreached: list[str] = field(default_factory=list)
    """Lines of plans whose place never came, or that showed nobody anything old."""
    longest_seconds: float = 0.0
    longest_line: str = ""
    seconds: float = 0.0

    def take(self, report: Report) -> None:
        """Count one report."""
        self.seconds += report.seconds
        if report.faults:
            self.violations.append(
                {"plan": report.line or report.workload, "faults": report.faults}
            )
        if report.dropped:
            self.dropped[report.workload] = report.dropped
        if not report.line:
            return
        self.plans[report.workload] += 1
        if not report.hit:
            self.unreached.append(report.line)
        elif report.place is not None:
            is_view = read_plan(report.line).action in OLD_VIEWS
            (self.views if is_view else self.writes)[report.workload].add(report.place)
        if report.converged_seconds > self.longest_seconds:
            self.longest_seconds, self.longest_line = report.converged_seconds, report.line

    def body(self, wall_seconds: float, lost_workers: int) -> dict[str, Any]:
        """Return the figures as they are written to the file."""
        return {
            "plans": self.plans.total(),
            "plansByWorkload": dict(self.plans),
            "writesCovered": sum(len(each) for each in self.writes.values()),
            "viewsCovered": sum(len(each) for each in self.views.values()),
            "writesDropped": {
                name: [f"{place.key} {place.nth}" for place in places] for name, places in self.dropped.items()
            },
            "violations": self.violations,
            "unreached": self.unreached,
            "longestConvergenceSeconds": round(self.longest_seconds, 2),
            "longestConvergencePlan": self.longest_line,
            "meanPlanSeconds": None if not self.plans else round(self.seconds / self.plans.total(), 2),
            "wallSeconds": round(wall_seconds, 1),
            "lostWorkers": lost_workers,
        }  # fmt: skip

    def words(self) -> str:
        """Return the figures as they are printed."""
        body = self.body(0.0, 0)
        return (
            f"{body['plans']} plans of {len(self.plans)} workloads, {body['writesCovered']} writes and "
            f"{body['viewsCovered']} views covered, {sum(map(len, self.dropped.values()))} writes left out that not every "
            f"run without a fault has, {len(self.violations)} violations, {len(self.unreached)} not reached, "
            f"longest convergence {self.longest_seconds:.1f} s: {self.longest_line}"
        )
