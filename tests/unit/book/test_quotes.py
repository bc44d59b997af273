"""What a quote may count on: what those that wait leave."""

from typing import Any

from sublet.api.gpuclaim import GpuClaim
from sublet.api.pending import OfferKind
from sublet.api.times import Millis, format_instant
from sublet.book.plan import plan
from tests.builders.api import NOW, as_claim, as_lease, claim, lease
from tests.builders.fleet import held, inventory, nodes, refusal_of, reserve_of, view
from tests.builders.windows import at

WEST = as_lease(lease("west", committed=64))
MINUTE_MS = 60_000


def fleet(count: int = 8):
    return [(WEST, inventory(WEST, nodes(WEST, count)))]


def quote(name: str, minutes: int = 0, **spec: Any) -> GpuClaim:
    """Return a suspended claim that was made so many minutes from now."""
    made = format_instant(Millis(NOW + minutes * MINUTE_MS))
    return as_claim(claim(name, suspended=True, **spec), creationTimestamp=made)


def busy_until(hours: float, count: int) -> GpuClaim:
    spec = {"schedule": {"durationSeconds": int(hours * 3_600)}}
    body = as_claim(claim("busy", gpus=8 * count, **spec))
    return held(body, WEST, nodes(WEST, count), until_ms=at(hours))


def test_a_quote_stands_behind_the_room_that_is_kept_for_those_that_wait():
    waiting = as_claim(claim("waiting", gpus=16, schedule={"durationSeconds": 4 * 3_600}))
    asked = quote("new", gpus=8, schedule={"durationSeconds": 7 * 86_400})

    made = plan(view([busy_until(1, 1), waiting, asked], fleet(2)))

    assert refusal_of(made, waiting).estimated_ms == at(1)
    found = {o.change: o for o in refusal_of(made, asked).offers}
    assert OfferKind.AS_ASKED not in found
    assert found[OfferKind.LATER].start_time == at(5)
    assert found[OfferKind.SHORTER].end_time == at(1)


def test_a_quote_stands_behind_those_that_the_same_pass_serves():
    waiting = [as_claim(claim(f"waiting-{n}")) for n in range(2)]
    asked = quote("new")

    made = plan(view([*waiting, asked], fleet(2)))

    assert all(reserve_of(made, each).placements for each in waiting)
    assert OfferKind.AS_ASKED not in {o.change for o in refusal_of(made, asked).offers}
