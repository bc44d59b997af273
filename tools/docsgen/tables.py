"""Markdown tables whose cells may hold any text. Pure."""

from collections.abc import Iterable, Sequence


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table, each row on one line."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"|{'|'.join(_cell(c) for c in line)}|\n" for line in lines)


def code(text: str) -> str:
    """Return text as it is typed."""
    return f"`{' '.join(text.split())}`"


def _cell(text: str) -> str:
    if text == "---":
        return text
    flat = " ".join(text.split())
    return f" {flat.replace('|', chr(92) + '|')} " if flat else "  "
