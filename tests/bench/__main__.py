"""`python -m tests.bench [PART ...]`: measure, print one table, write build/bench.json; exit status 1 if a limit is missed.

Each part has a process of its own: the system counts the most memory that a process ever had, and what one part leaves behind
would stand in the figures of the next. Its rows are written when it is done; one that breaks down leaves what the file has of it.
"""

import sys
import traceback
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from tests.bench.parts import PARTS, measure
from tests.bench.results import FILE, Row, show, write


def main(wanted: list[str]) -> int:
    """Measure what is asked for, or everything."""
    if unknown := sorted({*wanted} - {*PARTS}):
        print(f"no such part: {', '.join(unknown)}; there are {', '.join(PARTS)}", file=sys.stderr)
        return 2
    rows: list[Row] = []
    broken: list[str] = []
    for name in (part for part in PARTS if part in (wanted or PARTS)):
        print(f"measuring: {name} …", flush=True)
        try:
            found = _alone(name)
        except Exception:  # noqa: BLE001  the others are measured all the same
            traceback.print_exc()
            broken.append(name)
            continue
        write(name, found)
        rows += found
    misses = show(rows)
    if broken:
        print(f"broke down: {', '.join(broken)}")
    print(f"written to {FILE}")
    return 1 if misses or broken else 0


def _alone(name: str) -> list[Row]:
    """Measure a part in a process of its own."""
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        return process.submit(measure, name).result()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
