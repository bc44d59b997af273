"""resourceVersions compare as numbers; what is no number is older than all."""

import pytest

from sublet.kube.versions import version_number


@pytest.mark.parametrize(
    ("text", "number"),
    [("7", 7), ("18446744073709551615", 2**64 - 1), ("", 0), ("-1", 0), ("1e3", 0), ("1" * 21, 0)],
)
def test_a_version_is_its_number_or_none(text: str, number: int):
    assert version_number(text) == number


def test_a_later_version_of_more_digits_is_greater():
    assert version_number("1000") > version_number("999")
