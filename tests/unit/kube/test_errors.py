"""What is made of an error's body, which a server may fill with anything."""

from typing import Any

import pytest

from sublet.kube.errors import Forbidden, error_from_status


def nested(depth: int) -> Any:
    """Return objects in objects, more than a text can be made of."""
    found: Any = {}
    for _ in range(depth):
        found = {"message": found}
    return found


@pytest.mark.parametrize("junk", [7, [], {"message": "x"}, nested(10_000)], ids=["number", "list", "object", "nest"])  # fmt: skip
@pytest.mark.parametrize("field", ["reason", "message"])
def test_what_should_be_a_text_and_is_none_is_as_if_it_were_missing(field: str, junk: Any):
    error = error_from_status(403, {field: junk})

    assert isinstance(error, Forbidden)
    assert (error.reason, error.message) == ("Unknown", "no message")
