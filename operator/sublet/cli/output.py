"""How results are shown: a table for people, JSON or YAML for programs."""

import json
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any, Final

import typer
import yaml
from rich.console import Console
from rich.table import Table
from rich.text import Text

_WIDEST: Final = 10_000


class Format(StrEnum):
    """What `-o` takes."""

    TABLE = "table"
    WIDE = "wide"
    JSON = "json"
    YAML = "yaml"


FormatOption = Annotated[
    Format,
    typer.Option(
        "-o",
        "--output",
        metavar="FORMAT",
        help="table, wide (a table that says more), json or yaml.",
    ),
]


def show_data(data: Any, form: Format) -> bool:
    """Print `data` if a program's format was asked for; return whether it was."""
    if form is Format.JSON:
        print(json.dumps(data, indent=2))
    elif form is Format.YAML:
        print(yaml.safe_dump(data, sort_keys=False), end="")
    else:
        return False
    return True


def show_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table as kubectl does: no lines, columns in capitals; bold on a terminal, and never cut."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 3, 0, 0))
    for column in columns:
        table.add_column(column.upper(), no_wrap=True)
    for row in rows:
        table.add_row(*("" if cell is None else Text(str(cell)) for cell in row))
    screen = Console(width=_WIDEST, highlight=False)
    with screen.capture() as captured:
        screen.print(table)
    print("\n".join(line.rstrip() for line in captured.get().splitlines()))


def show_fields(fields: Mapping[str, object]) -> None:
    """Print `name: value` lines, values in one column; a value of several lines stays in it."""
    shown = {name: value for name, value in fields.items() if value not in (None, "")}
    width = max((len(name) for name in shown), default=0) + 2
    for name, value in shown.items():
        print(f"{name + ':':<{width}}" + str(value).replace("\n", "\n" + " " * width))
