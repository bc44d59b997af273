"""How README's "Ten minutes" is compared with what the demo prints; the demo itself is played in tests/e2e/test_demo.py."""

import pytest

from tests.builders.markdown import blocks
from tests.demo.guide import PAGE, Shown, alike, as_shown, commands_of

PLAYED = [b.text for b in blocks(PAGE) if b.language == "console"]


def test_a_block_is_commands_each_with_what_it_prints():
    assert commands_of("$ sublet top\nLEASE   FREE\n\nwest    8\n$ true\n") == [
        Shown("sublet top", "LEASE   FREE\n\nwest    8"),
        Shown("true", ""),
    ]


@pytest.mark.parametrize("block", PLAYED)
def test_what_the_page_shows_is_read_back_as_it_stands(block: str):
    assert "".join(shown.text for shown in commands_of(block)) == block


@pytest.mark.parametrize(
    ("shown", "printed", "is_alike"),
    [
        ("until 2026-12-09T15:56:21.559Z", "until 2027-01-01T00:00:00Z", True),
        ("train  Bound", "train    Bound", True),
        ("train  Bound", "train  Waiting", False),
        ("west  32  18", "west  32  17", False),
        ("work  0s  10.0.0.1  h100-1", "work  12s  10.0.0.7  h100-3", True),
        ("30 objects, 28 of them changed", "30 objects, 0 of them changed", True),
        ("a  bound  18960  0.005266  0.02  USD", "a  bound  400  0.000111  0.00  USD", True),
        ("at most 2.00 per GPU-hour", "at most 2.50 per GPU-hour", False),
        ("a\nb", "b\na", True),
        ("a\nb", "a", False),
    ],
)
def test_only_what_differs_from_run_to_run_may_differ(shown: str, printed: str, is_alike: bool):
    assert alike(shown, printed) is is_alike


def test_of_an_output_that_the_page_cuts_the_beginning_is_shown():
    assert as_shown("a \nb\nc\n", "x\n…") == "a\n…"
    assert as_shown("a \nb\n\n", "x") == "a\nb"
