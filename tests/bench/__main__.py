"""`python -m tests.bench [PART ...]`: measure, print one table, write build/bench.json."""

import sys

from tests.bench import (
    closing,
    clusters,
    focus,
    handover,
    ledger,
    openb,
    planes,
    plugin,
    pure,
    restart,
    scrape,
)
from tests.bench.results import Row, show, write

PARTS = {
    "pure": pure,
    "closing": closing,
    "focus": focus,
    "ledger": ledger,
    "scrape": scrape,
    "openb": openb,
    "plugin": plugin,
    "planes": planes,
    "clusters": clusters,
    "handover": handover,
    "restart": restart,
}


def main() -> int:
    """Measure what is asked for, or everything."""
    wanted = sys.argv[1:] or list(PARTS)
    rows: list[Row] = []
    for name, part in PARTS.items():
        if name in wanted:
            print(f"measuring: {name} …", flush=True)
            rows += part.measure()
    show(rows)
    print(f"\nwritten to {write(rows)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
