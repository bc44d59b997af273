"""What a tenant owes beside the time that it used: up to the class's unit, and up to its minimum. Pure.

Once for each run of a claim (`sublet.rating.runs`), when the run is over, in the cell of its last millisecond, at the price
that holds there, on the GPUs that it ended with. Lines of their own: the quantity that was used stays exact.
"""

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction

from sublet.api.billing import Rounding
from sublet.api.times import Millis
from sublet.rating.books import Lined
from sublet.rating.calendar import Span
from sublet.rating.gpu_time import cost_of
from sublet.rating.grid import Cells
from sublet.rating.model import Category, Charge
from sublet.rating.runs import counted, end_of, least, runs_of
from sublet.rating.tenancy import Tenancy


def rounding_charges(tenancy: Tenancy, lines: Iterable[Lined], cells: Cells) -> Iterator[Charge]:
    """Yield what one claim owes for runs that ended in some cells, whose bound intervals are given, all of them."""
    for run in runs_of(lines):
        end = end_of(run)
        if end is None or not cells.span.from_ms < end <= cells.span.to_ms:
            continue
        ending = sorted(
            (x for x in run if x.interval.end_ms == end),
            key=lambda x: (x.interval.sequence, x.interval.lease_uid),
        )
        agreed = tenancy.agreed(ending[-1].interval)
        if agreed is not None and agreed.rounding is not None:
            yield from _rounded(tenancy, run, ending, agreed.rounding, cells)


def _rounded(
    tenancy: Tenancy, run: Sequence[Lined], ending: Sequence[Lined], by: Rounding, cells: Cells
) -> Iterator[Charge]:
    begin, end = min(x.interval.start_ms for x in run), end_of(run)
    assert end is not None  # noqa: S101  the caller asks for runs that are over
    last = Millis(end - 1)
    within = Span(max(begin, cells.at(last).from_ms), end)
    at_least = least(end - begin, by)
    added = (
        (Category.MINIMUM, at_least - (end - begin)),
        (Category.ROUNDING, counted(end - begin, by) - at_least),
    )
    _, currency = tenancy.price_of(ending[-1].interval)
    total = Fraction(0)
    for category, milliseconds in added:
        for lined in ending if milliseconds else ():
            price = tenancy.price_of(lined.interval)[0].at(last)
            quantity = milliseconds * lined.interval.gpus
            made = tenancy.priced(lined, category, within, quantity, price)
            total += made.amount if made.currency == currency else 0
            yield made
    if by.minimum_amount is not None:
        alike = [x for x in run if tenancy.price_of(x.interval)[1] == currency]
        total += cost_of(tenancy, alike, Span(begin, end))
        missing = Fraction(by.minimum_amount) - total
        if missing > 0:
            lines = min(x.first_seq for x in run), max(x.last_seq for x in run)
            yield tenancy.charge(
                ending[-1], Category.MINIMUM, within, listed=missing, amount=missing, lines=lines
            )
