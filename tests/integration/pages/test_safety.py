"""The page runs nothing, asks nobody, and is shown to nobody else, whatever names and messages say."""

from collections.abc import Iterator

import pytest

from tests.builders.desks import EVIL
from tests.harness.browser import EVIL_HOST, Browser
from tests.integration.pages.conftest import DESKS, REPORTS, Pages

TEXT = "return document.body.innerText"


@pytest.fixture(autouse=True)
def _nothing_from_before(pages: Pages) -> None:
    pages.browser.open("about:blank")
    pages.browser.complaints()
    pages.browser.requests()


@pytest.fixture
def without_script(pages: Pages) -> Iterator[Browser]:
    pages.browser.ask("Emulation.setScriptExecutionDisabled", value=True)
    yield pages.browser
    pages.browser.ask("Emulation.setScriptExecutionDisabled", value=False)


@pytest.mark.parametrize("name", [*DESKS, *REPORTS])
def test_a_page_asks_for_nothing_but_itself_and_the_console_is_silent(pages: Pages, name: str):
    browser = pages.open(name)

    assert browser.requests() == [browser.run("return location.href")]
    assert browser.complaints() == []


def test_a_script_for_a_name_is_shown_as_text_and_never_run(pages: Pages):
    browser = pages.open("attacked desk")

    assert browser.run("return document.title") == "Sublet: the book"
    assert browser.run("return document.querySelectorAll('script, img, svg[onload]').length") == 0
    assert EVIL in browser.run(TEXT)


def test_even_what_got_into_the_page_could_neither_run_nor_call_home(pages: Pages):
    browser = pages.open("desk")
    browser.requests()

    ran = browser.run(
        """
        const script = document.createElement('script'); script.textContent = 'window.ran = 1';
        document.body.append(script);
        new Image().src = '/admin/v1/pass?stolen';
        return new Promise(done => fetch('/admin/v1/pass').then(() => done('read'), () => done(window.ran || 'nothing')));
        """
    )

    assert ran == "nothing"
    assert browser.requests() == []
    assert "Content Security Policy" in " ".join(browser.complaints())


def test_without_javascript_everything_is_there_and_folds_open(pages: Pages, without_script: Browser):  # fmt: skip
    pages.open("desk")
    said = without_script.run(TEXT)
    assert "acme/moe-scaling" in said
    assert "acme/llama-pretrain: 16 GPUs" in without_script.run("return document.body.textContent")

    without_script.run("document.querySelector('summary').focus()")
    without_script.press("Enter")

    assert len(without_script.run(TEXT)) > len(said)


def test_another_sites_page_cant_show_it_in_a_frame(pages: Pages):
    browser = pages.browser
    browser.open(f"data:text/html,<iframe src='{pages.desk.url}'></iframe>")

    with browser.frame():
        assert browser.run("return location.href") == "chrome-error://chromewebdata/"
        assert "Waiting claims" not in browser.run(TEXT)


def test_a_name_of_somebody_elses_that_leads_here_gets_nothing(pages: Pages):
    """An attacker's name server may answer 127.0.0.1: the page of that name would be the attacker's to read."""
    pages.browser.open(f"http://{EVIL_HOST}:{pages.desk.port}/")

    said = pages.browser.run(TEXT)
    assert "ask through a port-forward" in said
    assert "Waiting claims" not in said
