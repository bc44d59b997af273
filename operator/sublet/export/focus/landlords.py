"""The landlords' months out of one state of the ledger, made lease by lease. Pure.

A closed month is made of the ledger as it was when the month was closed, for ever. What the ledger says otherwise by now is
corrected in the first month that isn't closed: the files of all months come to what is owed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from sublet.api.billing import LeaseBilling
from sublet.api.ids import LeaseUID
from sublet.api.times import Millis
from sublet.export.focus.account import Period
from sublet.export.focus.closings import closings
from sublet.export.focus.corrected import Corrected, corrected
from sublet.export.focus.steps import by_step
from sublet.ledger.entry import Entry
from sublet.rating.books import Books
from sublet.rating.calendar import Span, month_at, month_span, next_month
from sublet.rating.earlier import contracts_at, leases_at, said_since
from sublet.rating.grid import Cells, Grid, cut_by, until
from sublet.rating.model import Cell
from sublet.rating.report import UTC_CUT
from sublet.rating.supply import Supply, supplies_of
from sublet.rating.uses import Extra, extras
from sublet.rating.wholesale import cells


@dataclass(frozen=True, slots=True)
class LeasePeriod:
    """One lease's cells in a period of its own contract, what its landlord adds to uses that ended in it, and what is corrected in it."""

    lease_uid: LeaseUID
    period: Period
    cells: Sequence[Cell]
    extras: Sequence[Extra] = ()
    corrections: Sequence[Corrected] = ()


class Landlords:
    """What is owed to landlords, month by month."""

    def __init__(self, books: Books, as_of_ms: Millis) -> None:
        self._books, self._as_of_ms = books, as_of_ms
        self._closings = closings(books)
        self._agreed = {m: contracts_at(books, x).leases for m, x in self._closings.items()}
        """month -> what was agreed when it was closed"""

    def closing(self, month: str) -> Entry | None:
        """Return the line that closed a month, which its files are made of; None while it is open."""
        return self._closings.get(month) if self._over_ms(month) <= self._as_of_ms else None

    def period(self, month: str) -> Period:
        """Return the month (of UTC) that files are called by, metered until the last lease's own month is over."""
        as_of = Millis(min(self._as_of_ms, self._over_ms(month)))
        is_closed = self.closing(month) is not None
        return Period(month, month_span(UTC_CUT, month), is_closed, as_of)

    def books(self, month: str) -> Books:
        """Return what a month's files are made of."""
        line = self.closing(month)
        return self._books if line is None else leases_at(self._books, line)

    def of_leases(self, month: str, grid: Grid) -> Iterator[LeasePeriod]:
        """Yield the month of each lease that had any GPU time in it, or in which a month before is corrected."""
        period, books = self.period(month), self.books(month)
        before = self._corrects(month)
        late = self._late(books, before)
        billed = supplies_of(leases_at(books, before[-1][1])) if late else {}
        for uid, each in supplies_of(books).items():
            supply, own = by_step(each), self._own(uid, period)
            was = by_step(billed[uid]) if uid in billed else None
            corrections = (corrected(m, self._span(uid, m), supply, was) for m in late.get(uid, ()))
            made = LeasePeriod(
                uid,
                own,
                cells(supply, own.span, grid, own.as_of_ms),
                _extras(supply, own, grid),
                [each for each in corrections if each is not None],
            )
            if made.cells or made.extras or made.corrections:
                yield made

    def _corrects(self, month: str) -> list[tuple[str, Entry]]:
        """Return which months are corrected in one, in the order in which they were closed: those before it, or if it is open all.

        Of open months it is the first one after those that are closed.
        """
        order = list(self._closings.items())
        if self.closing(month) is not None:
            return order[: list(self._closings).index(month)]
        closed = [x for x in order if self.closing(x[0]) is not None]
        newest = max((m for m, _ in closed), default="")
        return closed if newest and month == next_month(newest) else []

    def _late(
        self, books: Books, before: Sequence[tuple[str, Entry]]
    ) -> dict[LeaseUID, Sequence[str]]:
        """Return the closed months of each lease that lines after the last closing speak of."""
        late = said_since(books, before[-1][1]) if before else {}
        months = {
            uid: [m for m, _ in before if at <= self._span(uid, m).to_ms]
            for uid, at in late.items()
            if uid in books.leases
        }
        return {uid: of for uid, of in months.items() if of}

    def _own(self, uid: LeaseUID, period: Period) -> Period:
        """Return the same month as the lease's contract cuts it."""
        span = self._span(uid, period.month)
        return Period(
            period.month, span, period.is_closed, Millis(min(period.as_of_ms, span.to_ms))
        )

    def _span(self, uid: LeaseUID, month: str) -> Span:
        """Return a lease's own month: as it was closed, or as it will be; it begins where one that was closed before it ended."""
        span, before = month_span(self._cut(uid, month), month), _month_before(month)
        line, earlier = self._closings.get(month), self._closings.get(before)
        if earlier is None or (line is not None and line.seq < earlier.seq):
            return span
        begin = month_span(self._cut(uid, before), before).to_ms
        return Span(begin, Millis(max(begin, span.to_ms)))

    def _cut(self, uid: LeaseUID, month: str) -> LeaseBilling:
        """Return how a lease cut a month when it was closed, or cuts it now; a lease that came later, as it did at first."""
        if month not in self._closings:
            return self._books.leases[uid].billing
        terms = self._agreed[month].get(uid)
        return (terms or self._books.contracts[uid][0].terms).billing

    def _over_ms(self, month: str) -> Millis:
        leases = self._agreed.get(month, self._books.leases).values()
        cuts = (UTC_CUT, *(terms.billing for terms in leases))
        return max(month_span(cut, month).to_ms for cut in cuts)


def _month_before(month: str) -> str:
    return month_at(UTC_CUT, Millis(month_span(UTC_CUT, month).from_ms - 1))


def _extras(supply: Supply, own: Period, grid: Grid) -> list[Extra]:
    """Return what is added to uses, each in the cell of its last millisecond: a use may have begun a month before."""
    added = extras(supply, own.span, own.as_of_ms)
    if not added:
        return []
    cut = Cells(cut_by(grid, supply.terms.billing, until(own.span, own.as_of_ms)))
    begins = (cut.at(Millis(x.to_ms - 1)).from_ms for x in added)
    return [
        replace(x, from_ms=max(x.from_ms, begin)) for x, begin in zip(added, begins, strict=True)
    ]
