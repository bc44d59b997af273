"""Everything on the pages can be read: light and dark, on a phone and enlarged, on paper."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.integration.pages.conftest import DESKS, REPORTS, Pages
from tests.integration.pages.scripts import CUT_OFF, FAINT, OPEN_ALL, TOO_WIDE

# the large desk differs from the others in its size alone
each_page = pytest.mark.parametrize("name", [*(d for d in DESKS if d != "large desk"), *REPORTS])


@dataclass(frozen=True)
class Look:
    """What is wrong with a page, by how it is looked at; everything in it is folded open."""

    faint: list[str]
    faint_in_the_dark: list[str]
    too_wide_on_a_phone: list[str]
    too_wide_at_200_percent: list[str]
    too_wide_with_large_letters: list[str]
    cut_off: list[str]
    cut_off_on_a_phone: list[str]


Looking = Callable[[str], Look]


@pytest.fixture(scope="module")
def look(pages: Pages) -> Looking:
    """Looks at a page in all ways, at each page once."""
    found: dict[str, Look] = {}

    def at(name: str) -> Look:
        if name not in found:
            found[name] = look_at(pages, name)
        return found[name]

    return at


def look_at(pages: Pages, name: str) -> Look:
    browser = pages.open(name)
    browser.run(OPEN_ALL)
    faint, cut_off = browser.run(FAINT), browser.run(CUT_OFF)
    browser.screen(1280, dark=True)
    faint_in_the_dark = browser.run(FAINT)
    browser.screen(360)
    on_a_phone, cut_off_on_a_phone = browser.run(TOO_WIDE), browser.run(CUT_OFF)
    # a browser's zoom makes of 1280 pixels 640 that are twice as sharp; larger letters alone leave the width
    browser.screen(640, sharp=2)
    at_200_percent = browser.run(TOO_WIDE)
    browser.screen(1280)
    browser.run("document.documentElement.style.fontSize = '200%'")
    with_large_letters = browser.run(TOO_WIDE)
    return Look(
        faint, faint_in_the_dark, on_a_phone, at_200_percent, with_large_letters, cut_off, cut_off_on_a_phone
    )  # fmt: skip


@each_page
def test_text_stands_out_from_what_is_behind_it(look: Looking, name: str):
    assert look(name).faint == []


@each_page
def test_text_stands_out_in_the_dark_too(look: Looking, name: str):
    assert look(name).faint_in_the_dark == []


@each_page
def test_on_a_phone_only_tables_scroll_sideways_each_in_its_own_frame(look: Looking, name: str):
    assert look(name).too_wide_on_a_phone == []


@each_page
def test_twice_as_large_it_still_needs_no_scrolling_sideways(look: Looking, name: str):
    assert look(name).too_wide_at_200_percent == []
    assert look(name).too_wide_with_large_letters == []


@each_page
def test_a_charts_words_are_whole_and_lie_on_no_bar(look: Looking, name: str):
    assert look(name).cut_off == []
    assert look(name).cut_off_on_a_phone == []


def test_a_dark_screen_gets_a_dark_page(pages: Pages):
    def paper(dark: bool) -> str:
        shown = pages.open("desk", dark=dark)
        return shown.run("return getComputedStyle(document.body).backgroundColor")

    assert paper(dark=False) == "rgb(255, 255, 255)"
    assert paper(dark=True) == "rgb(13, 17, 23)"


def test_what_is_folded_is_open_on_paper(pages: Pages):
    browser = pages.open("desk")
    is_seen = "return document.querySelector('details table').checkVisibility()"
    assert browser.run(is_seen) is False

    browser.ask("Emulation.setEmulatedMedia", media="print")
    printed = browser.run(is_seen)
    browser.ask("Emulation.setEmulatedMedia", media="")

    assert printed is True


def test_a_pool_of_a_thousand_claims_is_one_page_of_moderate_size(pages: Pages):
    browser = pages.open("large desk")

    size = browser.run("return performance.getEntriesByType('navigation')[0].decodedBodySize")
    assert 0 < size < 600_000
    assert browser.run("return document.querySelectorAll('*').length") < 20_000
    # neither a thousand claims nor forty that wait push the leases out of sight
    assert browser.run("return document.documentElement.scrollHeight / innerHeight") < 15
    browser.screen(360)
    assert browser.run(TOO_WIDE) == []


def test_the_first_look_says_who_waits_what_is_idle_what_earns_and_what_loses(pages: Pages):
    browser = pages.open("desk", 1280)

    seen = browser.run("return [...document.querySelectorAll('dl > div')].filter(e => e.getBoundingClientRect().bottom < innerHeight).map(e => e.innerText.split('\\n').slice(0, 2))")  # fmt: skip
    assert seen == [
        ["Waiting", "3 claims"],
        ["Idle", "22 of 80 GPUs"],
        ["Earning", "2 leases"],
        ["Losing", "1 lease"],
        ["Margin not known", "1 lease"],
    ]
