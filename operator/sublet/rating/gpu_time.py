"""What a tenant owes for GPUs that it had, and for windows that it gave up too late: time at a price. Pure.

Cut where a cell of the grid begins and where a price does; a month's sum is the same over any grid.
"""

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import pairwise

from sublet.api.times import Millis
from sublet.rating.books import Lined
from sublet.rating.calendar import Span
from sublet.rating.grid import Cells
from sublet.rating.model import Category, Charge
from sublet.rating.money import owed
from sublet.rating.prices import Price
from sublet.rating.tenancy import Tenancy


def time_charges(
    tenancy: Tenancy, lines: Iterable[Lined], category: Category, cells: Cells
) -> Iterator[Charge]:
    """Yield what is owed for intervals within some cells; those that last are metered to the cells' end."""
    for lined in lines:
        for within, price in _priced(tenancy, lined, cells.span, cells):
            quantity = lined.interval.gpu_milliseconds(*within)
            yield tenancy.priced(lined, category, within, quantity, price)


def cost_of(tenancy: Tenancy, lines: Iterable[Lined], span: Span) -> Fraction:
    """Return what the GPU time of intervals costs within a span, exact."""
    return sum(
        (
            owed(lined.interval.gpu_milliseconds(*within), price.charged)
            for lined in lines
            for within, price in _priced(tenancy, lined, span)
        ),
        Fraction(0),
    )


def _priced(
    tenancy: Tenancy, lined: Lined, span: Span, cells: Cells | None = None
) -> Iterator[tuple[Span, Price]]:
    """Yield the parts of an interval with one price each, in one cell each if there are some."""
    interval = lined.interval
    start = max(interval.start_ms, span.from_ms)
    end = span.to_ms if interval.end_ms is None else min(interval.end_ms, span.to_ms)
    if start >= end:
        return
    prices, _ = tenancy.price_of(interval)
    edges: Sequence[Millis] = prices.edges_in(start, end)
    inner = cells.edges_in(start, end) if cells is not None else ()
    begins = [start, *(sorted({*edges, *inner}) if edges else inner)]
    for (begin, until), price in zip(pairwise([*begins, end]), prices.walk(begins), strict=True):
        yield Span(begin, until), price
