"""When exports are due, and of which months. Pure."""

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from sublet.api.ids import TenantUID
from sublet.api.times import MS_PER_HOUR, Millis
from sublet.export.focus.landlords import Landlords
from sublet.rating.calendar import month_at, next_month
from sublet.rating.periods import first_month
from sublet.rating.report import UTC_CUT
from sublet.rating.tenancy import Tenancy

_MS_PER_DAY: Final = 24 * MS_PER_HOUR
Tenancies = Mapping[TenantUID, Tenancy]


class Wanted(NamedTuple):
    """One folder that should be there."""

    tenancy: Tenancy | None
    """None: the landlords' files."""
    month: str
    is_closed: bool


def last_due(now_ms: Millis, hour: int) -> Millis:
    """Return the last instant at which the hour of the day (UTC) was that."""
    return Millis((now_ms - hour * MS_PER_HOUR) // _MS_PER_DAY * _MS_PER_DAY + hour * MS_PER_HOUR)


def wanted(
    tenancies: Tenancies, landlords: Landlords, as_of_ms: Millis, *, with_open: bool
) -> Iterator[Wanted]:
    """Yield every closed month, and the open ones up to an instant if they are wanted: tenants first, landlords last."""
    earliest = month_at(UTC_CUT, as_of_ms)
    for tenancy in tenancies.values():
        closed, now = tenancy.closed_to, month_at(tenancy.cut, as_of_ms)
        for month in sorted(closed):
            yield Wanted(tenancy, month, is_closed=True)
        first = next_month(max(closed)) if closed else first_month(tenancy)
        if first is None:
            continue
        earliest = min(earliest, first)
        for month in _months(first, now) if with_open else ():
            yield Wanted(tenancy, month, is_closed=False)
    yield from _wholesale(tenancies, landlords, as_of_ms, earliest, with_open=with_open)


def _wholesale(
    tenancies: Tenancies, landlords: Landlords, as_of_ms: Millis, earliest: str, *, with_open: bool
) -> Iterator[Wanted]:
    now = month_at(UTC_CUT, as_of_ms)
    # a lease's own month may end a day and a half later than that of UTC, and the next day's export shows it whole
    before = month_at(UTC_CUT, Millis(as_of_ms - 3 * _MS_PER_DAY))
    known = {month for tenancy in tenancies.values() for month in tenancy.closed_to}
    for month in sorted({*known, *_months(min(earliest, before), now)}):
        is_closed = landlords.closing(month) is not None
        if is_closed or with_open:
            yield Wanted(None, month, is_closed)


def _months(first: str, last: str) -> Iterator[str]:
    while first <= last:
        yield first
        first = next_month(first)
