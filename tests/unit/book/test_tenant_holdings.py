"""What a tenant holds of a class is what all its claims hold at an instant, those that begin later too."""

from hypothesis import given, strategies as st

from sublet.api.ids import TenantUID
from sublet.api.times import Millis
from sublet.book.tenant_holdings import TenantHoldings

ACME, GLOBEX = TenantUID("acme"), TenantUID("globex")
instants = st.integers(0, 12).map(Millis)
times = st.tuples(st.integers(1, 9), instants, instants)


@given(st.lists(times, max_size=6), st.lists(times, max_size=4), instants, instants)
def test_the_most_that_a_tenant_holds_is_that_of_the_fullest_instant(before, given_, begin, end):
    now, until = Millis(3), max(end, Millis(max(begin, 3) + 1))
    found = TenantHoldings(now)
    for gpus, start, length in before:
        found.note(ACME, "h100", gpus, start, Millis(start + length))
    for gpus, start, length in given_:
        found.count(ACME, "h100", gpus, start, Millis(start + length))

    def held(at: int) -> int:
        spans = ((g, max(s, now), s + length) for g, s, length in (*before, *given_))
        return sum(gpus for gpus, start, stop in spans if start <= at < stop)

    begin = max(begin, now)
    assert found.most(ACME, "h100", begin, until) == max(map(held, range(begin, until)))
    assert set(found.classes_of(ACME)) == ({"h100"} if before or given_ else set())
    assert (found.most(GLOBEX, "h100", begin, until), found.classes_of(GLOBEX)) == (0, ())
