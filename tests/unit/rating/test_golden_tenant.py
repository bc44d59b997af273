"""Months of a tenant and what they come to, to the last cent. The numbers are small enough to be checked by hand."""

import pytest

from tests.builders.tenant_story import FOLDER, stories, told


@pytest.mark.parametrize("path", stories(), ids=lambda path: path.stem)
def test_a_story_comes_to_what_its_text_says(path):
    assert told(path) == path.with_suffix(".txt").read_text()


def test_every_text_has_its_story():
    assert {p.stem for p in FOLDER.glob("*.txt")} == {p.stem for p in stories()} != set()
