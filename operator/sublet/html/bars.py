"""Bars that lie side by side: a few amounts of each of some things, with their numbers written beside them."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from markupsafe import Markup

from sublet.html.markup import tag
from sublet.html.style import LOOKS

WIDTH: Final = 360
"""A phone's: on a wide screen charts stand side by side. One for all charts, so that text is as large in each."""
_BAR: Final = 16
_LOSS: Final = LOOKS[3]
_GAP: Final = 6
_TEXT: Final = 18
_NUMBERS: Final = 120
"""Room for the written amount."""


class Bar(NamedTuple):
    """One amount: how long it is, and how it is written."""

    length: float
    text: str


class Group(NamedTuple):
    """One thing and its amounts, in the order of the looks."""

    name: str
    bars: tuple[Bar, ...]


def bars(title: str, words: str, groups: Sequence[Group]) -> Markup:
    """Return a chart; `words` say what it shows to whoever can't see it. Amounts below 0 go to the left."""
    least = min((b.length for g in groups for b in g.bars), default=0.0)
    most = max((b.length for g in groups for b in g.bars), default=0.0)
    low, high = min(0.0, least), max(0.0, most)
    scale = (WIDTH - _NUMBERS) / (high - low or 1.0)
    zero = -low * scale
    parts, y = [], 0
    for group in groups:
        parts.append(tag("text", group.name, x=0, y=y + 13))
        y += _TEXT
        for look, bar in zip(LOOKS, group.bars, strict=False):
            parts += _bar(look, bar, (zero, scale), y)
            y += _BAR + 2
        y += _GAP
    axis = tag("line", class_="axis", x1=_number(zero), x2=_number(zero), y1=0, y2=y)
    return chart(title, words, (WIDTH, max(y, 1)), [axis, *parts])


def chart(title: str, words: str, size: tuple[int, int], parts: Sequence[Markup]) -> Markup:
    """Return an image that says what it shows."""
    return tag(
        "svg",
        *parts,
        class_="chart",
        viewBox=f"0 0 {size[0]} {size[1]}",
        role="img",
        aria_label=f"{title}. {words}",
    )


def _bar(look: str, bar: Bar, place: tuple[float, float], y: int) -> list[Markup]:
    zero, scale = place
    end = zero + bar.length * scale
    left, right = min(zero, end), max(zero, end)
    shape = tag(
        "rect",
        class_=look if bar.length >= 0 else _LOSS,
        x=_number(left),
        y=y,
        width=_number(max(right - left, 0.5)),
        height=_BAR - 2,
    )
    return [shape, tag("text", bar.text, x=_number(right + 6), y=y + _BAR - 4)]


def _number(value: float) -> str:
    return f"{value:.1f}"
