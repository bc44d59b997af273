"""Columns over time: each is piled up of a few parts, with a line for what they are measured against."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from markupsafe import Markup

from sublet.html.bars import chart
from sublet.html.markup import tag
from sublet.html.style import LOOKS

_WIDTH: Final = 400
_HEIGHT: Final = 180
_LEFT: Final = 48
_BELOW: Final = 24


class Pile(NamedTuple):
    """One stretch of time: its name, its parts from below, and the mark that they are measured against."""

    name: str
    parts: tuple[float, ...]
    mark: float


def columns(title: str, words: str, piles: Sequence[Pile]) -> Markup:
    """Return a chart; `words` say what it shows to whoever can't see it."""
    top = max((max(sum(p.parts), p.mark) for p in piles), default=0.0) or 1.0
    scale = (_HEIGHT - 10) / top
    width = (_WIDTH - _LEFT) / max(len(piles), 1)
    shapes = [_grid(top, scale)]
    for index, pile in enumerate(piles):
        x, y = _LEFT + index * width, float(_HEIGHT)
        parts = []
        for look, part in zip(LOOKS, pile.parts, strict=False):
            height = part * scale
            y -= height
            if height > 0:
                parts.append(_block(look, (x, width), (y, height)))
        # browsers show a group's title when somebody points at it
        shapes.append(tag("g", tag("title", pile.name), *parts))
    shapes.append(_mark(piles, width, scale))
    shapes += _names(piles, width)
    return chart(title, words, (_WIDTH, _HEIGHT + _BELOW), shapes)


def _block(look: str, across: tuple[float, float], up: tuple[float, float]) -> Markup:
    (x, width), (y, height) = across, up
    gap = min(2.0, width / 5)
    return tag(
        "rect",
        class_=look,
        x=f"{x + gap / 2:.1f}",
        y=f"{y:.1f}",
        width=f"{width - gap:.1f}",
        height=f"{height:.1f}",
    )


def _grid(top: float, scale: float) -> Markup:
    lines = []
    for value in (0.0, top / 2, top):
        y = _HEIGHT - value * scale
        lines += [
            tag("line", class_="axis", x1=_LEFT, x2=_WIDTH, y1=f"{y:.1f}", y2=f"{y:.1f}"),
            tag("text", f"{value:g}", x=_LEFT - 6, y=f"{y + 4:.1f}", text_anchor="end"),
        ]
    return tag("g", *lines)


def _mark(piles: Sequence[Pile], width: float, scale: float) -> Markup:
    """Draw the mark as a line of steps."""
    steps: list[str] = []
    for index, pile in enumerate(piles):
        x, y = _LEFT + index * width, _HEIGHT - pile.mark * scale
        steps.append(f"{'L' if steps else 'M'}{x:.1f} {y:.1f}H{x + width:.1f}")
    return tag("path", class_="mark", d="".join(steps) or "M0 0")


def _names(piles: Sequence[Pile], width: float) -> list[Markup]:
    """Write the first name, the last one, and one in the middle if there is room."""
    if not piles:
        return []
    last = len(piles) - 1
    wanted = {0: "start", last // 2: "middle", last: "end"} if last > 1 else {0: "start"}
    return [
        tag(
            "text",
            piles[index].name,
            x=f"{_LEFT + (index + {'start': 0, 'middle': 0.5, 'end': 1}[anchor]) * width:.1f}",
            y=_HEIGHT + 16,
            text_anchor=anchor,
        )
        for index, anchor in wanted.items()
    ]
