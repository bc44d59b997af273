"""From when to when GPUs are held and paid for, in every state of a claim."""

import pytest

from sublet.api import claim_status, move_status
from sublet.api.gpuclaim import GpuClaim
from sublet.api.relocation import Move, MoveCause, ReleaseCause
from sublet.book.coverage import coverage
from sublet.book.spans import Span, spans_of
from sublet.book.steps import FOREVER
from sublet.book.view import View
from tests.builders.api import NOW, as_claim, as_lease, lease
from tests.builders.sales import bound, given_back, hour, reserved, sold

WEST = as_lease()


def span(each: GpuClaim, now_ms=NOW) -> Span:
    ((only,),) = spans_of([each], (), now_ms).values()
    return only


def times(each: GpuClaim, now_ms=NOW) -> tuple[tuple[int, int], tuple[int, int]]:
    found = span(each, now_ms)
    return (found.from_ms, found.until_ms), (found.paid_from_ms, found.paid_until_ms)


def test_a_claim_that_holds_nothing_has_no_span():
    assert spans_of([as_claim()], (), NOW) == {}


def test_what_is_reserved_is_held_and_not_paid_for():
    each = reserved("a", WEST, 8, hour(-1), hour(5))

    held, paid = times(each)
    assert (held, paid[0] == paid[1]) == ((hour(-1), hour(5)), True)


def test_what_is_bound_is_paid_for_until_its_end():
    each = sold("a", WEST, 8, from_ms=hour(-2), bound_ms=hour(-1), until_ms=hour(5))

    assert times(each) == ((hour(-2), hour(5)), (hour(-1), hour(5)))


def test_without_an_end_it_goes_on():
    assert times(sold("a", WEST, 8)) == ((NOW, FOREVER), (NOW, FOREVER))


def test_past_its_end_it_is_held_until_the_release_is_done_and_not_paid_for():
    each = sold("a", WEST, 8, from_ms=hour(-2), until_ms=hour(-1))

    assert times(each) == ((hour(-2), FOREVER), (hour(-2), hour(-1)))


def test_the_meter_stops_at_the_release_and_the_hold_when_that_is_done():
    each = sold("a", WEST, 8, from_ms=hour(-4), until_ms=hour(5))

    assert times(given_back(each, hour(-2))) == ((hour(-4), hour(5)), (hour(-4), hour(-2)))
    assert times(given_back(each, hour(-2), hour(-1))) == (
        (hour(-4), hour(-1)),
        (hour(-4), hour(-2)),
    )


def test_a_lost_race_was_held_until_it_was_lost_and_never_paid_for():
    each = reserved("a", WEST, 8, hour(-2))
    lost = each.model_copy(update={"status": claim_status.unreserved(each, "lost", hour(-1))})

    held, paid = times(lost)
    assert (held, paid[0] == paid[1]) == ((hour(-2), hour(-1)), True)


def test_the_shares_of_two_leases_are_two_spans():
    east = as_lease(name="east", uid="0" * 36)
    each = reserved("a", WEST, 8)
    places = each.status.allocation.placements
    other = places[0].model_copy(update={"lease_uid": east.metadata.uid, "gpus": 4})
    allocation = each.status.allocation.model_copy(update={"placements": (*places, other, other)})
    both = each.model_copy(
        update={"status": each.status.model_copy(update={"allocation": allocation})}
    )

    found = spans_of([bound(both, NOW)], (), NOW)
    assert {uid: [s.gpus for s in spans] for uid, spans in found.items()} == {
        WEST.metadata.uid: [8],
        east.metadata.uid: [8],
    }


@pytest.mark.parametrize(
    ("window", "held", "paid"), [((-9, 9), 7, 6), ((0, 1), 1, 1), ((-2, -1), 1, 0), ((5, 9), 0, 0)]
)
def test_what_is_inside_a_window_is_counted_in_gpu_milliseconds(window, held, paid):
    found = span(sold("a", WEST, 8, from_ms=hour(-2), bound_ms=hour(-1), until_ms=hour(5)))
    begin, end = hour(window[0]), hour(window[1])

    each_hour = 8 * 3_600_000
    assert (found.held(begin, end), found.paid(begin, end)) == (held * each_hour, paid * each_hour)


EAST = as_lease(name="east", uid="0" * 36)


def moving(keeps: int = 0) -> GpuClaim:
    """Return a claim on west until hour 5, whose nodes on east are ready since hour 1; of `keeps` GPUs it keeps the node."""
    each = sold("a", WEST, 8, from_ms=hour(-2), until_ms=hour(5))
    held = each.status.allocation
    (west,) = held.placements
    east = west.model_copy(update={"lease_uid": EAST.metadata.uid, "node_uid": "e" * 36})
    kept = west.model_copy(update={"node_uid": "k" * 36, "gpus": keeps})
    stays = (kept,) if keeps else ()
    moves = Move(
        sequence=2,
        cause=MoveCause.LEASE_ENDS,
        decided_time=hour(1),
        cutover_time=hour(5),
        until_time=hour(9),
        placements=(east, *stays),
    )
    ends = {"placements": (west, *stays), "until_cause": ReleaseCause.LEASE_ENDED}
    held = held.model_copy(update=ends)
    status = each.status.model_copy(update={"allocation": held})
    each = each.model_copy(update={"status": status})
    each = each.model_copy(update={"status": move_status.moving(each, moves, hour(1))})
    ready = move_status.ready_to_move(each, None, hour(1))
    return each.model_copy(update={"status": ready})


def seen(each: GpuClaim, at: float, now_ms=NOW) -> dict[str, tuple[int, int]]:
    """Return by lease what is held and what is paid for at an hour."""
    names = {WEST.metadata.uid: "west", EAST.metadata.uid: "east"}
    return {
        names[uid]: (
            sum(s.gpus for s in spans if s.holds_at(hour(at))),
            sum(s.gpus for s in spans if s.pays_at(hour(at))),
        )
        for uid, spans in spans_of([each], (), now_ms).items()
    }


@pytest.mark.parametrize("keeps", [0, 4])
def test_a_claim_that_moves_holds_both_and_pays_for_one_set_at_each_instant(keeps):
    each = moving(keeps)

    assert seen(each, 0, hour(2)) == {"west": (8 + keeps, 8 + keeps), "east": (0, 0)}
    assert seen(each, 2, hour(2)) == {"west": (8 + keeps, 8 + keeps), "east": (8, 0)}
    assert seen(each, 6, hour(2)) == {"west": (keeps, keeps), "east": (8, 8)}
    assert seen(each, 9, hour(2)) == {"west": (0, 0), "east": (0, 0)}


@pytest.mark.parametrize("keeps", [0, 4])
def test_what_a_claim_left_is_held_until_it_is_free_and_was_paid_for_until_then(keeps):
    each = moving(keeps)
    over = each.model_copy(update={"status": move_status.cut_over(each, hour(5), hour(5))})

    assert seen(over, 2, hour(5)) == {"west": (8 + keeps, 8 + keeps), "east": (0, 0)}
    assert seen(over, 5, hour(5)) == {"west": (8 + keeps, keeps), "east": (8, 8)}
    (left,) = over.status.leaving
    free = left.model_copy(update={"freed_time": hour(5.5)})
    done = over.model_copy(update={"status": move_status.changed(over, free)})
    assert seen(done, 5.5, hour(6)) == {"west": (keeps, keeps), "east": (8, 8)}


def test_a_claim_that_holds_a_lease_twice_is_named_once():
    each = moving(4)
    over = each.model_copy(update={"status": move_status.cut_over(each, hour(5), hour(5))})
    small = as_lease(lease("west", committed=2))
    found = coverage(View(hour(5), (over,), (small,)), hour(5))

    assert [x.uncovered_claims for x in found if x.lease_uid == small.metadata.uid] == [
        (over.metadata.uid,)
    ]
