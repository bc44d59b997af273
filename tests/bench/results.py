"""Rows of the bench: printed as one table, written to build/bench.json."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.planes.binaries import ROOT


@dataclass(frozen=True)
class Row:
    """One figure beside its limit; `ratio` is value over limit where there is one."""

    name: str
    value: float
    unit: str
    limit: float | None = None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """Return value over limit."""
        return round(self.value / self.limit, 3) if self.limit else None


def write(rows: list[Row]) -> Path:
    """Write all rows as JSON and return the path."""
    path = ROOT / "build" / "bench.json"
    path.parent.mkdir(exist_ok=True)
    data = [{**asdict(row), "ratio": row.ratio} for row in rows]
    path.write_text(json.dumps(data, indent=2) + "\n")
    return path


def show(rows: list[Row]) -> None:
    """Print all rows as one table."""
    print(f"\n{'what':<46} {'value':>10} {'unit':<12} {'limit':>9} {'ratio':>6}  note")
    for row in rows:
        limit = f"{row.limit:,.2f}" if row.limit is not None else ""
        ratio = f"{row.ratio:.2f}" if row.ratio is not None else ""
        print(
            f"{row.name:<46} {row.value:>10,.2f} {row.unit:<12} {limit:>9} {ratio:>6}  {row.note}"
        )
