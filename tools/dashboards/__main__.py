"""`python -m tools.dashboards`: write the chart's dashboards."""

import json
import sys
from pathlib import Path

from tools.dashboards.book import book
from tools.dashboards.grafana import Json
from tools.dashboards.leases import leases
from tools.dashboards.process import operator
from tools.dashboards.tenants import tenants

TARGET = Path("charts/sublet/dashboards")


def dashboards() -> dict[str, Json]:
    """Return name -> dashboard."""
    return {"book": book(), "leases": leases(), "tenants": tenants(), "operator": operator()}


def written(made: Json) -> str:
    """Return a dashboard as its file has it."""
    return json.dumps(made, indent=1) + "\n"


def main() -> int:
    """Write what differs; return the exit status."""
    TARGET.mkdir(parents=True, exist_ok=True)
    for name, made in dashboards().items():
        path, text = TARGET / f"{name}.json", written(made)
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
            print(f"{path}: written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
