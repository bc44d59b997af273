"""A browser, and the pages that it opens: the operator's own, served by its admin endpoint, and the reports, which are files."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sublet.api.times import Millis
from sublet.book.view import View
from sublet.cli.main import app
from sublet.pages.book import book_page
from sublet.pages.desk import SPAN_MS
from sublet.pages.supply import make_book
from tests.builders import desks
from tests.builders.sold_month import database
from tests.harness.browser import Browser
from tests.harness.chromium import NoBrowser
from tests.harness.desk import Desk, served_desk

DESKS = {
    "desk": desks.working,
    "empty desk": desks.nothing,
    "large desk": desks.huge,
    "attacked desk": desks.hostile,
}
"""How each is made: only a test that runs makes one."""
REPORTS = ("book", "margin")


@cache
def _view_of(name: str) -> View:
    return DESKS[name]()


class Pages:
    """Opens pages by name."""

    def __init__(self, browser: Browser, desk: Desk, folder: Path) -> None:
        self.browser = browser
        self.desk = desk
        self._folder = folder

    def open(self, name: str, width: int = 1280, *, dark: bool = False, sharp: int = 1) -> Browser:
        """Show a page as it is when somebody opens it, on a screen so wide."""
        self.browser.screen(width, 740, dark=dark, sharp=sharp)
        if name in DESKS:
            self.desk.view = _view_of(name)
            self.browser.open(self.desk.url)
        else:
            self.browser.open(self._report(name).as_uri())
        return self.browser

    def _report(self, name: str) -> Path:
        path = self._folder / f"{name}.html"
        if name == "book" and not path.exists():
            view = _view_of("desk")
            to_ms = Millis(view.now_ms + SPAN_MS)
            path.write_text(book_page(make_book(view.leases, view.claims, view.now_ms, to_ms)))
        if name == "margin" and not path.exists():
            asked = ["margin", "--month", "2026-09", "--html", str(path)]
            done = CliRunner().invoke(app, asked, env={"SUBLET_DATABASE_URL": database(self._folder)})  # fmt: skip
            assert done.exit_code == 0, done.output
        return path


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One for all modules that this process runs: to start costs more than to use it."""
    try:
        found = Browser()
    except NoBrowser as missing:
        pytest.fail(str(missing), pytrace=False)
    yield found
    found.close()


@pytest.fixture(scope="module")
def pages(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pages]:
    with served_desk() as desk:
        yield Pages(browser, desk, tmp_path_factory.mktemp("pages"))
