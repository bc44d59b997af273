"""How results are shown: a table for people, JSON or YAML for programs, CSV for spreadsheets."""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import yaml
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from sublet.cli.choices import Format
from sublet.cli.lines import one_line

_GAP: Final = "   "
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
"""With these a spreadsheet takes a text for a formula."""


def show_data(data: Any, form: Format) -> bool:
    """Print `data` if a program's format was asked for; return whether it was."""
    if form is Format.JSON:
        print(json.dumps(data, indent=2))
    elif form is Format.YAML:
        print(yaml.safe_dump(data, sort_keys=False), end="")
    else:
        return False
    return True


def show_rows(
    data: Any,
    form: Format,
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
    *,
    title: str = "",
) -> None:
    """Print one result in the format that was asked for: `data` for programs, rows for people and spreadsheets."""
    if show_data(data, form):
        return
    if form is Format.CSV:
        print(csv_text(columns, rows), end="")
        return
    if title:
        print(title)
    show_table(columns, rows)


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return rows as CSV with a line of column names; no text in it is taken for a formula."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_plain(cell) for cell in row] for row in rows)
    return out.getvalue()


def show_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table as kubectl does: no lines, columns in capitals; bold on a terminal, and never cut."""
    # laid out here: the library weighs each cell's styles, which takes most of a second for a thousand claims
    cells = [["" if cell is None else one_line(str(cell)) for cell in row] for row in rows]
    head = [column.upper() for column in columns]
    widths = [max(map(cell_len, column)) for column in zip(head, *cells, strict=True)]
    screen = Console(highlight=False)
    with screen.capture() as captured:
        screen.print(Text(_laid_out(head, widths), style="bold"), soft_wrap=True, end="")
    print("\n".join([captured.get(), *(_laid_out(row, widths) for row in cells)]))


def show_fields(fields: Mapping[str, object]) -> None:
    """Print `name: value` lines, values in one column; a value of several lines stays in it."""
    shown = {name: value for name, value in fields.items() if value not in (None, "")}
    width = max((len(name) for name in shown), default=0) + 2
    for name, value in shown.items():
        lines = map(one_line, str(value).split("\n"))
        print(f"{name + ':':<{width}}" + ("\n" + " " * width).join(lines))


def _laid_out(cells: Sequence[str], widths: Sequence[int]) -> str:
    parts = (c + " " * (w - cell_len(c)) for c, w in zip(cells, widths, strict=True))
    return _GAP.join(parts).rstrip()


def _plain(cell: object) -> object:
    if not isinstance(cell, str) or not cell.startswith(_FORMULA):
        return cell
    try:
        Decimal(cell)
    except InvalidOperation:
        return f"'{cell}"
    return cell
