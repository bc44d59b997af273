"""What a lease's GPUs cost: the same as the book says, up to the instant at which the ledger is looked at."""

from collections import Counter
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, strategies as st

from sublet.api.rating import Rate
from sublet.api.times import MS_PER_HOUR
from sublet.book.bill import bill_at
from sublet.ledger.entry import EntryKind
from sublet.rating.grid import Grid
from sublet.rating.model import LeaseState
from sublet.rating.supply import NoTerms, supply_of
from sublet.rating.wholesale import cells_of, purchases_of
from tests.builders.api import LONG_AGO, as_lease, lease
from tests.builders.wholesale import Scribe, at, span

HOUR = ("2026-11-22T10:00:00Z", "2026-11-22T11:00:00Z")
prices = st.sampled_from(["0", "1.25", "2", "3.5"])


def one_lease(**spec):
    scribe = Scribe()
    return scribe, scribe.lease("west", **spec)


@given(
    st.integers(0, 40),
    st.integers(0, 40),
    st.sampled_from(["TakeOrPay", "PayAsYouGo"]),
    prices,
    st.none() | prices,
    st.none() | prices,
)
def test_an_hour_costs_what_the_book_says(committed, used, mode, own, holding, over):
    price = {"effectiveTime": LONG_AGO, "perGpuHour": own}
    price |= {"holdingPerGpuHour": holding} if holding is not None else {}
    price |= {"overagePerGpuHour": over} if over is not None else {}
    spec = {"committed": committed, "mode": mode, "prices": [price]}
    scribe, west = one_lease(**spec)
    if used:
        scribe.held("c", west, used, *HOUR)

    bill = bill_at(as_lease(lease("west", **spec)), committed, used, at(HOUR[0]))

    found: Counter[Rate] = Counter()
    for cell in cells_of(scribe.books(), west, span(*HOUR), Grid.HOUR, at(HOUR[1])):
        found[Rate(cell.price, cell.currency)] += cell.gpu_milliseconds
    booked = {rate: n * MS_PER_HOUR for rate, n in bill.bought.items() if n}
    # what costs nothing is no part of the book's bill, but of the commitment
    assert {r: n for r, n in found.items() if n and r.per_gpu_hour} == {
        r: n for r, n in booked.items() if r.per_gpu_hour
    }


def test_gpus_that_go_on_are_counted_up_to_the_instant_of_looking_and_no_further():
    scribe, west = one_lease(committed=8)
    scribe.held("c", west, 8, HOUR[0])
    half = at(HOUR[0]) + MS_PER_HOUR // 2
    (cell,) = cells_of(scribe.books(), west, span(*HOUR), Grid.HOUR, half)
    assert (cell.to_ms, cell.gpu_milliseconds) == (half, 4 * MS_PER_HOUR)
    assert cell.amount == Fraction("9.4")


def test_what_is_to_come_is_not_billed():
    scribe, west = one_lease()
    assert cells_of(scribe.books(), west, span(*HOUR), Grid.HOUR, at(HOUR[0])) == []


def test_gpus_that_are_missing_and_used_all_the_same_count_as_used():
    scribe, west = one_lease(committed=16)
    scribe.capacity(west, LONG_AGO, 8)
    scribe.held("c", west, 12, *HOUR)
    found = cells_of(scribe.books(), west, span(*HOUR), Grid.HOUR, at(HOUR[1]))
    assert {c.state: c.gpu_milliseconds // MS_PER_HOUR for c in found} == {
        LeaseState.USED: 12,
        LeaseState.UNAVAILABLE: 4,
    }


def test_what_nobody_has_seen_counts_as_there_and_is_said_apart():
    scribe, west = one_lease(committed=16)
    scribe.capacity(west, "2026-11-22T10:30:00Z", 4)
    before, after = supply_of(scribe.books(), west).stretches(span(*HOUR))
    assert (before.is_seen, before.unused, before.unavailable) == (False, 16, 0)
    assert (after.is_seen, after.unused, after.unavailable) == (True, 4, 12)


def test_of_two_marks_at_one_instant_the_later_generation_holds():
    scribe, west = one_lease(committed=16)
    scribe.capacity(west, LONG_AGO, 4, sequence=10)
    scribe.capacity(west, LONG_AGO, 16, sequence=9)
    (stretch,) = supply_of(scribe.books(), west).stretches(span(*HOUR))
    assert stretch.available == 4


def test_nothing_is_committed_outside_the_term_and_what_is_bound_there_is_beyond():
    scribe, west = one_lease(committed=8, end="2026-11-22T10:30:00Z")
    scribe.held("c", west, 8, *HOUR)
    found = cells_of(scribe.books(), west, span(*HOUR), Grid.NONE, at(HOUR[1]))
    assert [(c.state, c.commitment_id) for c in found] == [
        (LeaseState.USED, "all"),
        (LeaseState.BEYOND, ""),
    ]


def test_a_commitment_with_a_holding_price_is_bought_at_two_prices():
    price = {"effectiveTime": LONG_AGO, "perGpuHour": "2", "holdingPerGpuHour": "1.25"}
    scribe, west = one_lease(committed=8, prices=[price])
    scribe.held("c", west, 6, *HOUR)
    found = purchases_of(scribe.books(), west, span(*HOUR), Grid.HOUR, at(HOUR[1]))
    assert [(p.gpu_milliseconds // MS_PER_HOUR, p.price) for p in found] == [
        (6, Decimal(2)),
        (2, Decimal("1.25")),
    ]


def test_under_pay_as_you_go_what_is_not_used_is_not_bought():
    scribe, west = one_lease(committed=8, mode="PayAsYouGo")
    scribe.held("c", west, 6, *HOUR)
    (bought,) = purchases_of(scribe.books(), west, span(*HOUR), Grid.HOUR, at(HOUR[1]))
    assert bought.gpu_milliseconds == 6 * MS_PER_HOUR


def test_a_lease_without_terms_is_named():
    with pytest.raises(NoTerms, match="no terms of lease gone"):
        cells_of(Scribe().books(), "gone", span(*HOUR), Grid.HOUR, at(HOUR[1]))


def test_gpus_that_are_missing_since_they_are_down_count_as_used_and_take_nothing_from_the_unused():
    scribe, west = one_lease(committed=16)
    scribe.capacity(west, LONG_AGO, 8)
    scribe.held("c", west, 12, *HOUR)
    scribe.held("c", west, 8, *HOUR, kind=EntryKind.DOWNTIME)
    found = cells_of(scribe.books(), west, span(*HOUR), Grid.HOUR, at(HOUR[1]))
    assert {c.state: c.gpu_milliseconds // MS_PER_HOUR for c in found} == {
        LeaseState.USED: 12,
        LeaseState.UNUSED: 4,
    }


def test_maintenance_that_takes_the_missing_ones_takes_no_others():
    window = {"startTime": HOUR[0], "endTime": HOUR[1], "gpus": 4}
    scribe, west = one_lease(committed=16, maintenance=[window])
    scribe.capacity(west, LONG_AGO, 12)
    (stretch,) = supply_of(scribe.books(), west).stretches(span(*HOUR))
    assert (stretch.unused, stretch.unavailable) == (12, 4)


def test_in_silence_the_last_mark_holds_and_nobody_knows():
    scribe, west = one_lease(committed=16)
    scribe.capacity(west, LONG_AGO, 12)
    scribe.held("c", west, 8, *HOUR, kind=EntryKind.DISPUTED)
    (stretch,) = supply_of(scribe.books(), west).stretches(span(*HOUR))
    assert (stretch.unavailable, stretch.is_seen) == (4, False)
