"""What a screen reader makes of the pages: the browser's own accessibility tree."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest

from tests.integration.pages.conftest import DESKS, REPORTS, Pages
from tests.integration.pages.scripts import HEADLESS, OPEN_ALL

each_page = pytest.mark.parametrize("name", [*(d for d in DESKS if d != "large desk"), *REPORTS])


@dataclass(frozen=True)
class Node:
    """One thing that is read out."""

    role: str
    name: str
    properties: dict[str, Any]


@dataclass(frozen=True)
class Heard:
    """A page as it is read out, with everything folded open."""

    nodes: tuple[Node, ...]
    headless: list[str]
    language: str

    def named(self, role: str) -> list[str]:
        """Return the names of all that is of a role, in order."""
        return [node.name for node in self.nodes if node.role == role]


Hear = Callable[[str], Heard]


@pytest.fixture(scope="module")
def hear(pages: Pages) -> Hear:
    """Reads out a page, each one once."""
    heard: dict[str, Heard] = {}

    def read(name: str) -> Heard:
        if name not in heard:
            heard[name] = read_out(pages, name)
        return heard[name]

    return read


def read_out(pages: Pages, name: str) -> Heard:
    browser = pages.open(name)
    browser.run(OPEN_ALL)
    nodes = tuple(
        Node(
            node["role"]["value"],
            node.get("name", {}).get("value", ""),
            {p["name"]: p["value"].get("value") for p in node.get("properties", ())},
        )
        for node in browser.ask("Accessibility.getFullAXTree")["nodes"]
        if not node["ignored"]
    )
    return Heard(nodes, browser.run(HEADLESS), browser.run("return document.documentElement.lang"))


@each_page
def test_one_heading_is_the_pages_and_the_others_stand_below_it(hear: Hear, name: str):
    page = hear(name)

    levels = [node.properties["level"] for node in page.nodes if node.role == "heading"]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert all(page.named("heading"))


@each_page
def test_a_page_has_one_main_part_and_a_language(hear: Hear, name: str):
    page = hear(name)

    assert len(page.named("main")) == 1
    assert page.language == "en"


@each_page
def test_every_table_has_a_name_of_its_own_and_every_row_a_heading(hear: Hear, name: str):
    page = hear(name)

    captions = page.named("table")
    assert captions
    assert [c for c, times in Counter(captions).items() if times > 1 or not c] == []
    assert all(page.named("columnheader"))
    assert page.headless == []
    # a frame that scrolls can have the focus, so it says what it is
    assert all(page.named("region"))


@each_page
def test_every_chart_says_what_it_shows(hear: Hear, name: str):
    page = hear(name)

    images = page.named("image")
    assert len(images) == len(page.named("figure"))
    assert all(len(image) > 20 for image in images)
    assert len(set(images)) == len(images)


def test_a_leases_chart_is_said_in_numbers(hear: Hear):
    assert (
        "GPUs of madrid-h100. Now 28 of 32 committed GPUs are held and 4 free. "
        "From 2026-12-04T10:00:00Z on 64 are committed."
    ) in hear("desk").named("image")
