"""Whoever has no pointer gets everywhere, sees where they are, and opens and scrolls everything."""

import pytest

from tests.integration.pages.conftest import REPORTS, Pages
from tests.integration.pages.scripts import FOCUS, PLACE, STOPS, VISITED

FIRST_FOLD = "return document.querySelector('details').open"


def tab_to(pages: Pages, selector: str) -> None:
    """Go to the first element of a selector with the Tab key alone."""
    pages.browser.press("Tab", times=pages.browser.run(PLACE, selector) + 1)
    assert pages.browser.run("return document.activeElement.matches(arguments[0])", selector)


@pytest.mark.parametrize("name", ["desk", "empty desk", *REPORTS])
def test_tab_reaches_every_link_table_and_folded_part_in_order(pages: Pages, name: str):
    browser = pages.open(name)
    stops = browser.run(STOPS)
    assert stops > 0

    browser.press("Tab", times=stops)

    visited = browser.run(VISITED)
    assert [place for place, _ in visited] == list(range(stops))
    assert [place for place, has_ring in visited if not has_ring] == [], "a person doesn't see where they are"  # fmt: skip
    assert browser.run(FOCUS)["inSight"], "the page follows the focus"


@pytest.mark.parametrize("key", ["Enter", "Space"])
def test_a_key_opens_a_folded_part_and_closes_it(pages: Pages, key: str):
    browser = pages.open("desk")
    tab_to(pages, "summary")
    assert browser.run(FIRST_FOLD) is False

    browser.press(key)
    assert browser.run(FIRST_FOLD) is True
    browser.press("Tab")
    assert browser.run(FOCUS)["name"] == "div", "the table in it comes next"

    browser.press("Shift", "Tab")
    browser.press(key)
    assert browser.run(FIRST_FOLD) is False


def test_the_arrows_scroll_a_table_that_is_wider_than_a_phone(pages: Pages):
    browser = pages.open("desk", 360)
    tab_to(pages, ".scroll")

    browser.press("Right", times=3)

    # a browser scrolls smoothly: it has begun, or has come to the end
    moved = "const e = document.activeElement; return new Promise(done => { const look = () => e.scrollLeft > 0 ? done(true) : requestAnimationFrame(look); look() })"
    assert browser.run(moved) is True


def test_a_leases_name_leads_to_its_section(pages: Pages):
    browser = pages.open("desk")
    tab_to(pages, "a[href]")
    assert browser.run(FOCUS)["text"] == "ohio-h200"

    browser.press("Enter")

    arrived = browser.run("return [location.hash, document.querySelector(':target h2').innerText, document.querySelector(':target').getBoundingClientRect().top]")  # fmt: skip
    assert arrived[:2] == ["#lease-ohio-h200", "ohio-h200"]
    assert -1 < arrived[2] < 740


@pytest.mark.parametrize("name", ["desk", "large desk", "attacked desk"])
def test_every_link_leads_somewhere_on_the_page(pages: Pages, name: str):
    lost = "return [...document.querySelectorAll('a')].filter(a => !document.getElementById(decodeURIComponent(a.hash.slice(1)))).map(a => a.hash)"
    assert pages.open(name).run(lost) == []
