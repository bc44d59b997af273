"""A step function against a model that counts every instant by itself."""

from hypothesis import given, settings, strategies as st

from sublet.api.times import Millis
from sublet.book.steps import FOREVER, Steps

BEGIN, END = 10, 30
"""The model knows every instant in between; nothing happens outside."""

instants = st.integers(BEGIN - 5, END) | st.just(FOREVER)
levels = st.integers(-3, 3)
changes = st.lists(st.tuples(instants, levels), max_size=8)
spans = st.tuples(instants, instants)
additions = st.lists(st.tuples(levels, spans), max_size=5)


class Model:
    """One number for each instant; the last one stands for ever after."""

    def __init__(self, changes):
        self.levels = [sum(d for at, d in changes if at <= t) for t in range(BEGIN, END + 1)]

    def at(self, at):
        return self.levels[min(max(at, BEGIN), END) - BEGIN]

    def add(self, delta, begin, end):
        for t in range(BEGIN, END + 1):
            if begin <= t < end:
                self.levels[t - BEGIN] += delta

    def span(self, begin, end):
        """Return the levels of a span; of an empty one the level at its begin."""
        return [self.at(t) for t in range(begin, min(end, END + 1))] or [self.at(begin)]


def both(changed, added):
    steps, model = Steps(BEGIN, changed), Model(changed)
    for delta, (begin, end) in added:
        steps.add(delta, begin, end)
        model.add(delta, begin, end)
    return steps, model


@settings(deadline=None)
@given(changes, additions, st.integers(BEGIN - 5, END + 5))
def test_the_level_at_an_instant_is_the_sum_of_what_changed_until_then(changed, added, at):
    steps, model = both(changed, added)

    assert steps.at(at) == model.at(at)


@settings(deadline=None)
@given(changes, additions, st.integers(BEGIN, END), instants)
def test_the_least_level_of_a_span_is_the_lowest_in_it(changed, added, begin, end):
    steps, model = both(changed, added)

    assert steps.least(begin, end) == min(model.span(begin, end))


@settings(deadline=None)
@given(changes, additions, levels, st.integers(BEGIN, END), st.integers(0, END))
def test_the_first_instant_below_or_above_a_level_is_found_or_the_end(
    changed, added, level, begin, span
):
    steps, model = both(changed, added)
    end = begin + span

    below = [t for t in range(begin, min(end, END + 1)) if model.at(t) < level]
    above = [t for t in range(begin, min(end, END + 1)) if model.at(t) > level]
    assert steps.first_below(level, begin, end) == (below[0] if below else end)
    assert steps.first_above(level, begin, end) == (above[0] if above else end)


def test_what_changed_before_the_beginning_counts_as_changed_at_it():
    steps = Steps(Millis(10), [(Millis(3), 8), (Millis(7), -2)])

    assert (steps.at(0), steps.at(10)) == (6, 6)


def test_a_change_at_the_end_of_time_never_happens():
    assert Steps(Millis(10), [(Millis(10), 8), (FOREVER, -8)]).least(Millis(10), FOREVER) == 8


def test_a_span_holds_its_first_instant_and_not_its_last():
    steps = Steps(10, [])
    steps.add(8, 12, 15)

    assert [steps.at(t) for t in (11, 12, 14, 15)] == [0, 8, 8, 0]
    assert (steps.least(12, 15), steps.least(12, 16)) == (8, 0)
