"""Everything on the pages can be read: light and dark, on a phone and enlarged, on paper."""

import pytest

from tests.integration.pages.conftest import DESKS, REPORTS, Pages
from tests.integration.pages.scripts import CUT_OFF, FAINT, OPEN_ALL, TOO_WIDE

each_page = pytest.mark.parametrize("name", [*(d for d in DESKS if d != "large desk"), *REPORTS])


@each_page
def test_text_stands_out_from_what_is_behind_it_in_the_light_and_in_the_dark(
    pages: Pages, name: str
):
    browser = pages.open(name)
    browser.run(OPEN_ALL)
    assert browser.run(FAINT) == []

    browser.screen(1280, dark=True)
    assert browser.run(FAINT) == []


def test_a_dark_screen_gets_a_dark_page(pages: Pages):
    def paper(dark: bool) -> str:
        shown = pages.open("desk", dark=dark)
        return shown.run("return getComputedStyle(document.body).backgroundColor")

    assert paper(dark=False) == "rgb(255, 255, 255)"
    assert paper(dark=True) == "rgb(13, 17, 23)"


@pytest.mark.parametrize("name", [*DESKS, *REPORTS])
def test_on_a_phone_only_tables_scroll_sideways_each_in_its_own_frame(pages: Pages, name: str):
    browser = pages.open(name, 360)
    browser.run(OPEN_ALL)

    assert browser.run(TOO_WIDE) == []


@each_page
def test_twice_as_large_it_still_needs_no_scrolling_sideways(pages: Pages, name: str):
    """The browser's zoom makes of 1280 pixels 640 twice as sharp; a larger font alone leaves the width."""
    browser = pages.open(name, 640, sharp=2)
    assert browser.run(TOO_WIDE) == []

    browser.screen(1280)
    browser.run("document.documentElement.style.fontSize = '200%'")
    assert browser.run(TOO_WIDE) == []


@pytest.mark.parametrize("name", ["desk", *REPORTS])
@pytest.mark.parametrize("width", [360, 1280])
def test_a_charts_words_are_whole_and_lie_on_no_bar(pages: Pages, name: str, width: int):
    assert pages.open(name, width).run(CUT_OFF) == []


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
