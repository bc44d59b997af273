import pytest

from sublet.html.bars import WIDTH, Bar, Group, bars
from sublet.html.columns import LEFT, Pile, columns
from sublet.html.gantt import Stretch, gantt
from sublet.html.page import legend
from sublet.html.style import LOOKS, STYLE
from tests.builders.pages import Seen


def test_an_amount_twice_as_large_is_twice_as_long_and_stands_beside_its_bar():
    seen = Seen(str(bars("t", "w", [Group("west", (Bar(4, "4.00"), Bar(2, "2.00")))])))

    longer, shorter = (float(x.get("width")) for x in seen.all("rect"))
    assert longer == pytest.approx(2 * shorter, abs=0.2)
    assert seen.words("text") == ["west", "4.00", "2.00"]


def test_a_loss_lies_to_the_left_of_nothing():
    seen = Seen(str(bars("t", "w", [Group("west", (Bar(-2, "-2"),)), Group("east", (Bar(2, "2"),))])))  # fmt: skip

    (axis,) = seen.all("line")
    loss, gain = seen.all("rect")
    assert float(loss.get("x")) < float(axis.get("x1")) == pytest.approx(float(gain.get("x")))


def test_a_chart_of_nothing_is_drawn_all_the_same():
    assert Seen(str(bars("t", "w", []))).count("svg") == 1
    assert Seen(str(columns("t", "w", []))).count("svg") == 1
    assert Seen(str(columns("t", "w", [Pile("a", (0, 0), 0)]))).count("rect") == 0


def test_parts_are_piled_up_to_what_they_are_measured_against():
    seen = Seen(str(columns("GPUs", "w", [Pile("2026-09-01", (6, 2), 8)])))

    used, unused = seen.all("rect")
    top = float(unused.get("y"))
    assert top + float(unused.get("height")) == pytest.approx(float(used.get("y")), abs=0.2)
    assert f"M48.0 {top:.1f}" in str(seen.all("path")[0].get("d"))


def test_narrow_columns_that_are_alike_are_drawn_as_one_and_named_from_first_to_last():
    piles = [Pile(f"day {i}", (4.0 if i < 50 else 6.0,), 8) for i in range(60)]
    seen = Seen(str(columns("GPUs", "w", piles)))

    assert seen.words("title") == ["day 0 to day 49", "day 50 to day 59"]
    first, second = seen.all("rect")
    end = float(first.get("x")) + float(first.get("width"))
    assert end == pytest.approx(float(second.get("x")), abs=0.2)


def test_wide_columns_stand_alone_even_if_they_are_alike():
    piles = [Pile(f"day {i}", (4.0,), 8) for i in range(30)]

    assert Seen(str(columns("GPUs", "w", piles))).count("rect") == 30


def test_bars_along_time_share_the_columns_axis_and_what_lies_outside_is_cut_off():
    chart = gantt("t", "w", [Stretch("a", "8 GPUs", LOOKS[0], -1, 0.5)], ("today", "then"))
    (bar,) = Seen(str(chart)).all("rect")

    assert float(bar.get("x")) == LEFT
    assert float(bar.get("width")) == pytest.approx((WIDTH - LEFT) / 2)


def test_a_name_too_long_for_its_line_is_cut_and_what_is_said_of_it_is_not():
    chart = gantt("t", "w", [Stretch("n" * 300, "8 GPUs", LOOKS[0], 0, 1)], ("today", "then"))
    written = Seen(str(chart)).words("text")[0]

    assert written.startswith("nnn")
    assert written.endswith("n…: 8 GPUs")
    assert len(written) < 45


def test_a_loss_has_another_look():
    seen = Seen(str(bars("t", "w", [Group("west", (Bar(-2, "-2"),)), Group("east", (Bar(2, "2"),))])))  # fmt: skip

    assert [x.get("class") for x in seen.all("rect")] == [LOOKS[3], LOOKS[0]]


def test_a_chart_says_what_it_shows_to_whoever_cant_see_it():
    (chart,) = Seen(str(columns("GPUs", "8 used", [Pile("x", (8,), 8)]))).all("svg")

    assert (chart.get("role"), chart.get("aria-label")) == ("img", "GPUs. 8 used")


def test_no_two_looks_differ_by_colour_alone():
    fills = [STYLE.split(f".{look}{{fill:")[1].split(";")[0] for look in LOOKS]

    assert len(set(fills)) == len(LOOKS)
    assert [fill for fill in fills if not fill.startswith("url(#")] == fills[:1]
    assert Seen(str(legend([(look, look) for look in LOOKS]))).count("rect") == len(LOOKS)
