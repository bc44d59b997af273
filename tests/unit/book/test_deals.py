"""Coverage of real contracts: the seven-year ramp of 38 B$, and a year of H100 bought at 2.35 and sold at 3.99."""

from decimal import Decimal
from fractions import Fraction

import pytest

from sublet.api.gpulease import GpuLease
from sublet.api.times import MS_PER_HOUR, Millis, format_instant, parse_instant
from sublet.book.balance import balance
from sublet.book.coverage import LeaseCoverage, coverage
from sublet.book.outlook import outlook
from sublet.book.view import View
from tests.builders.api import NOW, as_lease, lease
from tests.builders.sales import hour, sold

HOURS_IN_SEVEN_YEARS = 7 * 365 * 24
TOTAL = 38_000_000_000
FULL = 200_000
BEGIN: Millis = parse_instant("2026-07-01T00:00:00Z")
END = Millis(BEGIN + HOURS_IN_SEVEN_YEARS * MS_PER_HOUR)
STEPS = (
    ("2026-07-01T00:00:00Z", 2),
    ("2026-08-01T00:00:00Z", 3),
    ("2026-09-01T00:00:00Z", 4),
    ("2026-10-01T00:00:00Z", 5),
    ("2026-11-01T00:00:00Z", 6),
    ("2026-12-01T00:00:00Z", 7),
    ("2026-12-31T00:00:00Z", 8),
)
"""Two eighths at once, one more each month, all of it by the end of 2026."""


def ramp(price: str = "3.0985", full: int = FULL) -> GpuLease:
    return as_lease(
        lease(
            "seven-years",
            product="NVIDIA-GB200",
            term={"startTime": format_instant(BEGIN), "endTime": format_instant(END)},
            commitment={
                "phases": [
                    {"commitmentId": f"tranche-{n}", "startTime": at, "gpus": n * full // 8}
                    for at, n in STEPS
                ]
            },
            prices=[{"effectiveTime": format_instant(BEGIN), "perGpuHour": price}],
        )
    )


def at(view: View, at_ms: Millis) -> LeaseCoverage:
    (only,) = coverage(view, at_ms)
    return only


def test_38_billion_over_seven_years_are_620_thousand_an_hour_and_3_10_for_each_of_200_000_gpus():
    each_hour = Decimal(TOTAL) / HOURS_IN_SEVEN_YEARS
    assert round(each_hour / 1_000, 1) == Decimal("619.7")
    assert round(each_hour / FULL, 2) == Decimal("3.10")

    line = at(View(NOW, (), (ramp(),)), parse_instant("2030-01-01T00:00:00Z"))
    assert (line.committed, line.unsold) == (FULL, FULL)
    assert line.trade.cost == {"USD": Decimal("619700.0000")}


@pytest.mark.parametrize(
    ("when", "eighths"),
    [
        ("2026-06-30T23:59:59.999Z", 0),
        ("2026-07-01T00:00:00Z", 2),
        ("2026-11-30T23:59:59.999Z", 6),
        ("2026-12-31T00:00:00Z", 8),
        (format_instant(Millis(END - 1)), 8),
        (format_instant(END), 0),
    ],
)
def test_the_ramp_costs_what_is_committed_at_each_instant(when, eighths):
    line = at(View(NOW, (), (ramp(),)), parse_instant(when))

    assert line.committed == eighths * FULL // 8
    assert line.trade.cost == {"USD": Decimal("3.0985") * line.committed}


def test_the_whole_contract_is_the_sum_of_its_phases():
    starts = [parse_instant(when) for when, _ in STEPS]
    closed_form = sum(
        (until - begin) * eighths * FULL // 8
        for begin, until, (_, eighths) in zip(starts, [*starts[1:], END], STEPS, strict=True)
    )

    (line,) = balance(View(NOW, (), (ramp(),)), Millis(0), Millis(2**50))

    assert line.committed_gpu_milliseconds == line.unsold_gpu_milliseconds == closed_form
    assert line.trade.cost == {"USD": closed_form * Decimal("3.0985") / MS_PER_HOUR}
    assert line.trade.margin == -line.trade.cost["USD"]


def test_full_from_the_first_day_it_is_38_billion():
    flat = [{"commitmentId": "all", "startTime": format_instant(BEGIN), "gpus": FULL}]
    whole = ramp().spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    body = lease("flat", **{**whole, "commitment": {"phases": flat}})

    (line,) = balance(View(NOW, (), (as_lease(body),)), BEGIN, END)
    assert line.trade.cost == {"USD": Decimal("3.0985") * FULL * HOURS_IN_SEVEN_YEARS}
    assert round(line.trade.cost["USD"] / 10**9, 2) == Decimal("38.00")


def test_a_claim_sold_past_a_tranche_is_covered_when_that_comes():
    big = sold("big", ramp(), 160_000, from_ms=parse_instant("2026-11-15T00:00:00Z"), price="4.20")
    view = View(parse_instant("2026-11-22T00:00:00Z"), (big,), (ramp(),))

    before, later = (at(view, parse_instant(f"2026-{day}T00:00:00Z")) for day in ("11-22", "12-01"))
    assert (before.committed, before.uncovered, before.unsold) == (150_000, 10_000, 0)
    assert (later.committed, later.uncovered, later.unsold) == (175_000, 0, 15_000)
    assert before.trade.cost == {"USD": Decimal("3.0985") * 160_000}
    assert before.trade.margin == (Decimal("4.20") - Decimal("3.0985")) * 160_000


def test_its_outlook_is_the_tranches_that_are_left_and_the_end():
    now = parse_instant("2026-11-22T00:00:00Z")

    steps = outlook(ramp(), delivered=150_000, healthy=150_000, terms=(), now_ms=now)

    assert [(format_instant(s.time), s.committed, s.undelivered, s.free) for s in steps] == [
        ("2026-12-01T00:00:00Z", 175_000, 25_000, 175_000),
        ("2026-12-31T00:00:00Z", 200_000, 50_000, 200_000),
        (format_instant(END), 0, 0, 0),
    ]


def test_bought_at_2_35_and_sold_at_3_99_it_breaks_even_at_58_9_percent():
    year = as_lease(lease("neocloud-h100-1y", committed=512))
    line = at(View(NOW, (sold("a", year, 8),), (year,)), NOW)

    assert line.trade.break_even == Fraction(235, 399)
    assert round(float(line.trade.break_even) * 100, 1) == 58.9


@pytest.mark.parametrize(("gpus", "earns"), [(301, False), (302, True)])
def test_above_break_even_it_earns_and_below_it_loses(gpus, earns):
    """58.9 % of 512 GPUs are 301.55."""
    year = as_lease(lease("neocloud-h100-1y", committed=512))
    view = View(NOW, (sold("a", year, gpus, until_ms=hour(24 * 365)),), (year,))

    (whole,) = balance(view, NOW, hour(24 * 365))
    an_hour = gpus * Decimal("3.99") - 512 * Decimal("2.35")
    assert (at(view, NOW).trade.margin, whole.trade.margin) == (an_hour, 8_760 * an_hour)
    assert (an_hour > 0) == earns


def test_at_2_65_it_breaks_even_at_66_4_percent():
    dearer = [{"effectiveTime": "2026-06-01T00:00:00Z", "perGpuHour": "2.65"}]
    year = as_lease(lease("neocloud-h100-1y", committed=512, prices=dearer))

    line = at(View(NOW, (sold("a", year, 8),), (year,)), NOW)
    assert round(float(line.trade.break_even) * 100, 1) == 66.4
