"""What a screen reader makes of the pages: the browser's own accessibility tree."""

from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest

from tests.integration.pages.conftest import DESKS, REPORTS, Pages
from tests.integration.pages.scripts import OPEN_ALL

each_page = pytest.mark.parametrize("name", [*(d for d in DESKS if d != "large desk"), *REPORTS])


@dataclass(frozen=True)
class Node:
    """One thing that is read out."""

    role: str
    name: str
    properties: dict[str, Any]


def tree(pages: Pages, name: str) -> list[Node]:
    """Return all that is read out, in order, with everything folded open."""
    browser = pages.open(name)
    browser.run(OPEN_ALL)
    nodes = browser.ask("Accessibility.getFullAXTree")["nodes"]
    return [
        Node(
            node["role"]["value"],
            node.get("name", {}).get("value", ""),
            {p["name"]: p["value"].get("value") for p in node.get("properties", ())},
        )
        for node in nodes
        if not node["ignored"]
    ]


def named(found: list[Node], role: str) -> list[str]:
    return [node.name for node in found if node.role == role]


@each_page
def test_one_heading_is_the_pages_and_the_others_stand_below_it(pages: Pages, name: str):
    found = tree(pages, name)

    levels = [node.properties["level"] for node in found if node.role == "heading"]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert all(named(found, "heading"))
    assert len(named(found, "main")) == 1
    assert pages.browser.run("return document.documentElement.lang") == "en"


@each_page
def test_every_table_has_a_name_and_every_cell_a_heading(pages: Pages, name: str):
    found = tree(pages, name)

    captions = named(found, "table")
    assert captions
    assert all(captions)
    assert [c for c, times in Counter(captions).items() if times > 1] == []
    assert all(named(found, "columnheader"))
    headless = "return [...document.querySelectorAll('tbody tr')].filter(r => !r.querySelector('th[scope=row], [colspan]')).length"
    assert pages.browser.run(headless) == 0
    assert pages.browser.run("return document.querySelectorAll('th:not([scope])').length") == 0
    # a frame that scrolls can have the focus, so it says what it is
    assert all(named(found, "region"))


@each_page
def test_every_chart_says_what_it_shows(pages: Pages, name: str):
    found = tree(pages, name)

    images = named(found, "image")
    assert len(images) == len(named(found, "figure"))
    assert all(len(image) > 20 for image in images)
    assert len(set(images)) == len(images)


def test_a_leases_chart_is_said_in_numbers(pages: Pages):
    images = named(tree(pages, "desk"), "image")

    assert (
        "GPUs of madrid-h100. Now 28 of 32 committed GPUs are held and 4 free. "
        "From 2026-12-04T10:00:00Z on 64 are committed."
    ) in images
