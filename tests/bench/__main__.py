"""`python -m tests.bench [PART ...]`: measure, print one table, write build/bench.json.

Each part has a process of its own: the system counts the most memory that a process ever had, and what one part leaves behind
would stand in the figures of the next.
"""

import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from tests.bench.parts import PARTS, measure
from tests.bench.results import Row, show, write


def main() -> int:
    """Measure what is asked for, or everything."""
    wanted = sys.argv[1:] or PARTS
    if unknown := sorted({*wanted} - {*PARTS}):
        print(f"no such part: {', '.join(unknown)}; there are {', '.join(PARTS)}", file=sys.stderr)
        return 2
    rows: list[Row] = []
    for name in PARTS:
        if name in wanted:
            print(f"measuring: {name} …", flush=True)
            with ProcessPoolExecutor(1, get_context("spawn")) as alone:
                rows += alone.submit(measure, name).result()
    show(rows)
    print(f"\nwritten to {write(rows)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
