"""Sentences for people have the plural where it is one, and only there."""

import ast
import re
from collections.abc import Iterator
from itertools import pairwise

import pytest

from sublet.api.wording import how_many
from tests.planes.binaries import ROOT

_SAYING = ("api", "binder", "book", "cli", "drift", "fleet", "hub")
_NOUN = re.compile(
    r"^ (?:(?:more|other|committed|old|new) )?"
    r"(GPUs|nodes|claims|leases|lines|seconds|pods|tasks|clusters|offers|days|hours|minutes)\b"
)

_KEPT = ("audit.py",)
"""What the audit trail says once it says for ever: its words don't change."""


def sentences() -> Iterator[tuple[str, str]]:
    """Yield place and text of each f-string in which a number that may be one is before a plural."""
    for package in _SAYING:
        for path in sorted((ROOT / "operator/sublet" / package).rglob("*.py")):
            if path.name in _KEPT:
                continue
            for each in ast.walk(ast.parse(path.read_text())):
                if isinstance(each, ast.JoinedStr):
                    parts = each.values
                    for value, text in pairwise(parts):
                        if _is_plural_of(value, text):
                            yield f"{path.relative_to(ROOT)}:{each.lineno}", ast.unparse(each)


def _is_plural_of(value: ast.expr, text: ast.expr) -> bool:
    if not (isinstance(value, ast.FormattedValue) and isinstance(text, ast.Constant)):
        return False
    names = [x.id for x in ast.walk(value.value) if isinstance(x, ast.Name)]
    is_one_of_ours = bool(names) and all(x.isupper() for x in names)
    is_large = value.format_spec is not None  # thousands have commas
    return not (is_one_of_ours or is_large) and bool(_NOUN.match(str(text.value)))


@pytest.mark.parametrize(
    ("number", "said"), [(0, "0 nodes are"), (1, "1 node is"), (2, "2 nodes are")]
)
def test_a_verb_goes_with_the_number(number: int, said: str):
    assert how_many(number, "node", "is", "are") == said


def test_a_number_without_a_verb_is_a_number_with_its_word():
    assert [how_many(n, "older GPU") for n in (1, 8)] == ["1 older GPU", "8 older GPUs"]


def test_no_sentence_has_a_plural_behind_a_number_that_may_be_one():
    assert list(sentences()) == []
