"""Every link and anchor in README and docs/ leads somewhere, in the repository and on the site."""

from urllib.parse import urlsplit

import pytest

from tests.builders.markdown import anchors, links, pages, resolve
from tests.planes.binaries import ROOT


@pytest.mark.parametrize("page", pages())
def test_every_link_of_a_page_leads_somewhere(page: str):
    assert [fault for target in links(page) if (fault := _fault(page, target))] == []


def _fault(page: str, target: str) -> str:
    """Say what is wrong with a link, empty if nothing is."""
    if urlsplit(target).scheme:
        return "" if target.startswith("https://") else f"{target}: only https"
    path, _, anchor = target.partition("#")
    file = resolve(page, path).resolve()
    if not file.exists():
        return f"{target}: no such file"
    if page.startswith("docs/") and not file.is_relative_to(ROOT / "docs"):
        return f"{target}: the site has docs/ alone"
    if anchor and anchor not in anchors(str(file.relative_to(ROOT))):
        return f"{target}: no such heading"
    return ""


@pytest.mark.parametrize(
    ("target", "fault"),
    [
        ("docs/nowhere.md", "no such file"),
        ("docs/metering.md#nowhere", "no such heading"),
        ("http://example.com", "only https"),
        ("docs/ledger.md#adjustments", ""),
        ("#limits-said-honestly", ""),
    ],
)
def test_a_link_that_leads_nowhere_is_found(target: str, fault: str):
    assert fault in _fault("README.md", target)
    assert bool(_fault("README.md", target)) is bool(fault)
