import pytest

from sublet.html.bars import Bar, Group, bars
from sublet.html.columns import Pile, columns
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


def test_a_chart_says_what_it_shows_to_whoever_cant_see_it():
    (chart,) = Seen(str(columns("GPUs", "8 used", [Pile("x", (8,), 8)]))).all("svg")

    assert (chart.get("role"), chart.get("aria-label")) == ("img", "GPUs. 8 used")


def test_no_two_looks_differ_by_colour_alone():
    fills = [STYLE.split(f".{look}{{fill:")[1].split(";")[0] for look in LOOKS]

    assert len(set(fills)) == len(LOOKS)
    assert [fill for fill in fills if not fill.startswith("url(#")] == fills[:1]
    assert Seen(str(legend([(look, look) for look in LOOKS]))).count("rect") == len(LOOKS)
