"""The site's menu has every page, and every page of it is there."""

from collections.abc import Iterator
from typing import Any

import yaml

from tests.planes.binaries import ROOT

SITE = yaml.safe_load((ROOT / "mkdocs.yml").read_text())


def in_the_menu(entries: list[Any]) -> Iterator[str]:
    """Yield the paths of a menu, at any depth."""
    for entry in entries:
        for title, value in entry.items():
            assert title[0].isupper()
            if isinstance(value, list):
                yield from in_the_menu(value)
            else:
                yield value


def test_every_page_is_in_the_menu_once():
    menu = list(in_the_menu(SITE["nav"]))
    pages = {str(p.relative_to(ROOT / "docs")) for p in (ROOT / "docs").rglob("*.md")}

    # the single decisions are in their own list
    assert sorted(menu) == sorted(p for p in pages if not p.startswith("decisions/0"))


def test_nothing_is_asked_of_other_servers():
    assert SITE["theme"]["font"] is False
    assert "extra_javascript" not in SITE
