"""The lines that a statement's object shows: no more than it has room for, and always adding up to its total. Pure.

What has no room is told in fewer lines: first without tags, then corrections without their classes, then all lines, and at last
corrections of all months together.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import Final

from sublet.api.gpustatement import MOST_LINES, StatementLine
from sublet.api.times import MS_PER_HOUR
from sublet.rating.books import Books
from sublet.rating.statement import Line, LineKey, Part

_PLACES: Final = 6


@dataclass(frozen=True, slots=True)
class Shown:
    """Lines, and how they were made to fit."""

    lines: tuple[StatementLine, ...]
    without_tags: bool
    folded: bool


def shown(books: Books, lines: Sequence[Line]) -> Shown:
    """Return a statement's lines, as finely as there is room for."""
    if sum(len(line.parts) for line in lines) <= MOST_LINES:
        return Shown(tuple(x for line in lines for x in _said(books, line)), False, False)
    first_month = min((x.key.corrects for x in lines if x.key.corrects), default="")
    folds: tuple[Callable[[LineKey], LineKey], ...] = (
        lambda key: key,
        lambda key: _whole_category(key) if key.corrects else key,
        _whole_category,
        lambda key: _whole_category(key)._replace(corrects=key.corrects and first_month),
    )
    folded = (_folded(lines, fold) for fold in folds)
    fits = next(some for some in folded if len(some) <= MOST_LINES)
    made = tuple(x for line in fits for x in _said(books, line))
    return Shown(made, True, len(made) < len(lines))


def _whole_category(key: LineKey) -> LineKey:
    return key._replace(namespace="", class_name="", is_priced=True)


def _folded(lines: Sequence[Line], fold: Callable[[LineKey], LineKey]) -> list[Line]:
    """Return lines that the fold makes alike as one each, without tags."""
    by_key: dict[LineKey, list[Line]] = defaultdict(list)
    for line in lines:
        by_key[fold(line.key)].append(line)
    return [_sum(key, by_key[key]) for key in sorted(by_key)]


def _sum(key: LineKey, lines: Sequence[Line]) -> Line:
    gpu_milliseconds = sum(x.gpu_milliseconds for x in lines)
    listed = sum((x.listed for x in lines), Decimal(0))
    amount = sum((x.amount for x in lines), Decimal(0))
    prices = {x.unit_price for x in lines}
    return replace(
        lines[0],
        key=key,
        gpu_milliseconds=gpu_milliseconds,
        unit_price=prices.pop() if len(prices) == 1 else None,
        listed=listed,
        amount=amount,
        exact=sum((x.exact for x in lines), Fraction(0)),
        parts=(Part("", gpu_milliseconds, listed, amount),),
    )


def _said(books: Books, line: Line) -> Iterator[StatementLine]:
    price = line.unit_price
    for part in line.parts:
        yield StatementLine(
            category=line.key.category.value,
            class_name=line.key.class_name or None,
            corrects=line.key.corrects or None,
            tags=json.loads(books.text(part.tags_hash)) if part.tags_hash else {},
            gpu_hours=_decimal(Decimal(part.gpu_milliseconds) / MS_PER_HOUR),
            gpu_milliseconds=part.gpu_milliseconds,
            unit_price=None if price is None else _decimal(Decimal(price.numerator) / price.denominator),
            list_amount=format(part.listed, "f"),
            amount=format(part.amount, "f"),
        )  # fmt: skip


def _decimal(value: Decimal) -> str:
    return format(round(value, _PLACES), "f")
