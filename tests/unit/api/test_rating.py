"""Money from quantities: exact up to the one division."""

from decimal import Decimal
from fractions import Fraction

from hypothesis import given, strategies as st

from sublet.api.rating import Rate, amount_of, charges, per_hour
from sublet.api.times import MS_PER_HOUR

prices = st.decimals(min_value=0, max_value=10**9 - 1, places=6)
rates = st.builds(Rate, prices, st.sampled_from(["USD", "EUR"]))
metered = st.dictionaries(rates, st.integers(0, 10**22), max_size=6)


def exactly(quantities: dict[Rate, int], currency: str) -> Fraction:
    return sum(
        (Fraction(r.per_gpu_hour) * n for r, n in quantities.items() if r.currency == currency),
        Fraction(0),
    )


@given(metered)
def test_money_per_hour_is_exact_and_currencies_stay_apart(quantities):
    assert {c: Fraction(v) for c, v in per_hour(quantities).items()} == {
        c: exactly(quantities, c) for c in sorted({r.currency for r in quantities})
    }


@given(metered)
def test_a_charge_is_the_exact_sum_divided_once(quantities):
    for currency, amount in charges(quantities).items():
        exact = exactly(quantities, currency) / MS_PER_HOUR
        assert abs(Fraction(amount) - exact) <= exact / 10**27


def test_a_third_of_an_hour_three_times_is_an_hour():
    third = MS_PER_HOUR // 3

    assert amount_of(3 * third, Decimal("3.99")) == Decimal("3.99")
    assert charges({Rate(Decimal("3.99"), "USD"): third, Rate(Decimal("3.99"), "EUR"): third}) == {
        "EUR": Decimal("1.33"),
        "USD": Decimal("1.33"),
    }
