"""Lines as JSON: what is written is read back, and what is none is refused."""

import json

import pytest

from sublet.ledger.line import read_line, write_line
from tests.builders.worlds import bound_claim, sound_world

_, ENTRY = sound_world(bound_claim()).ledger.entries


def test_a_line_comes_back_as_it_was():
    assert read_line(json.loads(json.dumps(write_line(ENTRY)))) == (ENTRY, ENTRY.fact.id)


@pytest.mark.parametrize("wound", [{"kind": "free"}, {"gpus": "many"}, {"at_ms": None}])
def test_what_is_no_line_is_refused(wound):
    with pytest.raises((ValueError, TypeError)):
        read_line(write_line(ENTRY) | wound)
