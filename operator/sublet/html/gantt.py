"""Bars along time: who has what from when to when, one below the other."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from markupsafe import Markup

from sublet.html.bars import chart
from sublet.html.markup import tag

_WIDTH: Final = 400
_ROW: Final = 34
_BAR: Final = 12
_BELOW: Final = 20


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
        left, right = (min(max(x, 0.0), 1.0) * _WIDTH for x in (each.begin, each.end))
        parts += [
            tag("text", f"{each.name}: {each.words}", x=0, y=y + 13),
            tag(
                "rect", class_=each.look, x=f"{left:.1f}", y=y + 18,
                width=f"{max(right - left, 1.0):.1f}", height=_BAR,
            ),
        ]  # fmt: skip
    bottom = len(stretches) * _ROW + _BELOW
    first, last = ends
    parts += [
        tag("text", first, x=0, y=bottom - 4),
        tag("text", last, x=_WIDTH, y=bottom - 4, text_anchor="end"),
    ]
    return chart(title, words, (_WIDTH, bottom), parts)
