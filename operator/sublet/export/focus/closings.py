"""Which line of the ledger closed each month of the landlords' files: no later line changes that. Pure.

It is the line with which every tenant that owed anything by then has closed the month, or a later month.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

from sublet.api.ids import TenantUID
from sublet.ledger.entry import Entry, EntryKind
from sublet.rating.books import Books
from sublet.rating.calendar import month_at
from sublet.rating.report import UTC_CUT
from sublet.rating.tenancy import month_of

_EVER: Final = 2**63
Debts = Mapping[tuple[TenantUID, int], int]
"""(tenant, line that took it back) -> first line that says that it owes something"""


def closings(books: Books) -> dict[str, Entry]:
    """Return the line that closed each month, in the order of lines: month -> line."""
    debts, lines = _debts(books), _lines(books)
    ends: list[Entry] = []
    found: dict[str, Entry] = {}
    for month in sorted(lines, reverse=True):
        ends += _end(lines[month], _joined(of for since, of in debts.items() if since <= month))
        later = [line for line in ends if line.seq >= lines[month][0].seq]
        if later:
            found[month] = min(later, key=lambda line: line.seq)
    return dict(sorted(found.items(), key=lambda item: (item[1].seq, item[0])))


def _lines(books: Books) -> dict[str, list[Entry]]:
    """Return the lines that closed a month for a tenant, the first of each, in their order: month -> lines."""
    found: dict[str, dict[TenantUID, Entry]] = defaultdict(dict)
    for uid, lines in books.periods.items():
        for line in lines:
            found[month_of(line)].setdefault(uid, line)
    return {month: sorted(of.values(), key=lambda x: x.seq) for month, of in found.items()}


def _debts(books: Books) -> Mapping[str, Debts]:
    """Return by which lines tenants owed something, by month of UTC.

    What lasts no time is owed for until that is known, if a month was closed meanwhile.
    """
    closed = sorted(line.seq for lines in books.periods.values() for line in lines)
    found: dict[str, dict[tuple[TenantUID, int], int]] = defaultdict(dict)
    for interval, first_seq, last_seq in books.intervals(EntryKind.BOUND, EntryKind.CANCELLED):
        of, uid = found[month_at(UTC_CUT, interval.start_ms)], interval.tenant_uid
        if interval.end_ms != interval.start_ms:
            of.setdefault((uid, _EVER), first_seq)  # they come by their first lines
        elif bisect_left(closed, first_seq) != bisect_left(closed, last_seq):
            of.setdefault((uid, last_seq), first_seq)
    for entry, said in books.adjustments:
        key = (entry.fact.tenant_uid, _EVER)
        found[said.period][key] = min(entry.seq, found[said.period].get(key, _EVER))
    return found


def _joined(of_months: Iterable[Debts]) -> Debts:
    found: dict[tuple[TenantUID, int], int] = {}
    for of in of_months:
        for key, seq in of.items():
            found[key] = min(seq, found.get(key, _EVER))
    return found


def _end(lines: list[Entry], debts: Debts) -> list[Entry]:
    """Return the first line with which nobody's month is open who owed anything by then, if there is one."""
    closed: set[TenantUID] = set()
    for line in lines:
        closed.add(line.fact.tenant_uid)
        owing = (uid for (uid, until), since in debts.items() if since <= line.seq < until)
        if closed.issuperset(owing):
            return [line]
    return []
