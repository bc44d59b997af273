"""What was held counts less and less, in whole numbers."""

import pytest
from hypothesis import given, settings, strategies as st

from sublet.api.times import Millis
from sublet.ledger.decay import HALF_LIVES, thousandths

DAY = 86_400_000
T = Millis(1_000 * DAY)

spans = st.lists(
    st.tuples(st.integers(1, 1_000), st.integers(0, 40 * DAY), st.integers(0, 40 * DAY)),
    max_size=5,
)


def days_ago(days: float) -> Millis:
    return Millis(T - int(days * DAY))


@pytest.mark.parametrize("gpus", [1, 7, 100_000])
def test_who_has_always_held_as_many_has_that_average(gpus: int):
    assert thousandths([(gpus, Millis(0), T)], T, DAY) == gpus * 1_000


def test_the_last_half_life_counts_as_much_as_all_before_it():
    newer = thousandths([(8, days_ago(1), T)], T, DAY)
    older = thousandths([(8, days_ago(HALF_LIVES), days_ago(1))], T, DAY)

    assert (newer, older) == (4_000, 3_999)


def test_it_halves_with_every_half_life():
    held = [(8, days_ago(0.5), T)]
    after = [thousandths(held, Millis(T + days * DAY), DAY) for days in range(4)]

    assert after == [2_333, 1_166, 583, 291]


def test_after_enough_half_lives_it_is_forgotten():
    assert thousandths([(10_000, days_ago(18), days_ago(16))], T, DAY) == 0


@settings(deadline=None)
@given(spans, st.integers(1, 30 * DAY))
def test_it_never_grows_by_itself_and_never_exceeds_what_was_held(held, later: int):
    each = [(g, Millis(T - max(a, b)), Millis(T - min(a, b))) for g, a, b in held]

    now, then = thousandths(each, T, DAY), thousandths(each, Millis(T + later), DAY)

    assert 0 <= then <= now <= 1_000 * sum(g for g, *_ in held)


@settings(deadline=None)
@given(spans, spans)
def test_averages_add_up(one, two):
    first, second = (
        [(g, Millis(T - max(a, b)), Millis(T - min(a, b))) for g, a, b in held]
        for held in (one, two)
    )

    both = thousandths(first + second, T, DAY)

    assert both - thousandths(first, T, DAY) - thousandths(second, T, DAY) in (0, 1)
