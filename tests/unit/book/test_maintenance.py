"""Maintenance windows: nothing new overlaps one, whoever is in stays, and who has no end of its own ends before it."""

import pytest

from sublet.api.common import Status, find_condition
from sublet.api.pending import OfferKind, PendingReason
from sublet.api.relocation import ReleaseCause
from sublet.api.times import format_instant
from sublet.book.coverage import coverage
from sublet.book.decisions import Extend, Take
from sublet.book.maintenance import away_at, taken_away
from sublet.book.notices import NOT_EXPIRING, notices
from sublet.book.outlook import outlook
from sublet.book.plan import plan
from tests.builders.api import NOW, as_claim, as_class, as_lease, claim, gpu_class, lease
from tests.builders.fleet import (
    after,
    carried_out,
    held,
    inventory,
    nodes,
    refusal_of,
    released,
    reserve_of,
    view,
)
from tests.builders.sales import bound
from tests.builders.windows import ahead, at, lasting

MAINTENANCE = ReleaseCause.MAINTENANCE


def window(begins: float, ends: float, gpus: int | None = None):
    found = {"startTime": format_instant(at(begins)), "endTime": format_instant(at(ends))}
    return {**found, "gpus": gpus} if gpus is not None else found


def west(*windows, count: int = 2, committed: int = 16, name: str = "west"):
    each = as_lease(lease(name, committed=committed, maintenance=list(windows)))
    return [(each, inventory(each, nodes(each, count)))]


def open_ended(name: str = "open", gpus: int = 8):
    return as_claim(claim(name, gpus=gpus))


def holder(
    on, *, until: float | None, asks: float | None, name="holder", node: int = 0, cause=None
):
    schedule = {"durationSeconds": int(asks * 3600)} if asks is not None else {}
    asked = as_claim(claim(name, schedule=schedule))
    ends = at(until) if until is not None else None
    return held(asked, on[0][0], [nodes(on[0][0], 2)[node]], until_ms=ends, cause=cause)


def test_a_claim_that_would_overlap_a_window_waits_and_is_told_of_it():
    asked, on = lasting("train", 6), west(window(4, 5))

    refused = refusal_of(plan(view([asked], on)), asked)

    assert refused.reason is PendingReason.WAITING_FOR_CAPACITY
    assert f"maintenance takes GPUs away from {format_instant(at(4))} to {format_instant(at(5))}" in refused.message  # fmt: skip
    offers = {o.change: o for o in refused.offers}
    assert offers[OfferKind.LATER].start_time == at(5)
    assert offers[OfferKind.SHORTER].end_time == at(4)


def test_one_that_ends_as_the_window_begins_is_placed():
    asked = lasting("train", 4)

    assert reserve_of(plan(view([asked], west(window(4, 5)))), asked).until_ms == at(4)


def test_a_window_of_some_gpus_leaves_the_others():
    first, second = lasting("a", 6, gpus=8), lasting("b", 6, gpus=8)

    made = plan(view([first, second], west(window(4, 5, gpus=8))))

    assert reserve_of(made, first).until_ms == at(6)
    assert refusal_of(made, second).reason is PendingReason.WAITING_FOR_CAPACITY


def test_gpus_that_were_never_delivered_arent_the_ones_that_go_away():
    asked = lasting("train", 6, gpus=8)
    on = west(window(4, 5, gpus=8), committed=16, count=1)

    assert refusal_of(plan(view([asked], on)), asked)


def test_a_window_to_come_is_promised_only_beside_maintenance():
    over, beside, on = ahead("over", 4, 2), ahead("beside", 5, 2), west(window(4, 5))

    assert refusal_of(plan(view([over], on)), over)
    assert reserve_of(plan(view([beside], on)), beside).bookings


def test_another_lease_is_taken_that_has_no_window():
    asked = open_ended()
    on = [*west(window(4, 5), name="a"), *west(name="b")]

    made = reserve_of(plan(view([asked], on)), asked)

    assert (made.placements[0].lease, made.until_ms) == ("b", None)


def test_without_a_duration_a_claim_ends_before_the_window_if_no_lease_has_room_beyond():
    asked = open_ended()

    made = reserve_of(plan(view([asked], west(window(4, 5), window(9, 10)))), asked)

    assert (made.until_ms, made.until_cause) == (at(4), MAINTENANCE)


def test_of_two_windows_the_later_one_ends_it_where_only_that_is_in_its_way():
    asked = open_ended()
    on = west(window(4, 5, gpus=8), window(9, 10))

    assert reserve_of(plan(view([asked], on)), asked).until_ms == at(9)


def promised_from(hour: float, on, **spec):
    """Return a claim with a promise of 8 GPUs on the lease west."""
    each = ahead("promise", hour, 1, gpus=8, placement={"leases": {"allow": ["west"]}}, **spec)
    return carried_out(each, reserve_of(plan(view([each], on)), each))


def test_a_window_of_another_lease_lets_nobody_in_in_front_of_a_promise():
    on = [*west(count=1, committed=8), *west(window(3, 4), count=1, committed=8, name="east")]
    east = on[1][0]
    full = held(open_ended("full"), east, nodes(east, 1))
    asked = open_ended()

    made = plan(view([promised_from(5, on), full, asked], on))

    assert refusal_of(made, asked).estimated_ms == at(6)


def test_a_window_that_leaves_enough_lets_nobody_in_in_front_of_a_promise():
    on = west(window(3, 4, gpus=8), count=1, committed=64)
    asked = open_ended()

    assert refusal_of(plan(view([promised_from(5, on), asked], on)), asked).estimated_ms == at(6)


def test_however_many_windows_other_leases_have_a_claim_ends_before_its_own():
    others = west(*(window(h / 10, h / 10 + 0.05) for h in range(5, 30)), count=0, name="east")
    on = [*west(window(4, 5)), *others]
    asked = open_ended()

    assert reserve_of(plan(view([asked], on)), asked).until_ms == at(4)


def test_over_several_leases_the_window_of_one_ends_it():
    on = [*west(window(4, 5), count=1), *west(count=1, name="east")]
    asked = open_ended(gpus=16)

    made = reserve_of(plan(view([asked], on)), asked)

    assert {p.lease for p in made.placements} == {"west", "east"}
    assert (made.until_ms, made.until_cause) == (at(4), MAINTENANCE)


def test_windows_before_its_start_dont_matter_to_a_blocked_claim():
    on = west(window(1, 2), window(4, 5), window(9, 10))
    busy = [holder(on, until=h, asks=h, name=f"h{h}", node=i) for i, h in enumerate((2, 6))]
    asked = open_ended(gpus=16)

    assert refusal_of(plan(view([asked, *busy], on)), asked).estimated_ms == at(6)


def test_a_class_that_ends_it_sooner_ends_it_as_ever():
    asked = open_ended()
    short = as_class(gpu_class(maxDurationSeconds=3600))

    made = reserve_of(plan(view([asked], west(window(4, 5)), classes=(short,))), asked)

    assert (made.until_ms, made.until_cause) == (at(1), ReleaseCause.COMPLETED)


def test_without_a_duration_a_blocked_claim_is_told_of_the_gap_before_the_window():
    on = west(window(4, 5))
    busy = [holder(on, until=2, asks=2, name=f"h{i}", node=i) for i in (0, 1)]
    asked = open_ended()

    assert refusal_of(plan(view([asked, *busy], on)), asked).estimated_ms == at(2)


def test_whoever_is_in_stays_through_a_window_that_is_announced_later():
    on = west(window(4, 5))
    stays = [holder(on, until=None, asks=None), holder(on, until=9, asks=9, name="b", node=1)]

    for hour in (0, 4, 4.5):
        assert plan(view(stays, on, now_ms=at(hour))).decisions == ()


def test_a_promise_from_before_the_announcement_is_kept_through_it():
    early = ahead("early", 1, 8, gpus=8)
    before = west()
    (promised,) = after(view([early], before), plan(view([early], before))).claims

    made = plan(view([promised], west(window(4, 5)), now_ms=at(1)))

    assert reserve_of(made, early).until_ms == at(9)
    assert reserve_of(made, early).placements


def test_an_extension_goes_up_to_the_window_and_says_why():
    on = west(window(4, 5))

    (moved,) = plan(view([holder(on, until=2, asks=9)], on)).decisions

    assert isinstance(moved, Extend)
    assert (moved.until_ms, moved.until_cause) == (at(4), MAINTENANCE)


def test_an_extension_that_the_window_stops_at_once_is_refused_with_the_reason():
    on = west(window(4, 5))
    asked = holder(on, until=4, asks=9)
    seen = view([asked], on)

    (said,) = plan(seen).decisions

    assert isinstance(said, Extend)
    assert (said.until_ms, said.until_cause) == (at(4), MAINTENANCE)
    assert not [d for d in plan(after(seen, plan(seen))).decisions if isinstance(d, Extend)]


@pytest.mark.parametrize("change", [{"acceptingClaims": False}, {}])
def test_a_claim_that_a_window_ends_comes_to_rest_whatever_its_lease_does(change):
    body = lease(maintenance=[window(4, 5)], **change)
    each = as_lease(body)
    on = [(each, inventory(each, nodes(each, 2)))]
    asked = holder(on, until=4, asks=None, cause=MAINTENANCE)

    assert [d for d in plan(view([asked], on)).decisions if isinstance(d, Extend)] == []


def test_when_the_window_is_called_off_the_claim_goes_on():
    on = west()

    (moved,) = plan(view([holder(on, until=4, asks=None, cause=MAINTENANCE)], on)).decisions

    assert isinstance(moved, Extend)
    assert moved.until_ms is None


def test_what_maintenance_ended_waits_again_and_is_placed_after_it():
    on = west(window(4, 5))
    asked = holder(on, until=4, asks=None, cause=MAINTENANCE)
    (taken,) = plan(view([asked], on, now_ms=at(4))).decisions
    assert isinstance(taken, Take)
    assert taken.cause is MAINTENANCE

    waits = released(asked, taken, at(4))

    ready = find_condition(waits.status.conditions, "Ready")
    assert ready is not None
    assert (ready.status, ready.reason) == (Status.FALSE, "Maintenance")
    assert refusal_of(plan(view([waits], on, now_ms=at(4))), waits).estimated_ms == at(5)
    assert reserve_of(plan(view([waits], on, now_ms=at(5))), waits).until_ms is None


def test_a_bound_claim_is_told_before_maintenance_ends_it():
    on = west(window(4, 5))
    asked = holder(on, until=4, asks=None, cause=MAINTENANCE)

    (notice,) = notices([bound(asked, NOW)], lambda _: None, NOW)

    assert notice.reason != NOT_EXPIRING
    assert "maintenance begins" in notice.message
    assert "the claim then waits for others" in notice.message


def test_the_book_looks_again_when_a_window_begins_and_ends():
    asked, on = lasting("train", 6), west(window(4, 5))

    assert plan(view([asked], on, now_ms=at(4))).next_due_ms == at(5)


def test_outlook_and_coverage_show_what_is_away():
    on = west(window(4, 5, gpus=8))

    steps = outlook(on[0][0], delivered=16, healthy=16, terms=(), now_ms=NOW)
    assert [(s.time, s.maintenance, s.sellable, s.free) for s in steps] == [
        (at(4), 8, 8, 8),
        (at(5), 0, 16, 16),
    ]
    (line,) = coverage(view([], on), at(4))
    assert (line.maintenance, line.unsold) == (8, 16)


def test_windows_that_overlap_never_take_more_than_there_is():
    (each, _), *_ = west(window(4, 8, gpus=12), window(5, 6, gpus=12), window(7, 9))

    assert [(b - NOW, e - NOW, n) for b, e, n in taken_away(each)] == [
        (at(b) - NOW, at(e) - NOW, n) for b, e, n in ((4, 5, 12), (5, 6, 16), (6, 7, 12), (7, 8, 16), (8, 9, 16))
    ]  # fmt: skip
    assert away_at(each, at(3.9)) == 0
