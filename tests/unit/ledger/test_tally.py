"""What tenants spent per period and held of late: the same as the sum over the whole ledger."""

from hypothesis import given, settings, strategies as st

from sublet.api.ids import LeaseUID, TenantUID
from sublet.api.periods import (
    BudgetPeriod,
    month_of,
    month_start,
    period_end,
    period_start,
)
from sublet.api.times import MS_PER_HOUR, Millis, parse_instant
from sublet.ledger.entry import EntryKind, EntryType
from sublet.ledger.interval import intervals
from sublet.ledger.tally import Tally
from sublet.ledger.usage import By, usage
from tests.unit.ledger.test_usage import PRICE, fact

ACME, WEST = TenantUID("acme"), LeaseUID("west")
DAY = 24 * MS_PER_HOUR
BEGIN = parse_instant("2026-10-20T00:00:00Z")
NOW = parse_instant("2026-12-05T12:00:00Z")
MONTH = period_start(BudgetPeriod.MONTH, NOW)

OPEN, CLOSE = EntryType.OPEN, EntryType.CLOSE
histories = st.lists(
    st.tuples(st.integers(1, 64), st.integers(0, 46 * DAY), st.none() | st.integers(0, 46 * DAY)),
    max_size=8,
)


def lines(history):
    for index, (gpus, start, length) in enumerate(history):
        begin = min(BEGIN + start, NOW)
        yield fact(f"c{index}", OPEN, begin, gpus=gpus)
        if length is not None:
            yield fact(f"c{index}", CLOSE, min(begin + length, NOW), gpus=gpus)


def spent(tally: Tally, since: Millis = MONTH, shown=()) -> int:
    return tally.spent({ACME: since}, NOW, shown)[ACME].get(PRICE.hash, 0)


@settings(deadline=None)
@given(histories, st.sampled_from([*BudgetPeriod]))
def test_spend_in_a_period_is_the_ledgers_usage_in_it(history, period):
    facts, since = list(lines(history)), period_start(period, NOW)
    tally = Tally(DAY)
    for each in facts:
        tally.take([each])

    found = usage(intervals(facts), {PRICE.hash: PRICE}, by=By.TENANT, from_ms=since, to_ms=NOW)

    assert spent(tally, since) == sum(line.gpu_milliseconds for line in found)


def test_whoever_is_bound_is_billed_though_its_line_hasnt_come_in():
    tally = Tally(DAY)

    assert spent(tally, shown=[fact("c", OPEN, NOW - 1_000)]) == 8_000


def test_a_meter_that_has_stopped_counts_no_further_though_its_line_hasnt_come_in():
    tally, opened = Tally(DAY), fact("c", OPEN, NOW - 1_000)
    tally.take([opened])

    assert spent(tally, shown=[opened, fact("c", CLOSE, NOW - 400)]) == 8 * 600


def test_a_line_that_came_in_counts_once():
    tally, opened = Tally(DAY), fact("c", OPEN, NOW - 1_000)
    tally.take([opened, fact("c", CLOSE, NOW - 400)])

    assert spent(tally, shown=[opened, fact("c", CLOSE, NOW - 400)]) == 8 * 600


def test_only_what_is_billed_counts_and_is_news():
    tally = Tally(DAY)

    assert not tally.take([fact("c", OPEN, NOW - 1_000, kind=EntryKind.RELEASING)])
    assert (spent(tally), tally.usage(NOW)) == (0, {})
    assert tally.take([fact("c", OPEN, NOW - 1_000)])


CANCELLED = EntryKind.CANCELLED


def test_what_is_given_up_is_charged_in_the_months_of_its_time_those_to_come_included():
    begin, end = month_start(month_of(NOW)), month_start(month_of(NOW) + 1)
    lines = [
        fact("c", OPEN, end - 3_000, kind=CANCELLED),
        fact("c", CLOSE, end + 1_000, kind=CANCELLED),
    ]
    on_its_way, came_in = Tally(DAY), Tally(DAY)
    assert came_in.take(lines)

    months = {(month_of(begin), PRICE.hash): 24_000, (month_of(end), PRICE.hash): 8_000}
    for tally in (on_its_way, came_in):
        assert tally.charged({ACME: MONTH}, lines) == {ACME: months}
        assert tally.charged({ACME: end}, lines) == {ACME: {(month_of(end), PRICE.hash): 8_000}}
    assert came_in.charged({ACME: MONTH}, ()) == {ACME: months}
    assert (spent(came_in), came_in.usage(NOW)) == (0, {})


def test_usage_is_by_lease_and_what_runs_counts():
    tally = Tally(DAY)
    tally.take([fact("c", OPEN, BEGIN), fact("d", OPEN, NOW - DAY, gpus=4, lease="east")])

    assert tally.usage(NOW) == {ACME: {LeaseUID("east"): 2_000, WEST: 8_000}}


def test_one_reading_by_a_clock_that_is_weeks_ahead_takes_no_past_away():
    tally = Tally(DAY)
    tally.take([fact("c", OPEN, NOW - DAY), fact("c", CLOSE, NOW)])
    before = tally.usage(NOW)

    assert tally.usage(NOW + 17 * DAY) == {}
    assert tally.usage(NOW) == before


def test_what_counts_no_more_is_kept_no_longer():
    tally = Tally(DAY)
    tally.take([fact("c", OPEN, NOW - 18 * DAY), fact("c", CLOSE, NOW - 17 * DAY)])
    tally.take([fact("d", OPEN, NOW - DAY), fact("d", CLOSE, NOW)])

    tally.usage(NOW)

    assert [kept.claim_uid for kept in tally._recent] == ["d"]


def test_without_a_half_life_there_is_no_usage():
    tally = Tally(0)
    tally.take([fact("c", OPEN, BEGIN), fact("c", CLOSE, NOW)])

    assert tally.usage(NOW) == {}


def test_periods_are_the_calendars():
    at = parse_instant("2026-11-26T10:00:00Z")
    found = {p.value: (period_start(p, at), period_end(p, at)) for p in BudgetPeriod}

    assert found == {
        "Month": (parse_instant("2026-11-01T00:00:00Z"), parse_instant("2026-12-01T00:00:00Z")),
        "Quarter": (parse_instant("2026-10-01T00:00:00Z"), parse_instant("2027-01-01T00:00:00Z")),
        "Year": (parse_instant("2026-01-01T00:00:00Z"), parse_instant("2027-01-01T00:00:00Z")),
        "Total": (0, None),
    }
    assert period_end(BudgetPeriod.MONTH, parse_instant("9999-12-31T00:00:00Z")) is None
