"""Rows of the bench: judged by their limits, printed as one table, merged into build/bench.json."""

import json
import math
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from tests.planes.binaries import ROOT

FILE = ROOT / "build" / "bench.json"


class Judgement(StrEnum):
    """What a limit asks of a value."""

    LEAST = "least"
    MOST = "most"
    BESIDE = "beside"
    """Nothing: it is shown for comparison."""


@dataclass(frozen=True)
class Limit:
    """A figure that a value is judged by, or only shown beside."""

    judgement: Judgement
    value: float

    def admits(self, value: float) -> bool:
        """Say whether a value keeps the limit; what is no number keeps none."""
        if self.judgement is Judgement.LEAST:
            return value >= self.value
        if self.judgement is Judgement.MOST:
            return value <= self.value
        return True


def least(value: float) -> Limit:
    """Return a limit that a value must reach."""
    return Limit(Judgement.LEAST, value)


def most(value: float) -> Limit:
    """Return a limit that a value must not be above."""
    return Limit(Judgement.MOST, value)


def beside(value: float) -> Limit:
    """Return a figure for comparison: no value misses it."""
    return Limit(Judgement.BESIDE, value)


@dataclass(frozen=True)
class Row:
    """One figure beside its limit; `ratio` is value over limit where there is one."""

    name: str
    value: float
    unit: str
    limit: Limit | None = None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """Return value over limit."""
        return round(self.value / self.limit.value, 3) if self.limit and self.limit.value else None

    @property
    def missed(self) -> bool:
        """Say whether the value misses its limit."""
        return self.limit is not None and not self.limit.admits(self.value)

    def as_json(self) -> dict[str, Any]:
        """Return what the file says of it."""
        return {
            "name": self.name,
            "value": self.value if math.isfinite(self.value) else None,
            "unit": self.unit,
            "limit": self.limit and self.limit.value,
            "judgement": self.limit and self.limit.judgement,
            "ratio": self.ratio,
            "missed": self.missed,
            "note": self.note,
        }


def write(part: str, rows: list[Row], file: Path = FILE) -> None:
    """Put one part's rows in place of those that the file has of it; those of other parts stay."""
    stamp = {"part": part, "measured": _now(), "commit": _commit()}
    kept = [each for each in _read(file) if each.get("part") not in (part, None)]
    fresh = [{**stamp, **row.as_json()} for row in rows]
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps([*kept, *fresh], indent=2) + "\n")


def show(rows: Iterable[Row]) -> int:
    """Print all rows as one table and how many of them miss; return that number."""
    head = f"{'what':<52} {'value':>10} {'unit':<10} {'limit':>16} {'ratio':>6} {'':<6}  note"
    print(f"\n{head}")
    rows = list(rows)
    for row in rows:
        limit = f"{row.limit.judgement} {row.limit.value:,.2f}" if row.limit is not None else ""
        ratio = f"{row.ratio:.2f}" if row.ratio is not None else ""
        missed = "MISSED" if row.missed else ""
        print(
            f"{row.name:<52} {row.value:>10,.2f} {row.unit:<10} {limit:>16} {ratio:>6} {missed:<6}  {row.note}"
        )
    judged = [r for r in rows if r.limit and r.limit.judgement is not Judgement.BESIDE]
    misses = [r.name for r in judged if r.missed]
    print(f"\n{len(misses)} of {len(judged)} limits missed{': ' * bool(misses)}{', '.join(misses)}")
    return len(misses)


def _read(file: Path) -> list[dict[str, Any]]:
    """Return the rows of a file, none if it isn't there or was broken off."""
    try:
        found: list[dict[str, Any]] = json.loads(file.read_text())
    except (FileNotFoundError, ValueError):
        return []
    return found


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _commit() -> str | None:
    """Return the commit of the tree, marked if something was changed since; None if git doesn't know."""
    command = ["git", "describe", "--always", "--dirty", "--exclude=*", "--abbrev=12"]
    try:
        done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    except FileNotFoundError:
        return None
    return done.stdout.strip() or None
