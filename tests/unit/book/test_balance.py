"""Coverage over time: the integral of what holds at each instant, in closed form, and what the ledger says."""

from collections import Counter
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

from hypothesis import HealthCheck, given, settings, strategies as st

from sublet.api.gpuclaim import GpuClaim
from sublet.api.gpuclass import Pricing
from sublet.api.rating import Rate
from sublet.api.times import MS_PER_HOUR, Millis, format_instant
from sublet.book.balance import LeaseBalance, balance
from sublet.book.coverage import coverage
from sublet.book.view import View
from sublet.hub.meter import facts_of
from sublet.ledger.interval import intervals
from sublet.ledger.terms import PriceTerms
from sublet.ledger.usage import By, usage
from tests.builders.api import NOW, as_class, as_lease, gpu_class, lease
from tests.builders.sales import given_back, hour, reserved, sold

UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""A busy machine is no failure."""
LAST = 12
"""Hours that a history has; NOW is in its middle."""

hours = st.integers(0, LAST).map(lambda h: h - LAST // 2)
prices = st.sampled_from(["3.99", "2.50", "0.333333"])


@st.composite
def leases(draw: st.DrawFn, index: int):
    def steps(values) -> list[tuple[str, object]]:
        starts = sorted(draw(st.sets(hours, min_size=1, max_size=4)))
        return [(format_instant(hour(start)), draw(values)) for start in starts]

    begin, length = draw(hours), draw(st.none() | st.integers(1, LAST))
    end = format_instant(hour(begin + length)) if length is not None else None
    phases = steps(st.integers(0, 24))
    bought = steps(st.sampled_from(["2.35", "2.65", "0"]))
    return as_lease(
        lease(
            f"l{index}",
            term={"startTime": format_instant(hour(begin)), **({"endTime": end} if end else {})},
            commitment={
                "mode": draw(st.sampled_from(["TakeOrPay", "PayAsYouGo"])),
                "phases": [
                    {"commitmentId": f"p{i}", "startTime": at, "gpus": gpus}
                    for i, (at, gpus) in enumerate(phases)
                ],
            },
            prices=[{"effectiveTime": at, "perGpuHour": price} for at, price in bought],
        )
    )


@st.composite
def histories(draw: st.DrawFn) -> View:
    owned = [draw(leases(i)) for i in range(draw(st.integers(1, 2)))]
    gone = as_lease(lease("gone"))
    claims = []
    for index in range(draw(st.integers(0, 6))):
        where = draw(st.sampled_from([*owned, gone]))
        begin, gpus = draw(hours), draw(st.integers(1, 24))
        end = draw(st.none() | st.integers(1, LAST).map(lambda h, b=begin: hour(b + h)))
        if draw(st.booleans()):
            claims.append(reserved(f"c{index}", where, gpus, hour(begin), end))
            continue
        wait = draw(st.integers(0, 2))
        currency = draw(st.sampled_from(["USD", "USD", "EUR"]))
        each = sold(
            f"c{index}",
            where,
            gpus,
            from_ms=hour(begin),
            bound_ms=hour(begin + wait),
            until_ms=max(end, hour(begin + wait)) if end is not None else None,
            price=draw(prices),
            currency=currency,
        )
        lasted = draw(st.none() | st.integers(0, 3))
        if lasted is not None:
            stopped = hour(begin + wait + lasted)
            took = draw(st.none() | st.integers(0, 2))
            each = given_back(
                each, stopped, Millis(stopped + took * MS_PER_HOUR) if took is not None else None
            )
        claims.append(each)
    return View(NOW, tuple(claims), tuple(owned))


windows = st.tuples(hours, hours).map(sorted)


def by_lease(view: View, begin: float, end: float) -> dict[str, LeaseBalance]:
    return {line.lease_uid: line for line in balance(view, hour(begin), hour(end))}


def quantities(line: LeaseBalance) -> tuple[int, int, int, int]:
    return (
        line.committed_gpu_milliseconds,
        line.used_gpu_milliseconds,
        line.unsold_gpu_milliseconds,
        line.uncovered_gpu_milliseconds,
    )


@UNTIMED
@given(histories(), hours)
def test_committed_is_used_less_uncovered_plus_unsold_at_every_instant(view, when):
    for line in coverage(view, hour(when)):
        assert line.committed == line.used - line.uncovered + line.unsold
        assert min(line.committed, line.used, line.unsold, line.uncovered) >= 0
        assert bool(line.uncovered_claims) == (line.uncovered > 0)


@UNTIMED
@given(histories(), windows)
def test_the_same_holds_of_every_interval_and_nothing_is_negative(view, window):
    for line in balance(view, hour(window[0]), hour(window[1])):
        committed, used, unsold, uncovered = quantities(line)
        assert committed == used - uncovered + unsold
        assert min(committed, used, unsold, uncovered) >= 0
        assert all(n >= 0 for n in (*line.trade.sold.values(), *(line.trade.bought or {}).values()))


@UNTIMED
@given(histories(), windows)
def test_a_balance_is_the_integral_of_what_holds_at_each_instant(view, window):
    """All edges of these histories are whole hours, so each hour is what its first instant is."""
    sums: dict[str, list[int]] = {}
    sold_: dict[str, Counter[Rate]] = {}
    bought: dict[str, Counter[Rate]] = {}
    for begin in range(*window):
        for line in coverage(view, hour(begin)):
            found = sums.setdefault(line.lease_uid, [0, 0, 0, 0])
            for index, gpus in enumerate((line.committed, line.used, line.unsold, line.uncovered)):
                found[index] += gpus * MS_PER_HOUR
            for rates, side in ((sold_, line.trade.sold), (bought, line.trade.bought)):
                for rate, gpus in (side or {}).items():
                    rates.setdefault(line.lease_uid, Counter())[rate] += gpus * MS_PER_HOUR

    lines = by_lease(view, *window)
    assert {uid: list(quantities(x)) for uid, x in lines.items() if uid in sums} == sums
    for uid, whole in lines.items():
        assert whole.trade.sold == sold_.get(uid, Counter())
        assert (whole.trade.bought or Counter()) == bought.get(uid, Counter())


@UNTIMED
@given(histories(), st.lists(hours, min_size=2, max_size=5, unique=True).map(sorted))
def test_balances_of_adjacent_intervals_add_up(view, cuts):
    parts: Counter[tuple[str, int]] = Counter()
    for begin, end in pairwise(cuts):
        for uid, line in by_lease(view, begin, end).items():
            parts.update({(uid, i): n for i, n in enumerate(quantities(line))})

    whole = by_lease(view, cuts[0], cuts[-1])
    assert parts == Counter(
        {(u, i): n for u, x in whole.items() for i, n in enumerate(quantities(x))}
    )


def _invoiced(claims: tuple[GpuClaim, ...], window: list[int]) -> dict[str, dict[str, Decimal]]:
    """Return what the ledger charges in a window: lease UID -> currency -> amount."""
    facts = [fact for each in claims for fact in facts_of(each)]
    found = [each.status.allocation for each in claims]
    prices_ = {a.price_hash: PriceTerms(a.price_per_gpu_hour, a.currency) for a in found if a}
    begin, end = hour(window[0]), hour(window[1])
    lines = usage(intervals(facts), prices_, by=By.LEASE, from_ms=begin, to_ms=end)
    return {line.uid: dict(line.charges) for line in lines if line.charges}


@UNTIMED
@given(histories(), windows.map(lambda w: [min(0, h) for h in w]))
def test_the_past_earned_what_the_ledger_charges_to_the_last_digit(view, window):
    """Up to now: then a claim past its end is known to be over, while the ledger waits for its release."""
    view = View(NOW, tuple(c for c in view.claims if _is_told(c)), view.leases)

    earned = {uid: x.trade.revenue for uid, x in by_lease(view, *window).items()}
    assert {uid: money for uid, money in earned.items() if money} == _invoiced(view.claims, window)


def _is_told(each: GpuClaim) -> bool:
    """Say whether the claim's status says all that there is: nothing of it is overdue."""
    allocation = each.status.allocation
    release = each.status.release
    ends = release.release_time if release is not None else allocation.until_time
    return ends is None or ends > NOW or release is not None


def test_prices_change_in_the_middle_of_an_interval():
    dated = [
        {"effectiveTime": format_instant(hour(-9)), "perGpuHour": "2.35"},
        {"effectiveTime": format_instant(hour(4)), "perGpuHour": "2.65"},
    ]
    west = as_lease(lease("west", committed=16, prices=dated))
    claims = (sold("a", west, 8, until_ms=hour(6)),)

    (line,) = balance(View(NOW, claims, (west,)), hour(0), hour(10))

    assert line.trade.cost == {"USD": 16 * (4 * Decimal("2.35") + 6 * Decimal("2.65"))}
    assert line.trade.revenue == {"USD": 8 * 6 * Decimal("3.99")}
    average = Fraction("2.35") * 4 / 10 + Fraction("2.65") * 6 / 10
    assert line.trade.break_even == average / Fraction("3.99")


def test_a_floating_claim_earns_what_its_class_costs_at_each_instant():
    dated = [
        {"effectiveTime": format_instant(hour(-9)), "perGpuHour": "3.99"},
        {"effectiveTime": format_instant(hour(4)), "perGpuHour": "5"},
    ]
    offer = as_class(gpu_class(pricing="Floating", prices=dated))
    west = as_lease(lease("west", committed=16))
    fixed = sold("a", west, 8, until_ms=hour(6))
    floats = {"pricing": Pricing.FLOATING, "class_uid": offer.metadata.uid}
    held = fixed.status.allocation.model_copy(update=floats)
    status = fixed.status.model_copy(update={"allocation": held})
    claims = (fixed.model_copy(update={"status": status}),)

    (line,) = balance(View(NOW, claims, (west,), (offer,)), hour(0), hour(10))
    (now,) = coverage(View(NOW, claims, (west,), (offer,)), hour(5))
    (before,) = balance(View(NOW, (fixed,), (west,), (offer,)), hour(0), hour(10))

    assert line.trade.revenue == {"USD": 8 * (4 * Decimal("3.99") + 2 * Decimal(5))}
    assert (now.used, now.trade.revenue) == (8, {"USD": Decimal(40)})
    assert line.used_gpu_milliseconds == before.used_gpu_milliseconds


def test_an_interval_without_length_holds_nothing():
    west = as_lease(lease("west", committed=16))

    (line,) = balance(View(NOW, (), (west,)), NOW, NOW)

    assert quantities(line) == (0, 0, 0, 0)
