"""The next steps of a lease: what they say, and that time alone never changes them."""

from itertools import pairwise

from hypothesis import given, settings, strategies as st

from sublet.api.gpulease import GpuLease, OutlookStep
from sublet.api.times import format_instant
from sublet.book.contract import committed_at
from sublet.book.holdings import Term
from sublet.book.outlook import MAX_STEPS, outlook
from sublet.book.steps import FOREVER
from tests.builders.api import NOW, as_lease, lease
from tests.builders.sales import hour


def steps(each: GpuLease, *terms: tuple[float, int], delivered=64, healthy=64, now_ms=NOW):
    held = [Term(hour(h), gpus) for h, gpus in terms]
    return outlook(each, delivered=delivered, healthy=healthy, terms=held, now_ms=now_ms)


def rows(found: tuple[OutlookStep, ...]) -> list[tuple[float, int, int, int, int, int]]:
    return [
        (
            (s.time - NOW) / 3_600_000,
            s.committed,
            s.sellable,
            s.undelivered,
            s.reserved,
            s.free,
        )
        for s in found
    ]


def phases(*levels: tuple[float, int]) -> dict[str, object]:
    return {
        "phases": [
            {"commitmentId": f"p{i}", "startTime": format_instant(hour(at)), "gpus": gpus}
            for i, (at, gpus) in enumerate(levels)
        ]
    }


def test_where_nothing_will_change_there_are_no_steps():
    assert outlook(as_lease(), delivered=64, healthy=64, terms=[Term(FOREVER, 8)], now_ms=NOW) == ()


def test_gpus_are_free_again_when_claims_end():
    found = steps(as_lease(), (2, 8), (1, 16), (2, 8))

    assert rows(found) == [(1, 64, 64, 0, 16, 48), (2, 64, 64, 0, 0, 64)]


def test_a_later_phase_is_sellable_and_marked_undelivered():
    each = as_lease(lease(commitment=phases((-1, 64), (5, 128))))

    assert rows(steps(each)) == [(5, 128, 128, 64, 0, 128)]
    assert rows(steps(each, delivered=96, healthy=96)) == [(5, 128, 128, 32, 0, 128)]


def test_what_is_broken_or_late_today_does_not_come_with_a_later_phase():
    each = as_lease(lease(commitment=phases((-1, 64), (5, 128))))

    assert rows(steps(each, delivered=64, healthy=56)) == [(5, 128, 120, 64, 0, 120)]
    assert rows(steps(each, delivered=48, healthy=48)) == [(5, 128, 112, 64, 0, 112)]


def test_a_smaller_phase_takes_away_what_is_sellable():
    each = as_lease(lease(commitment=phases((-1, 64), (5, 16))))

    assert rows(steps(each, (9, 24))) == [(5, 16, 16, 0, 24, 0), (9, 16, 16, 0, 0, 16)]


def test_before_the_end_nothing_is_sellable_and_after_it_nothing_committed():
    term = {"endTime": format_instant(hour(10)), "reclaimLeadSeconds": 3600, "drainSeconds": 3600}
    each = as_lease(lease(term=term))

    assert rows(steps(each)) == [(8, 64, 0, 0, 0, 0), (10, 0, 0, 0, 0, 0)]


def test_a_lease_that_has_not_begun_sells_from_its_start_on():
    each = as_lease(lease(term={"startTime": format_instant(hour(3))}))

    assert rows(steps(each, delivered=0, healthy=0)) == [(3, 64, 64, 64, 0, 64)]
    assert rows(steps(each)) == [(3, 64, 64, 0, 0, 64)]


def test_an_instant_at_which_two_changes_cancel_each_other_is_no_step():
    each = as_lease(lease(commitment=phases((-1, 64), (5, 64), (7, 32))))

    assert [row[0] for row in rows(steps(each))] == [7]


def test_the_first_64_steps_are_kept():
    found = steps(as_lease(lease(committed=512)), *((1 + i, 1) for i in range(100)))

    assert [row[0] for row in rows(found)] == [1 + i for i in range(MAX_STEPS)]


levels = st.lists(st.tuples(st.integers(-3, 12), st.integers(0, 64)), min_size=1, max_size=6)
ends = st.lists(st.tuples(st.integers(1, 12), st.integers(1, 32)), max_size=6)
counts = st.tuples(st.integers(0, 80), st.integers(0, 80)).map(sorted)


@settings(deadline=None)
@given(levels, ends, counts, st.none() | st.integers(1, 12), st.floats(0, 1, exclude_max=True))
def test_time_alone_never_changes_it_until_a_step_is_reached(levels, ends, counts, end, share):
    each = as_lease(
        lease(commitment=phases(*levels), end=format_instant(hour(end)) if end else None)
    )
    before = steps(each, *ends, healthy=counts[0], delivered=counts[1])
    due = before[0].time if before else hour(20)

    later = min(due - 1, NOW + int(share * (due - NOW)))
    assert steps(each, *ends, healthy=counts[0], delivered=counts[1], now_ms=later) == before


@settings(deadline=None)
@given(levels, ends, counts, st.none() | st.integers(1, 12))
def test_each_step_keeps_to_the_contract_and_is_told_apart_from_the_one_before(
    levels, ends, counts, end
):
    each = as_lease(
        lease(commitment=phases(*levels), end=format_instant(hour(end)) if end else None)
    )
    found = steps(each, *ends, healthy=counts[0], delivered=counts[1])

    assert [s.time for s in found] == sorted({s.time for s in found})
    for step in found:
        assert step.time > NOW
        assert step.committed == committed_at(each, step.time)
        assert step.undelivered <= step.sellable <= step.committed
        assert step.reserved == sum(gpus for h, gpus in ends if hour(h) > step.time)
        assert step.free == max(0, step.sellable - step.reserved)
    told = [s.model_copy(update={"time": 0}) for s in found]
    assert all(a != b for a, b in pairwise(told))
