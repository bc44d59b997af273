"""Columns over time: each is piled up of a few parts, with a line for what they are measured against."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final, NamedTuple

from markupsafe import Markup

from sublet.html.bars import WIDTH, chart
from sublet.html.markup import tag
from sublet.html.style import LOOKS, MARK

LEFT: Final = 48
"""Room for the amounts, left of the time axis."""
_HEIGHT: Final = 160
_BELOW: Final = 24
_NARROW: Final = 8.0
"""Columns that would be narrower stand without gaps, and equal ones that follow each other are one: gaps would flicker."""


class Pile(NamedTuple):
    """One stretch of time: its name, its parts from below, and the mark that they are measured against."""

    name: str
    parts: tuple[float, ...]
    mark: float


class _Run(NamedTuple):
    """Columns that are drawn as one."""

    name: str
    pile: Pile
    begin: float
    end: float


def columns(title: str, words: str, piles: Sequence[Pile]) -> Markup:
    """Return a chart; `words` say what it shows to whoever can't see it."""
    top = max((max(sum(p.parts), p.mark) for p in piles), default=0.0) or 1.0
    scale = (_HEIGHT - 10) / top
    width = (WIDTH - LEFT) / max(len(piles), 1)
    shapes = [_grid(top, scale)]
    gap = min(2.0, width / 5) if width >= _NARROW else 0.0
    runs = list(_runs(piles, width))
    for run in runs:
        y = float(_HEIGHT)
        parts = []
        for look, part in zip(LOOKS, run.pile.parts, strict=False):
            height = part * scale
            y -= height
            if height > 0:
                parts.append(_block(look, (run.begin + gap / 2, run.end - gap / 2), (y, height)))
        # browsers show a group's title when somebody points at it
        shapes.append(tag("g", tag("title", run.name), *parts))
    shapes.append(_mark(runs, scale))
    shapes += _names(piles, width)
    return chart(title, words, (WIDTH, _HEIGHT + _BELOW), shapes)


def _runs(piles: Sequence[Pile], width: float) -> Iterator[_Run]:
    def looks(place: int) -> object:
        return piles[place][1:] if width < _NARROW else place

    for _, group in groupby(range(len(piles)), key=looks):
        places = list(group)
        first, last = places[0], places[-1]
        names = dict.fromkeys((piles[first].name, piles[last].name))
        yield _Run(
            " to ".join(names), piles[first], LEFT + first * width, LEFT + (last + 1) * width
        )


def _block(look: str, across: tuple[float, float], up: tuple[float, float]) -> Markup:
    (left, right), (y, height) = across, up
    return tag(
        "rect",
        class_=look,
        x=f"{left:.1f}",
        y=f"{y:.1f}",
        width=f"{right - left:.1f}",
        height=f"{height:.1f}",
    )


def _grid(top: float, scale: float) -> Markup:
    lines = []
    for value in (0.0, top / 2, top):
        y = _HEIGHT - value * scale
        lines += [
            tag("line", class_="axis", x1=LEFT, x2=WIDTH, y1=f"{y:.1f}", y2=f"{y:.1f}"),
            tag("text", f"{value:g}", x=LEFT - 6, y=f"{y + 4:.1f}", text_anchor="end"),
        ]
    return tag("g", *lines)


def _mark(runs: Sequence[_Run], scale: float) -> Markup:
    """Draw the mark as a line of steps."""
    steps: list[str] = []
    for run in runs:
        y = _HEIGHT - run.pile.mark * scale
        steps.append(f"{'L' if steps else 'M'}{run.begin:.1f} {y:.1f}H{run.end:.1f}")
    return tag("path", class_=MARK, d="".join(steps) or "M0 0")


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
            x=f"{LEFT + (index + {'start': 0, 'middle': 0.5, 'end': 1}[anchor]) * width:.1f}",
            y=_HEIGHT + 16,
            text_anchor=anchor,
        )
        for index, anchor in wanted.items()
    ]
