"""What a node's own marks are read as, whatever its landlord writes there."""

import pytest

from sublet.api.ids import ClaimUID
from sublet.fleet.nodebook import UNWIPED, Unwiped, parse_unwiped
from sublet.kube.wire import LONGEST_VALUE

CLAIM = ClaimUID("7a0b5c1e-0000-4000-8000-000000000001")


def test_what_isnt_a_note_hides_none_beside_it():
    text = f"x,=,a=b,{CLAIM}=landlord.example/clean=true,"

    assert parse_unwiped({UNWIPED: text}) == {CLAIM: Unwiped("landlord.example/clean", "true")}


@pytest.mark.timeout(20)
def test_the_longest_text_is_read_at_once():
    assert parse_unwiped({UNWIPED: "a" * LONGEST_VALUE}) == {}
