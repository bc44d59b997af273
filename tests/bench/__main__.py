"""`python -m tests.bench [pure|planes]`: measure, print one table, write build/bench.json."""

import sys

from tests.bench import planes, pure
from tests.bench.results import Row, show, write


def main() -> int:
    """Measure what is asked for, or everything."""
    wanted = sys.argv[1:] or ["pure", "planes"]
    rows: list[Row] = []
    for name, part in (("pure", pure), ("planes", planes)):
        if name in wanted:
            print(f"measuring: {name} …", flush=True)
            rows += part.measure()
    show(rows)
    print(f"\nwritten to {write(rows)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
