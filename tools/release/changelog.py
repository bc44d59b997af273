"""Does CHANGELOG.md say what a version brings? Pure."""

import re
from collections.abc import Iterator
from typing import Final

_HEADING: Final = re.compile(r"^## (?P<title>.+)$", re.MULTILINE)
_RELEASED: Final = re.compile(r"^(?P<version>\d+\.\d+\.\d+) \(\d{4}-\d{2}-\d{2}\)$")
UNRELEASED: Final = "Unreleased"
Version = tuple[int, int, int]


def parse(text: str) -> Version | None:
    """Return a version as numbers, None if it isn't one of three numbers."""
    found = re.fullmatch(r"(\d+)\.(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2]), int(found[3])) if found else None


def faults(text: str, version: str) -> Iterator[str]:
    """Yield what is wrong with the changelog of a tree whose version this is."""
    titles = [found["title"] for found in _HEADING.finditer(text)]
    sections = dict(zip(titles, _HEADING.split(text)[2::2], strict=True))
    released = []
    for title, body in sections.items():
        if title != UNRELEASED and not _RELEASED.match(title):
            yield f"CHANGELOG.md: '## {title}' is neither {UNRELEASED} nor a version with its day, as '0.2.0 (2026-12-01)'"
            continue
        if not re.search(r"^- \S", body, re.MULTILINE) and title != UNRELEASED:
            yield f"CHANGELOG.md: {title} brings nothing"
        if found := _RELEASED.match(title):
            released.append(found["version"])
    if UNRELEASED in titles[1:]:
        yield f"CHANGELOG.md: {UNRELEASED} must come first"
    numbers = [number for each in released if (number := parse(each)) is not None]
    if numbers != sorted(set(numbers), reverse=True):
        yield "CHANGELOG.md: versions must go down, each once"
    mine = parse(version)
    if mine is not None and any(number > mine for number in numbers):
        yield f"CHANGELOG.md: has a version after {version}, which the program says it is"
    if version not in released and UNRELEASED not in titles:
        yield f"CHANGELOG.md: says nothing of {version}"
