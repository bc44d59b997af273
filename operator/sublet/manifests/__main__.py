"""`python -m sublet.manifests`: write the chart's copies of CRDs, rights and policies. The source is this package."""

import sys
from pathlib import Path

from sublet.manifests.chart import write_chart


def main() -> int:
    """Write what differs; return the exit status."""
    for path in write_chart(Path("crds"), Path("charts/sublet/templates/generated")):
        print(f"{path}: written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
