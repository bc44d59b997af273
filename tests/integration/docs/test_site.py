"""The site is built strictly, and asks for nothing from elsewhere."""

import re
from pathlib import Path

import pytest

from tools.site import build

LOADED = re.compile(r'<(?:script|link|img|iframe)[^>]*\b(?:src|href)="(?P<url>[^"]+)"')


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    target: Path = tmp_path_factory.mktemp("site")
    done = build(target)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    return target


def test_every_page_is_built(site: Path):
    built = {str(p.relative_to(site)) for p in site.rglob("*.html")}

    assert {"index.html", "quickstart.html", "howto/ramp.html", "reference/api.html"} <= built


def test_no_page_loads_anything_from_elsewhere(site: Path):
    loaded = {m["url"] for p in site.rglob("*.html") for m in LOADED.finditer(p.read_text())}

    assert {url for url in loaded if url.startswith(("http:", "https:", "//"))} == set()
