"""`python -m tests.simulation`: play histories by their seeds, report, shrink what fails.

A history's order rests on the order of sets of texts too, so the process starts itself again with a fixed hash seed.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from tests.simulation.history import Result, play
from tests.simulation.mutants import MUTANTS, mutated
from tests.simulation.plan import Plan
from tests.simulation.report import Report
from tests.simulation.shrink import shrunk

_SHOWN = 3
_TRACE_LINES = 40


def main(arguments: list[str]) -> int:
    """Play what is asked for; return 1 if anything was violated."""
    if sys.flags.hash_randomization:
        environment = {**os.environ, "PYTHONHASHSEED": "0"}
        command = [sys.executable, "-m", "tests.simulation", *arguments]
        os.execve(sys.executable, command, environment)
    asked = _parse(arguments)
    seeds = asked.seeds or list(range(asked.first, asked.first + asked.count))
    changes: dict[str, Any] = json.loads(asked.plan)
    report = Report(workers=min(asked.workers, len(seeds)))
    begun, failed = time.monotonic(), []
    for result in _results(seeds, changes, asked.mutant, report.workers):
        report.add(result)
        if asked.digest:
            print(f"digest {result.plan.seed} {result.digest}")
        if result.violations:
            failed.append(result)
            found = _first(result, asked.until_found)
            print(f"seed {result.plan.seed}: {found or result.violations[0]}", flush=True)
            if found:
                break
        if report.histories % 500 == 0:
            print(f"{report.histories} histories, {len(failed)} failed", flush=True)
    report.wall_seconds = time.monotonic() - begun
    if not asked.until_found:
        for result in failed[:_SHOWN]:
            _explain(result, asked, shrinks=not asked.seeds)
    print("\n".join(report.lines()))
    if asked.out:
        report.write(Path(asked.out))
    return 1 if failed else 0


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument(
        "seeds", nargs="*", type=int, help="these seeds; without, `--count` of them"
    )
    parser.add_argument("--count", type=int, default=100, help="how many seeds")
    parser.add_argument("--first", type=int, default=1, help="the first of them")
    parser.add_argument("--plan", default="{}", help="JSON of what is otherwise than the seed says")
    parser.add_argument("--mutant", choices=sorted(MUTANTS), help="break the operator like this")
    parser.add_argument(
        "--until-found", metavar="RULE", help="stop at the first violation of this invariant"
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--out", default="", help="write the report here as JSON")
    parser.add_argument("--digest", action="store_true", help="print what tells histories apart")
    parser.add_argument("--trace", action="store_true", help="print whole traces")
    return parser.parse_args(arguments)


def _first(result: Result, rule: str | None) -> str | None:
    """Return the first violation of one invariant; what else the same fault breaks may come before it."""
    heads = (f"{rule}: ", f"verify {rule} ")
    return next((v for v in result.violations if rule and v.startswith(heads)), None)


def _results(
    seeds: list[int], changes: dict[str, Any], mutant: str | None, workers: int
) -> Iterator[Result]:
    """Yield results as they come; one worker needs no other process."""
    jobs = [(seed, changes, mutant) for seed in seeds]
    if workers <= 1:
        yield from map(_play, jobs)
        return
    with ProcessPoolExecutor(workers) as pool:
        try:
            yield from pool.map(_play, jobs, chunksize=4)
        finally:
            pool.shutdown(cancel_futures=True)


def _play(job: tuple[int, dict[str, Any], str | None]) -> Result:
    seed, changes, mutant = job
    with mutated(mutant) as otherwise:
        result = play(Plan.of(seed).narrowed(**{**otherwise, **changes}))
    if not result.violations:
        result.trace.clear()  # nobody reads it, and it is long
    return result


def _explain(result: Result, asked: argparse.Namespace, *, shrinks: bool) -> None:
    """Print how to play a failure again, made smaller, and the end of its trace."""
    with mutated(asked.mutant):
        smallest = shrunk(result) if shrinks else result
    mutant = f" --mutant {asked.mutant}" if asked.mutant else ""
    differs = json.dumps(smallest.plan.differences())
    print(f"\n{smallest.violations[0]}")
    print(f"again: python -m tests.simulation {smallest.plan.seed} --plan '{differs}'{mutant}")
    lines: Iterable[str] = smallest.trace if asked.trace else smallest.trace[-_TRACE_LINES:]
    print("\n".join(f"  {line[:200]}" for line in lines))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
