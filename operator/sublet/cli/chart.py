"""A chart of supply and demand in characters: time to the right, GPUs upwards. Colours on a terminal only."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from rich.console import Console
from rich.text import Text

from sublet.api.times import Millis, format_instant
from sublet.pages.supply import Counts, Line

HEIGHT: Final = 10
_LABEL: Final = 8
_WIDEST: Final = 120
_NARROWEST: Final = 30

_LOOKS: Final = {
    "held": ("█", "blue"),
    "free": ("░", "green"),
    "beyond": ("▒", "red"),
    "unsellable": ("·", "bright_black"),
}  # what it is -> character, colour
_WORDS: Final = {
    "held": "held by claims",
    "free": "free",
    "unsellable": "committed, can't be sold",
    "beyond": "held beyond what can be sold",
}


def show_chart(line: Line, from_ms: Millis, to_ms: Millis) -> None:
    """Print the chart; each column shows the instant at which least is free in it."""
    screen = Console(highlight=False)
    width = max(_NARROWEST, min(_WIDEST, screen.width)) - _LABEL
    edges = [Millis(from_ms + (to_ms - from_ms) * i // width) for i in range(width + 1)]
    columns = [line.tightest(a, b).counts for a, b in pairwise(edges)]
    for row in rows(columns):
        print(_drawn(screen, row))
    print(" " * _LABEL + _axis(edges))
    parts = [part for word in _WORDS for part in (_mark(word), Text(f" {_WORDS[word]}   "))]
    print(_drawn(screen, Text.assemble(*parts)))


def rows(columns: Sequence[Counts]) -> list[Text]:
    """Return the chart's rows from the top, each with its height written in front."""
    top = max((max(c.committed, c.sellable, c.held) for c in columns), default=0) or 1
    made = []
    for row in range(HEIGHT, 0, -1):
        # a row is filled if more than half of it is reached, and whatever there is shows in the lowest one
        reached = top * (row - 0.5) / HEIGHT if row > 1 else 1
        is_named = row in (HEIGHT, HEIGHT // 2)
        name = f"{top * row // HEIGHT:,}" if is_named else ""
        text = Text(f"{name:>{_LABEL - 2}} │" if is_named else " " * (_LABEL - 1) + "│")
        for counts in columns:
            text.append_text(_mark(_what(counts, reached)))
        made.append(text)
    return made


def _what(counts: Counts, reached: float) -> str:
    if counts.held >= reached:
        return "held" if counts.sellable >= reached else "beyond"
    if counts.sellable >= reached:
        return "free"
    return "unsellable" if counts.committed >= reached else ""


def _mark(what: str) -> Text:
    return Text(*_LOOKS[what]) if what else Text(" ")


def _axis(edges: Sequence[Millis]) -> str:
    first, middle, last = (format_instant(edges[i])[:10] for i in (0, len(edges) // 2, -1))
    width = len(edges) - 1
    return f"{first}{middle:^{width - len(first) - len(last)}}{last}"


def _drawn(screen: Console, text: Text) -> str:
    with screen.capture() as captured:
        screen.print(text, soft_wrap=True)
    return captured.get().rstrip("\n").rstrip(" ")
