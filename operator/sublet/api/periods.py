"""Budget periods: stretches of the calendar in UTC, each made of whole months. Pure.

Months are the smallest piece, so that what was spent is added up once per month and any period is a sum of them.
"""

from datetime import MAXYEAR, UTC, datetime
from enum import StrEnum
from typing import Final

from sublet.api.times import MS_PER_SECOND, Millis, to_millis

_MONTHS_IN_YEAR: Final = 12
_FIRST_YEAR: Final = 1970
_END_OF_CALENDAR: Final = (MAXYEAR + 1 - _FIRST_YEAR) * _MONTHS_IN_YEAR


class BudgetPeriod(StrEnum):
    """After which time a budget is there anew."""

    MONTH = "Month"
    QUARTER = "Quarter"
    YEAR = "Year"
    TOTAL = "Total"


_MONTHS: Final = {BudgetPeriod.MONTH: 1, BudgetPeriod.QUARTER: 3, BudgetPeriod.YEAR: 12}


def month_of(at_ms: Millis) -> int:
    """Return the number of an instant's month, counted from January 1970."""
    day = datetime.fromtimestamp(at_ms // MS_PER_SECOND, tz=UTC)
    return (day.year - _FIRST_YEAR) * _MONTHS_IN_YEAR + day.month - 1


def month_start(number: int) -> Millis:
    """Return when a month begins."""
    years, months = divmod(number, _MONTHS_IN_YEAR)
    return to_millis(datetime(_FIRST_YEAR + years, months + 1, 1, tzinfo=UTC))


def period_start(period: BudgetPeriod, at_ms: Millis) -> Millis:
    """Return when the period that holds an instant begins; the epoch for Total."""
    if (months := _MONTHS.get(period)) is None:
        return Millis(0)
    return month_start(month_of(at_ms) // months * months)


def period_end(period: BudgetPeriod, at_ms: Millis) -> Millis | None:
    """Return when the period that holds an instant is over, None for Total and for the calendar's last one."""
    if (months := _MONTHS.get(period)) is None:
        return None
    following = (month_of(at_ms) // months + 1) * months
    return month_start(following) if following < _END_OF_CALENDAR else None
