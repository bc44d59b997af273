"""The pictures in docs/desk.md are of the page as it is, and small."""

import pytest

from tests.harness.pictures import PICTURES, digest, marked, taken_of
from tests.planes.binaries import ROOT


@pytest.mark.parametrize("picture", PICTURES, ids=lambda p: p.name)
def test_a_picture_is_of_the_page_as_it_is_now(picture):
    png = picture.path.read_bytes()

    assert taken_of(png) == digest(), "take them again: python -m tests.harness.pictures"
    assert len(png) < 150_000


def test_the_docs_show_each_and_say_what_is_to_be_seen():
    page = (ROOT / "docs" / "desk.md").read_text()

    for picture in PICTURES:
        words = page.split(f"](images/{picture.path.name})")[0].rpartition("![")[2]
        assert len(words) > 40


def test_a_mark_changes_nothing_else_of_a_picture():
    png = PICTURES[1].path.read_bytes()

    again = marked(png, "other")
    assert taken_of(again) == taken_of(png), "the first mark counts"
    assert again.startswith(png[:-12])
