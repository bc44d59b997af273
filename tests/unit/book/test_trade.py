"""Revenue, cost, margin, break-even, and when none can be stated."""

from decimal import Decimal
from fractions import Fraction

import pytest

from sublet.api.rating import Rate
from sublet.api.times import MS_PER_HOUR
from sublet.book.trade import Trade, together

BUY, SELL = Rate(Decimal("2.35"), "USD"), Rate(Decimal("3.99"), "USD")
EUROS = Rate(Decimal("3.50"), "EUR")


def test_margin_is_revenue_minus_cost():
    made = Trade({SELL: 8}, {BUY: 16})

    assert made.revenue == {"USD": Decimal("31.92")}
    assert made.cost == {"USD": Decimal("37.60")}
    assert made.margin == Decimal("-5.68")


def test_in_time_quantities_are_gpu_milliseconds():
    made = Trade({SELL: 8 * MS_PER_HOUR}, {BUY: 16 * MS_PER_HOUR}, in_time=True)

    assert (made.revenue, made.margin) == ({"USD": Decimal("31.92")}, Decimal("-5.68"))
    assert made.break_even == Trade({SELL: 8}, {BUY: 16}).break_even


def test_currencies_are_never_mixed():
    made = Trade({SELL: 8, EUROS: 8}, {BUY: 16})

    assert made.revenue == {"EUR": Decimal("28.00"), "USD": Decimal("31.92")}
    assert (made.margin, made.break_even) == (None, None)
    assert made.why_no_margin == "sold in EUR and USD, bought in USD: a margin needs one currency"


def test_of_a_lease_that_is_gone_nobody_knows_the_cost():
    made = Trade({SELL: 8}, None)

    assert (made.cost, made.margin, made.break_even) == (None, None, None)
    assert made.why_no_margin == "the lease is gone, and with it what its GPUs cost"


@pytest.mark.parametrize(
    "made",
    [
        Trade({}, {BUY: 8}),
        Trade({SELL: 8}, {BUY: 0}),
        Trade({Rate(Decimal(0), "USD"): 8}, {BUY: 8}),
    ],
    ids=["nothing sold", "nothing bought", "sold for nothing"],
)
def test_without_two_prices_there_is_no_break_even(made):
    assert made.break_even is None


def test_break_even_is_the_average_buy_price_over_the_average_sell_price():
    dearer = Rate(Decimal("2.65"), "USD")
    cheaper = Rate(Decimal("2.99"), "USD")

    made = Trade({SELL: 1, cheaper: 1}, {BUY: 3, dearer: 1})
    assert made.break_even == Fraction("2.425") / Fraction("3.49")


def test_trades_add_up_and_an_unknown_cost_stays_unknown():
    one, other = Trade({SELL: 8}, {BUY: 16}), Trade({SELL: 1}, {BUY: 1})

    assert together([one, other]) == Trade({SELL: 9}, {BUY: 17})
    assert together([one, Trade({SELL: 1}, None)]) == Trade({SELL: 9}, None)
