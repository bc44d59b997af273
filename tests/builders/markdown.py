"""What stands in README and the pages under docs/: links, headings, blocks of code, read by a real parser."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

from tests.planes.binaries import ROOT

_PARSER = MarkdownIt("commonmark").enable("table")


@dataclass(frozen=True, slots=True)
class Block:
    """One block of code."""

    page: str
    line: int
    language: str
    text: str


def pages() -> list[str]:
    """Return the paths of all pages for people, from the repository's root."""
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    return sorted(str(path.relative_to(ROOT)) for path in found)


@cache
def tokens(page: str) -> tuple[Token, ...]:
    """Return a page, parsed."""
    return tuple(_PARSER.parse((ROOT / page).read_text()))


def links(page: str) -> Iterator[str]:
    """Yield where a page's links and pictures lead."""
    for token in tokens(page):
        for each in token.children or ():
            target = each.attrGet("href") or each.attrGet("src")
            if target is not None:
                yield str(target)


def headings(page: str) -> list[str]:
    """Return a page's headings as they are read."""
    found = tokens(page)
    inlines = [found[n + 1] for n, token in enumerate(found) if token.type == "heading_open"]
    return ["".join(each.content for each in inline.children or ()) for inline in inlines]


def blocks(page: str) -> Iterator[Block]:
    """Yield a page's blocks of code, fenced and indented."""
    for token in tokens(page):
        if token.type in ("fence", "code_block"):
            line = (token.map or [0])[0] + 1
            yield Block(page, line, token.info.strip(), token.content)


def words_of_code(page: str) -> Iterator[str]:
    """Yield what stands between backticks in a page's sentences and tables."""
    for token in tokens(page):
        for each in token.children or ():
            if each.type == "code_inline":
                yield each.content


def on_the_site(heading: str) -> str:
    """Return a heading's anchor as MkDocs makes it."""
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower())


def in_the_repository(heading: str) -> str:
    """Return a heading's anchor as code hosts make it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def anchors(page: str) -> set[str]:
    """Return the anchors that lead to a heading on the site and in the repository alike."""
    found = headings(page)
    return {on_the_site(h) for h in found} & {in_the_repository(h) for h in found}


def resolve(page: str, target: str) -> Path:
    """Return the file that a link without its anchor leads to."""
    return (ROOT / page).parent / target if target else ROOT / page
