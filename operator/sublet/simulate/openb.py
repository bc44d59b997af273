"""Reads traces in the format of openb: one CSV file of nodes, one of pods.

What counts: a node's GPUs, their model, its CPU and its memory; a pod's requests of the same and the models that it
names in `gpu_spec` (`A|B`: either). A request below a whole GPU counts as one, for Sublet sells whole GPUs; so
`gpu_milli` is of no interest. When a pod was scheduled or ended in the recorded cluster doesn't count: a trace is a
queue of requests here.

Arrivals are in order of `creation_time` where the file has that column, else in the file's own order: some of the
files are sorted by the kind of their pods.
"""

import csv
from collections.abc import Iterable, Iterator
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, InvalidOperation
from typing import Final

from sublet.simulate.fleet import State, Task

NODE_COLUMNS: Final = ("cpu_milli", "memory_mib", "gpu", "model")
POD_COLUMNS: Final = ("cpu_milli", "memory_mib", "num_gpu")
"""Those that must be there; `gpu_spec` and `creation_time` count where they are."""
_MOST: Final = 10**15


class TraceError(ValueError):
    """A trace can't be read: what is wrong, where, and what to do, in one line."""


class _Row:
    """One line of a file, with where it stands."""

    def __init__(self, fields: dict[str, str | None], where: str) -> None:
        self._fields = fields
        self.where = where

    def text(self, column: str) -> str:
        """Return a field, empty if there is none."""
        return (self._fields.get(column) or "").strip()

    def whole(self, column: str, rounding: str) -> int:
        """Return a field as a whole number."""
        text = self.text(column)
        try:
            number = Decimal(text)
        except InvalidOperation:
            number = Decimal("nan")
        if not (number.is_finite() and 0 <= number <= _MOST):
            raise TraceError(
                f"{self.where}: {column} is {text!r}; give a number from 0 to {_MOST:.0e}"
            )
        return int(number.to_integral_value(rounding))


def parse_nodes(lines: Iterable[str], name: str) -> list[State]:
    """Return the nodes in the file's order; `name` is what messages call the file."""
    return [
        State(
            row.whole("cpu_milli", ROUND_FLOOR),
            row.whole("memory_mib", ROUND_FLOOR),
            row.whole("gpu", ROUND_FLOOR),
            row.text("model"),
        )
        for row in _rows(lines, name, NODE_COLUMNS)
    ]


def parse_pods(lines: Iterable[str], name: str) -> list[Task]:
    """Return the tasks in order of their arrival; `name` is what messages call the file."""
    rows = list(_rows(lines, name, POD_COLUMNS, ordered_by="creation_time"))
    return [
        Task(
            row.whole("cpu_milli", ROUND_CEILING),
            row.whole("memory_mib", ROUND_CEILING),
            row.whole("num_gpu", ROUND_CEILING),
            frozenset(filter(None, map(str.strip, row.text("gpu_spec").split("|")))),
        )
        for row in rows
    ]


def _rows(
    lines: Iterable[str], name: str, needed: tuple[str, ...], ordered_by: str = ""
) -> Iterator[_Row]:
    """Return a file's rows, those that came first first."""
    reader = csv.DictReader(lines)
    try:
        header = reader.fieldnames or ()
        if not header:
            raise TraceError(f"{name}: the file is empty; its first line must name the columns")
        missing = [column for column in needed if column not in header]
        if missing:
            raise TraceError(
                f"{name}:1: no column {missing[0]}; the first line must name at least {', '.join(needed)}"
            )
        rows = []
        for fields in reader:
            where = f"{name}:{reader.line_num}"
            if None in fields or None in fields.values():
                raise TraceError(f"{where}: the line must have {len(header)} fields, as line 1 has")
            rows.append(_Row(fields, where))
    except csv.Error as error:
        raise TraceError(f"{name}:{reader.line_num}: {error}; give a CSV file") from error
    if not rows:
        raise TraceError(f"{name}: nothing follows the first line; give at least one row")
    if ordered_by in header:
        rows.sort(key=lambda row: row.whole(ordered_by, ROUND_FLOOR))
    yield from rows
