"""YAML that isn't, and YAML that the library stumbles over."""

import pytest

from sublet.kube.documents import read_yaml

STUMBLES = [
    "a: !!bool MY-SECRET",
    "a: !!timestamp x",
    'a: !!int ""',
    "a: " + "1:" * 200 + "1.5",
    "[" * 5_000,
    "a: b: c",
    "\x00",
]


def test_what_it_says_is_returned():
    assert read_yaml(b"a: [1, b]") == {"a": [1, "b"]}


@pytest.mark.parametrize("text", STUMBLES)
def test_whatever_is_wrong_is_one_kind_of_error_without_a_word_of_the_text(text: str):
    with pytest.raises(ValueError, match=r"^it is not YAML$") as found:
        read_yaml(text)

    assert found.value.__suppress_context__
