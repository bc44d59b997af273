"""What used, unused and overused GPUs cost, each at its own price."""

from collections import Counter
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, strategies as st

from sublet.api.rating import Rate, per_hour
from sublet.book.balance import balance
from sublet.book.bill import bill_at
from sublet.book.coverage import coverage
from sublet.book.trade import Trade
from sublet.book.view import View
from tests.builders.api import LONG_AGO, NOW, as_lease, lease
from tests.builders.sales import hour, sold

USED, HOLDING, OVERAGE = "2.00", "1.25", "3.50"


def west(mode: str = "TakeOrPay", **prices: str):
    entry = {"effectiveTime": LONG_AGO, "perGpuHour": USED, **prices}
    return as_lease(lease("west", committed=16, mode=mode, prices=[entry]))


def cost(each, used: int, committed: int = 16) -> Decimal:
    return per_hour(bill_at(each, committed, used, NOW).bought)["USD"]


@pytest.mark.parametrize(
    ("mode", "prices", "used", "expected"),
    [
        ("TakeOrPay", {}, 10, "32.00"),
        ("TakeOrPay", {"holdingPerGpuHour": HOLDING}, 10, "27.50"),
        ("TakeOrPay", {}, 20, "40.00"),
        ("TakeOrPay", {"overagePerGpuHour": OVERAGE}, 20, "46.00"),
        ("PayAsYouGo", {}, 10, "20.00"),
        ("PayAsYouGo", {"holdingPerGpuHour": HOLDING}, 10, "27.50"),
        ("PayAsYouGo", {"overagePerGpuHour": OVERAGE}, 20, "46.00"),
        ("TakeOrPay", {"holdingPerGpuHour": "0"}, 0, "0"),
    ],
)
def test_each_gpu_costs_what_the_contract_says(mode, prices, used, expected):
    assert cost(west(mode, **prices), used) == Decimal(expected)


@given(st.integers(0, 40), st.integers(0, 40))
def test_without_prices_of_their_own_unused_and_overused_gpus_cost_as_before(committed, used):
    assert cost(west(), used, committed) == max(committed, used) * Decimal(USED)
    assert cost(west("PayAsYouGo"), used, committed) == used * Decimal(USED)


@given(st.integers(1, 64), st.decimals("0.01", "9", places=2), st.decimals("0.01", "9", places=2))
def test_at_break_even_revenue_is_cost(committed, holding, sell):
    each = west(holdingPerGpuHour=f"{holding}")
    bill = bill_at(each, committed, 0, NOW)
    share = Trade.of(Counter({Rate(sell, "USD"): 1}), {}, bill).break_even

    earns = Fraction(sell) - Fraction(USED) + Fraction(holding)
    if earns <= 0:
        assert share is None
        return
    assert share is not None
    sold_gpus = share * committed
    owed = sold_gpus * Fraction(USED) + (committed - sold_gpus) * Fraction(holding)
    assert sold_gpus * Fraction(sell) == owed


def test_coverage_and_balance_read_the_same_prices():
    each = west(holdingPerGpuHour=HOLDING, overagePerGpuHour=OVERAGE)
    seen = View(NOW, (sold("a", each, 10), sold("b", each, 10, from_ms=hour(1))), (each,))

    (first,), (later,) = coverage(seen, NOW), coverage(seen, hour(1))
    assert first.trade.cost == {"USD": Decimal("27.50")}
    assert later.trade.cost == {"USD": Decimal("46.00")}
    (whole,) = balance(seen, NOW, hour(3))
    assert whole.trade.cost == {"USD": Decimal("27.50") + 2 * Decimal("46.00")}
