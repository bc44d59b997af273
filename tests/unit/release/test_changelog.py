"""What a changelog may look like."""

import pytest

from sublet import __version__
from tests.planes.binaries import ROOT
from tools.release.changelog import faults, parse

GOOD = """# Changelog

## Unreleased

## 0.2.0 (2026-12-01)

- Something new.

## 0.1.0 (2026-11-01)

- The first.
"""


def said(text: str, version: str = "0.2.0") -> str:
    return "\n".join(faults(text, version))


def test_our_own_is_in_order():
    assert said((ROOT / "CHANGELOG.md").read_text(), __version__) == ""
    assert parse(__version__)


def test_a_good_one_has_no_faults():
    assert said(GOOD) == ""
    assert said(GOOD.replace("## Unreleased\n\n", "")) == ""


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (("0.2.0 (2026-12-01)", "0.2.0"), "'## 0.2.0' is neither Unreleased nor a version"),
        (("- Something new.", ""), "0.2.0 (2026-12-01) brings nothing"),
        (("0.1.0", "0.3.0"), "versions must go down"),
        (("0.1.0", "0.2.0"), "versions must go down"),
    ],
)
def test_what_is_wrong_is_named(change: tuple[str, str], fault: str):
    assert fault in said(GOOD.replace(*change))


def test_a_version_that_the_program_isnt_yet_is_a_fault():
    assert said(GOOD, "0.1.0") == "CHANGELOG.md: has a version after 0.1.0, which the program says it is"  # fmt: skip


def test_a_version_of_which_nothing_is_said_is_a_fault():
    assert said(GOOD.replace("## Unreleased\n\n", ""), "0.3.0") == "CHANGELOG.md: says nothing of 0.3.0"  # fmt: skip


def test_what_isnt_released_comes_first():
    lines = GOOD.replace("## Unreleased\n\n", "") + "\n## Unreleased\n"

    assert "Unreleased must come first" in said(lines)


@pytest.mark.parametrize("text", ["1.2", "1.2.3.4", "v1.2.3", "1.2.3rc1", ""])
def test_a_version_is_three_numbers(text: str):
    assert parse(text) is None
