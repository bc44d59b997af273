"""What the next pass plans with while the hub is still being told."""

from dataclasses import replace

from sublet.api.move_status import move_of
from sublet.book.decisions import Relocate
from sublet.book.plan import plan
from sublet.hub.assumed import Assumptions
from tests.builders.fleet import after, view
from tests.builders.moves import CLASSES, decided, leased, running
from tests.builders.windows import at


def test_a_move_in_the_place_of_another_is_assumed_until_the_hub_shows_it():
    west, east = leased("west", 40), leased("east")
    seen = view([running(west, end=40)], [west, east], classes=CLASSES, now_ms=at(17))
    (first,) = decided(seen)
    assert isinstance(first, Relocate)
    (each,) = after(seen, plan(seen)).claims
    assumed = Assumptions()
    assumed.relocate(each, replace(first, sequence=3))

    claims = {each.metadata.uid: each}
    assumed.lay_over(claims)
    (will,) = claims.values()
    assert move_of(will).sequence == 3

    shown = will.model_copy()
    claims = {each.metadata.uid: shown}
    assumed.lay_over(claims)
    assert claims[each.metadata.uid] is shown
