"""What a closed month would be for a landlord by now less what was billed for it so far. Pure.

Uncut: one time for all states of a phase at a price, so that what was bought and what became of it still stand together.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import NamedTuple, TypeVar

from sublet.api.times import Millis
from sublet.rating.calendar import Span
from sublet.rating.grid import Grid
from sublet.rating.model import Cell, LeaseState
from sublet.rating.money import owed
from sublet.rating.supply import Supply
from sublet.rating.uses import Extra, extras
from sublet.rating.wholesale import cells

T = TypeVar("T", Cell, Extra)


@dataclass(frozen=True, slots=True)
class Corrected:
    """What is owed more for a closed month of a lease, or below 0 less."""

    month: str
    cells: Sequence[Cell]
    extras: Sequence[Extra]


class _Key(NamedTuple):
    """What has one price, within one phase."""

    commitment_id: str
    price: Decimal
    currency: str


def corrected(month: str, span: Span, now: Supply, billed: Supply | None) -> Corrected | None:
    """Return what a lease's closed month is otherwise by now; None if it isn't. What was billed so far is of an earlier line."""
    whole = [x for x in (now, billed) if x is not None]
    held = [cells(x, span, Grid.NONE, span.to_ms) for x in whole]
    added = [extras(x, span, span.to_ms) for x in whole]
    found = Corrected(month, tuple(_cells(held)), tuple(_extras(added, span)))
    return found if found.cells or found.extras else None


def _cells(given: Sequence[Sequence[Cell]]) -> Iterator[Cell]:
    for of in _by_key(given).values():
        more: dict[LeaseState, int] = defaultdict(int)
        for sign, cell in of:
            more[cell.state] += sign * cell.gpu_milliseconds
        like = _over(of)
        for state, quantity in more.items():
            if quantity:
                amount = owed(quantity, like.price)
                yield replace(like, state=state, gpu_milliseconds=quantity, amount=amount)


def _extras(given: Sequence[Sequence[Extra]], span: Span) -> Iterator[Extra]:
    for of in _by_key(given).values():
        quantity = sum(sign * extra.gpu_milliseconds for sign, extra in of)
        like = _over(of)
        if quantity:
            amount, begin = owed(quantity, like.price), max(like.from_ms, span.from_ms)
            yield replace(like, from_ms=begin, gpu_milliseconds=quantity, amount=amount)


def _by_key(given: Sequence[Iterable[T]]) -> dict[_Key, list[tuple[int, T]]]:
    """Return what is owed now (1) and what was billed (-1) by what has one price."""
    found: dict[_Key, list[tuple[int, T]]] = defaultdict(list)
    for sign, of in zip((1, -1), given, strict=False):
        for each in of:
            found[_Key(each.commitment_id, each.price, each.currency)].append((sign, each))
    return found


def _over(of: Sequence[tuple[int, T]]) -> T:
    """Return one of them, over the time of all."""
    begin, end = min(x.from_ms for _, x in of), max(x.to_ms for _, x in of)
    return replace(of[0][1], from_ms=Millis(begin), to_ms=Millis(end))
