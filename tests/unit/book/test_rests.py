"""From when nodes that are given back should be free, by the rest that their leases ask for."""

from sublet.book.rests import rested_ms
from tests.builders.api import NOW
from tests.builders.moves import leased, running

MINUTE = 60_000
WEST = leased("west", term={"quarantineSeconds": 60})
EAST = leased("east", term={"quarantineSeconds": 300})
LEASES = {each.metadata.uid: each for each, _ in (WEST, EAST)}
PLACES = [p for pair in (WEST, EAST) for p in running(pair).status.allocation.placements]


def test_while_pods_may_be_there_no_rest_has_begun():
    assert rested_ms(PLACES, NOW, None, LEASES.get) == NOW


def test_all_rest_as_long_as_the_lease_that_asks_for_most():
    assert rested_ms(PLACES, NOW, NOW + MINUTE, LEASES.get) == NOW + 6 * MINUTE


def test_a_lease_that_is_gone_asks_for_none():
    assert rested_ms(PLACES, NOW, NOW + MINUTE, {}.get) == NOW + MINUTE
