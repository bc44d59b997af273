"""What a move may not do: outlast the money, shield a claim, take a node that just blinked, use a number twice."""

from dataclasses import replace

import pytest

from sublet.api import claim_status, move_status
from sublet.api.gpuclaim import GpuClaim, Release
from sublet.api.relocation import MOST_LEAVING, ReleaseCause
from sublet.api.times import format_instant
from sublet.book.decisions import CutOver, Extend, Relocate, Take
from sublet.book.failures import REPLACE_AFTER_MS
from sublet.book.plan import plan
from sublet.book.view import View
from tests.builders.api import NOW, as_claim, claim, with_status
from tests.builders.fleet import after, refusal_of, reserve_of, view
from tests.builders.money import account, payer
from tests.builders.moves import CLASSES, decided, leased, on_sick_node, running
from tests.builders.windows import at


def moving(*, ready: bool = True) -> tuple[View, GpuClaim]:
    """Return a claim on its way from west, which ends at hour 40, to east."""
    west, east = leased("west", 40), leased("east")
    seen = view([running(west, end=40)], [west, east], classes=CLASSES, now_ms=at(20))
    moved = after(seen, plan(seen))
    (each,) = moved.claims
    if not ready and each.status.move is not None:
        move = each.status.move.model_copy(update={"ready_time": None})
        each = with_status(each, each.status.model_copy(update={"move": move}))
    return replace(moved, claims=(each,)), each


def test_no_number_is_used_twice_after_a_move_was_given_up():
    seen, each = moving()
    given_up = with_status(each, move_status.abandoning(each, "lost", at(20)))
    back = with_status(given_up, move_status.unmoved(given_up, at(20)))
    (made,) = decided(replace(seen, claims=(back,)))
    assert isinstance(made, Relocate)
    assert made.sequence == 3


def test_no_number_is_used_twice_after_a_claim_on_the_way_was_suspended():
    seen, each = moving()
    release = Release(cause=ReleaseCause.SUSPENDED, release_time=at(21), sequence=1)
    going = with_status(each, claim_status.releasing(each, release, at(21)))
    back = with_status(going, claim_status.released(going, at(21)))
    assert reserve_of(plan(replace(seen, claims=(back,), now_ms=at(22))), back).sequence == 3


def test_a_lease_that_is_cut_short_ends_a_claim_whose_new_nodes_are_not_ready():
    _, each = moving(ready=False)
    fleet = [leased("west", 22), leased("east")]
    (made,) = decided(view([each], fleet, classes=CLASSES, now_ms=at(30)))
    assert isinstance(made, Take)
    assert made.cause is ReleaseCause.LEASE_ENDED


def test_a_cutover_is_never_dated_before_the_new_nodes_were_ready():
    _, each = moving(ready=False)
    late = with_status(each, move_status.ready_to_move(each, None, at(29)))
    fleet = [leased("west", 22), leased("east")]
    (made,) = decided(view([late], fleet, classes=CLASSES, now_ms=at(30)))
    assert made == CutOver(each.metadata.uid, at(29))


def test_nodes_that_a_clock_which_was_ahead_called_ready_are_cut_over_to_in_time():
    seen, each = moving(ready=False)
    ready = with_status(each, move_status.ready_to_move(each, None, at(30 * 24)))

    (made,) = decided(replace(seen, claims=(ready,), now_ms=at(40) + 5_000))
    assert made == CutOver(each.metadata.uid, at(40))


def test_a_tenant_may_shorten_a_claim_that_is_on_its_way():
    seen, each = moving()
    schedule = each.spec.schedule.model_copy(update={"duration_seconds": 25 * 3_600})
    shorter = each.model_copy(update={"spec": each.spec.model_copy(update={"schedule": schedule})})
    (made,) = decided(replace(seen, claims=(shorter,)))
    assert made == Extend(each.metadata.uid, at(25), ReleaseCause.COMPLETED)


def test_an_end_that_was_given_notice_of_stays_at_the_cutover():
    _, each = moving()
    noticed = with_status(
        each, claim_status.extended(each, at(41), ReleaseCause.BUDGET_EXHAUSTED, at(30))
    )
    over = move_status.cut_over(noticed, at(40), at(40)).allocation
    assert over is not None
    assert (over.until_time, over.until_cause) == (at(41), ReleaseCause.BUDGET_EXHAUSTED)


def test_a_move_goes_no_further_than_the_budget():
    west, east = leased("west", 40), leased("east")
    rich = payer("100")
    fleet = [west, east]
    given = {"classes": CLASSES, "now_ms": at(20), "tenants": (rich,)}
    busy = running(west, end=40)
    spent = view([busy], fleet, accounts=account(100, of=rich), **given)
    unknown = view([busy], fleet, **given)
    assert not [d for d in decided(spent) if isinstance(d, Relocate)]
    assert not [d for d in decided(unknown) if isinstance(d, Relocate)]


def test_a_node_that_failed_just_now_isnt_replaced_with_one_that_failed_long_ago():
    west = leased("west", count=10)
    busy = running(west, count=3, replacement="OnFailure")
    first = view([busy], [on_sick_node(west, 0)], classes=CLASSES)
    told = after(first, plan(first))
    late = NOW + REPLACE_AFTER_MS
    both = on_sick_node(on_sick_node(west, 0), 1, since_ms=late - 1_000)
    seen = view(told.claims, [both], classes=CLASSES, now_ms=late)

    (made,) = decided(seen)

    assert isinstance(made, Relocate)
    assert [p.node for p in made.placements] == ["west-0001", "west-0002", "west-0003"]
    assert plan(after(seen, plan(seen))).next_due_ms is not None


def test_a_node_that_lost_its_label_hasnt_failed():
    west = leased("west", count=4)
    busy = running(west, count=2, replacement="OnFailure")
    each, found = west
    without = {n: s for n, s in found.nodes.items() if n != "west-0000"}
    seen = view([busy], [(each, replace(found, nodes=without))], classes=CLASSES)
    made = plan(seen)
    assert made.decisions == ()
    assert [p.node for p in made.unseen] == ["west-0000"]


def test_a_claim_with_too_much_on_its_way_out_moves_no_more():
    west = leased("west", count=4)
    busy = running(west, count=2, replacement="OnFailure")
    first = view([busy], [on_sick_node(west)], classes=CLASSES)
    moved = first
    for hour in (0, 1, 1):
        moved = after(replace(moved, now_ms=at(hour)), plan(replace(moved, now_ms=at(hour))))
    (over,) = moved.claims
    (left,) = over.status.leaving
    many = tuple(
        left.model_copy(update={"sequence": i + 100, "placements": ()}) for i in range(MOST_LEAVING)
    )
    full = with_status(over, over.status.model_copy(update={"leaving": many}))
    sick = on_sick_node(west, 1)
    told = after(view([full], [sick], classes=CLASSES), plan(view([full], [sick], classes=CLASSES)))
    later = view(told.claims, [sick], classes=CLASSES, now_ms=NOW + REPLACE_AFTER_MS)
    made = decided(later)
    assert not [d for d in made if isinstance(d, Relocate)]
    degraded = next(c for c in told.claims[0].status.conditions if c.type == "Degraded")
    assert "too many nodes that it left before are still held" in degraded.message


@pytest.mark.parametrize("gpus", [8, None])
def test_maintenance_to_come_keeps_no_claim_that_is_in_from_another_node(gpus):
    away = {"startTime": format_instant(at(4)), "endTime": format_instant(at(5))}
    window = {**away, "gpus": gpus} if gpus else away
    west = leased("west", count=2, committed=16, maintenance=[window])
    busy = running(west, replacement="OnFailure")
    seen = view([busy], [on_sick_node(west)], classes=CLASSES)
    seen = replace(after(seen, plan(seen)), now_ms=NOW + REPLACE_AFTER_MS)

    (made,) = decided(seen)

    assert isinstance(made, Relocate)
    asks = as_claim(claim("asks", gpus=8, schedule={"durationSeconds": 6 * 3_600}))
    (seen,) = [after(seen, plan(seen))]
    assert refusal_of(plan(replace(seen, claims=(*seen.claims, asks))), asks)
