"""`python -m sublet.manifests`: write what is generated of the chart: CRDs, rights, policies, the values' schema, README's tables. The source is this package."""

import sys
from pathlib import Path

from sublet.manifests.chart import write_chart


def main() -> int:
    """Write what differs; return the exit status."""
    for path in write_chart(Path("crds"), Path("charts/sublet")):
        print(f"{path}: written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
