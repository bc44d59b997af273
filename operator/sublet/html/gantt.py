"""Bars along time: who has what from when to when, one below the other, on the same axis as the columns of `columns`."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from markupsafe import Markup

from sublet.html.bars import WIDTH, chart
from sublet.html.columns import LEFT
from sublet.html.markup import tag

_ROW: Final = 34
_BAR: Final = 12
_BELOW: Final = 20
_LETTERS: Final = 32
"""Of a name, so that what is written of it has room on the same line."""


class Stretch(NamedTuple):
    """One bar: its name, what is written of it, its look, and where it lies, as shares of the time that is shown."""

    name: str
    words: str
    look: str
    begin: float
    end: float


def gantt(title: str, words: str, stretches: Sequence[Stretch], ends: tuple[str, str]) -> Markup:
    """Return a chart of some time, whose `ends` are named below it; what lies outside is cut off."""
    parts = []
    for row, each in enumerate(stretches):
        y = row * _ROW
        left, right = (
            LEFT + min(max(x, 0.0), 1.0) * (WIDTH - LEFT) for x in (each.begin, each.end)
        )
        parts += [
            tag("text", f"{_short(each.name)}: {each.words}", x=LEFT, y=y + 13),
            tag(
                "rect", class_=each.look, x=f"{left:.1f}", y=y + 18,
                width=f"{max(right - left, 1.0):.1f}", height=_BAR,
            ),
        ]  # fmt: skip
    bottom = len(stretches) * _ROW + _BELOW
    first, last = ends
    parts += [
        tag("text", first, x=LEFT, y=bottom - 4),
        tag("text", last, x=WIDTH, y=bottom - 4, text_anchor="end"),
    ]
    return chart(title, words, (WIDTH, bottom), parts)


def _short(name: str) -> str:
    return name if len(name) <= _LETTERS else f"{name[: _LETTERS - 1]}…"
