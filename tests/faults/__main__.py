"""`python -m tests.faults`: run all plans, or those of some workloads, or the plan that a line of JSON says.

Prints how many plans, writes covered, violations and the longest convergence, writes them to build/faults.json, and exits
with 1 if anything is violated.
"""

import argparse
import json
import multiprocessing
import os
import queue
import sys
import time
from dataclasses import asdict
from multiprocessing.queues import Queue
from typing import Final

import uvloop

from tests.faults.plan import read_plan
from tests.faults.summary import Summary
from tests.faults.worker import Choice, Learned, Report, a_world, learn, try_plan, work_off
from tests.faults.workloads import ALL
from tests.harness.zygote import warm_up
from tests.planes.binaries import ROOT

RESULTS: Final = ROOT / "build" / "faults.json"
_POLL_SECONDS: Final = 1.0


def main() -> int:
    """Run what was asked for; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("plan", nargs="*", help="lines of JSON to replay; all plans without")
    parser.add_argument("--workload", action="append", choices=sorted(ALL), help="these alone")
    parser.add_argument("--part", default="1/1", help="2/8: every eighth plan, from the second on")
    parser.add_argument(
        "--action", action="append", default=[], help="plans with these actions alone"
    )
    parser.add_argument("--workers", type=int, default=2, help="sets of planes side by side")
    given = parser.parse_args()
    if given.plan:
        return replay(given.plan)
    choice = Choice(given.part, tuple(given.action))
    return run_all(given.workload or list(ALL), given.workers, choice)


def replay(lines: list[str]) -> int:
    """Run single plans and show their journals."""
    plans = [read_plan(line) for line in lines]
    warm_up()
    bad, known = 0, dict[str, Learned]()

    async def do() -> None:
        nonlocal bad
        async with a_world(f"replay-{os.getpid()}", durable=True) as (world, invariants):
            for plan in plans:
                if plan.workload not in known:
                    known[plan.workload] = await learn(world, invariants, plan.workload)
                reference = known[plan.workload].reference
                report = await try_plan(world, invariants, plan, reference)
                for entry in world.journal:
                    print(entry)
                print(*report.faults, sep="\n")
                print(f"{len(report.faults)} faults, {'' if report.hit else 'NOT '}reached")
                bad += bool(report.faults)

    uvloop.run(do())
    return 1 if bad else 0


def run_all(workloads: list[str], workers: int, choice: Choice) -> int:
    """Run all chosen plans of some workloads, spread over workers; return the exit status."""
    context = multiprocessing.get_context("spawn")
    todo: Queue[str] = context.Queue()
    done: Queue[Report] = context.Queue()
    for name in workloads:
        todo.put(name)
    processes = [
        context.Process(target=work_off, args=(number, choice, todo, done), daemon=True)
        for number in range(min(workers, len(workloads)))
    ]
    for process in processes:
        process.start()
    summary, begun = Summary(), time.monotonic()
    while any(p.is_alive() for p in processes) or not done.empty():
        try:
            report = done.get(timeout=_POLL_SECONDS)
        except queue.Empty:
            continue
        summary.take(report)
        _show(report)
    lost = [p for p in processes if p.exitcode != 0]
    text = {**asdict(choice), **summary.body(time.monotonic() - begun, len(lost))}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(text, indent=1) + "\n")
    print(summary.words(), f"written to {RESULTS.relative_to(ROOT)}", sep="\n")
    return 1 if summary.violations or lost or summary.unreached else 0


def _show(report: Report) -> None:
    """Print one line per plan, and all about one that failed."""
    said = "VIOLATED" if report.faults else "held" if report.hit else "not reached"
    what = report.line or f"{report.workload} without a fault: {report.places} writes"
    what += f", {len(report.dropped)} not in every run" if report.dropped else ""
    print(f"{said:8} {report.seconds:5.1f} s  {what}", flush=True)
    for line in report.faults:
        print(f"    {line}", flush=True)
    if report.faults:
        print(*(f"        {line}" for line in report.journal), sep="\n", flush=True)


if __name__ == "__main__":
    sys.exit(main())
