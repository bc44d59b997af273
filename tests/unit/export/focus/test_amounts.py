"""From exact fractions to decimals of a fixed scale, rounded once, half to even."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, strategies as st

from sublet.export.focus.amounts import (
    TooLarge,
    fraction_decimals,
    gpu_hours,
    plain,
    unscaled,
)
from sublet.rating.minor_units import rounded


@pytest.mark.parametrize(
    ("numerator", "denominator", "whole"),
    [(1, 4, 2), (3, 4, 8), (-1, 4, -2), (-3, 4, -8), (1, 3, 3), (-1, 3, -3), (2, 3, 7), (0, 7, 0)],
)
def test_a_tie_goes_to_the_even_neighbour(numerator, denominator, whole):
    assert unscaled(numerator, denominator, 1) == whole


@given(st.fractions(min_value=-(10**9), max_value=10**9), st.integers(0, 17))
def test_no_amount_is_further_off_than_half_a_unit(amount, scale):
    kept = Fraction(unscaled(amount.numerator, amount.denominator, scale), 10**scale)
    assert abs(kept - amount) * 2 * 10**scale <= 1


@given(st.lists(st.fractions(min_value=-(10**6), max_value=10**6) | st.none(), max_size=20))
def test_a_column_holds_what_was_given(amounts):
    column = fraction_decimals(amounts, 17).to_pylist()
    for value, amount in zip(column, amounts, strict=True):
        assert (value is None) is (amount is None)
        assert amount is None or abs(Fraction(value) - amount) <= Fraction(1, 2 * 10**17)


def test_an_amount_without_room_is_an_error_and_no_other_amount():
    with pytest.raises(TooLarge, match="21 digits before the point"):
        fraction_decimals([Fraction(10**21)], 17)


def test_hours_that_do_not_divide_are_rounded_at_the_fourteenth_place():
    assert gpu_hours([3_600_000, 1, 8 * 3_600_000]).to_pylist() == [
        Decimal("1.00000000000000"),
        Decimal("2.7777778E-7"),
        Decimal("8.00000000000000"),
    ]


@pytest.mark.parametrize(
    ("currency", "amount", "said"),
    [("USD", "2.345", "2.34"), ("USD", "2.355", "2.36"), ("JPY", "2.5", "2"), ("KWD", "1.0005", "1.000")],
)  # fmt: skip
def test_a_line_is_rounded_to_the_smallest_unit_of_its_currency(currency, amount, said):
    assert str(rounded(Fraction(amount), currency)) == said


@pytest.mark.parametrize(
    ("value", "text"),
    [("8", "8.0"), ("8.00000", "8.0"), ("0E-17", "0.0"), ("1E-10", "0.0000000001"), ("-11.20", "-11.2"), ("1E+3", "1000.0")],
)  # fmt: skip
def test_a_number_is_written_with_a_point_and_no_exponent(value, text):
    assert plain(Decimal(value)) == text
