"""Nobody's GPUs are taken back at an end that it didn't choose before its stored status names that end (S10)."""

from dataclasses import replace

import pytest

from sublet.api import bound_status, move_status
from sublet.api.gpuclaim import GpuClaim
from sublet.api.move_status import MOVING
from sublet.api.relocation import Move, MoveCause, ReleaseCause
from sublet.api.times import Millis, format_instant
from sublet.book.decisions import CutOver, Decision, Notice, Take
from sublet.book.plan import plan
from sublet.book.view import View
from sublet.book.warm import Book
from tests.builders.api import NOW, as_claim, as_tenant, claim, tenant, with_status
from tests.builders.fleet import bound, held, view, with_notices
from tests.builders.moves import CLASSES, leased
from tests.builders.windows import at

LEASE_ENDED, COMPLETED = ReleaseCause.LEASE_ENDED, ReleaseCause.COMPLETED
OF_OTHERS = (
    LEASE_ENDED,
    ReleaseCause.MAINTENANCE,
    ReleaseCause.PREEMPTED,
    ReleaseCause.BUDGET_EXHAUSTED,
)


def running(pair, cause=LEASE_ENDED, *, end: float | None = 40, **spec) -> GpuClaim:
    """Return a claim that is bound on a lease's first node and was told nothing yet."""
    each, found = pair
    until = at(end) if end is not None else None
    places = list(found.nodes.values())[:1]
    return bound(held(as_claim(claim(**spec)), each, places, until_ms=until, cause=cause))


def seen(each: GpuClaim, pair, hours: float, **fields) -> View:
    return view([each], [pair], classes=CLASSES, now_ms=at(hours), **fields)


def decided(seen_: View) -> Decision:
    (decision,) = plan(seen_).decisions
    return decision


def names(decision: Decision, hours: float) -> bool:
    """Say whether a decision is a notice of an end at that hour."""
    when = f"taken back at {format_instant(at(hours))};"
    return isinstance(decision, Notice) and when in decision.message


@pytest.mark.parametrize("cause", OF_OTHERS)
def test_whoever_was_never_told_is_told_at_the_end_and_taken_back_only_then(cause):
    west = leased("west", 40)
    over = seen(running(west, cause), west, 40.5)

    assert names(decided(over), 40)
    taken = decided(with_notices(over))
    assert isinstance(taken, Take)
    assert (taken.cause, taken.release_ms, taken.told_ms) == (cause, at(40), at(40))


def test_what_is_told_at_the_end_promises_no_other_nodes():
    west = leased("west", 40)

    told = decided(seen(running(west), west, 40))

    assert told == Notice(
        running(west).metadata.uid,
        "EndsWithin1Hour",
        f"its lease ends: the GPUs are taken back at {format_instant(at(40))}; the claim ends for good then",
    )


@pytest.mark.parametrize("hours", [20, 39.5])
def test_whoever_was_told_in_time_is_taken_back_at_the_very_end(hours):
    west = leased("west", 40)
    (told,) = with_notices(seen(running(west), west, hours)).claims

    assert isinstance(decided(seen(told, west, 40)), Take)


def test_an_end_that_was_moved_is_another_one_and_is_told_anew():
    before, west = leased("west", 60), leased("west", 40)
    (told,) = with_notices(seen(running(before, end=60), before, 30)).claims
    held_ = told.status.allocation.model_copy(update={"until_time": at(40)})
    moved = with_status(told, allocation=held_)

    assert names(decided(seen(moved, west, 40)), 40)


def test_the_same_instant_for_another_cause_is_told_anew():
    west = leased("west", 40)
    (told,) = with_notices(seen(running(west), west, 30)).claims
    held_ = told.status.allocation.model_copy(update={"until_cause": ReleaseCause.MAINTENANCE})

    assert names(decided(seen(with_status(told, allocation=held_), west, 40)), 40)


def test_a_notice_that_was_taken_back_counts_for_nothing():
    west = leased("west", 40)
    (told,) = with_notices(seen(running(west), west, 30)).claims
    quiet = told.model_copy(
        update={"status": bound_status.expiring(told, "NotExpiring", "", at(31))}
    )

    assert names(decided(seen(quiet, west, 40)), 40)


def test_a_lease_that_is_found_over_is_named_and_what_ran_is_paid_for():
    west = leased("west", 2)
    over = seen(running(west, None, end=None), west, 3)

    assert names(decided(over), 2)
    taken = decided(with_notices(over))
    assert isinstance(taken, Take)
    assert (taken.cause, taken.release_ms) == (LEASE_ENDED, at(3))


def test_a_claim_that_was_handed_nothing_needs_no_notice():
    west = leased("west", 40)
    each, found = west
    places = list(found.nodes.values())[:1]
    binding = held(as_claim(), each, places, until_ms=at(40), cause=LEASE_ENDED)

    assert isinstance(decided(seen(binding, west, 40)), Take)


@pytest.mark.parametrize("of_lease", [None, 40])
def test_an_end_that_the_tenant_chose_needs_no_notice_also_where_its_lease_ends_then(of_lease):
    west = leased("west", of_lease)
    own = running(west, COMPLETED, schedule={"durationSeconds": 40 * 3_600})

    taken = decided(seen(own, west, 40))

    assert isinstance(taken, Take)
    assert (taken.cause, taken.told_ms) == (COMPLETED, None)


def test_a_tenant_that_lets_go_before_the_end_needs_no_notice():
    west = leased("west", 40)
    gone = running(west)
    meta = gone.metadata.model_copy(update={"deletion_timestamp": at(39)})

    taken = decided(seen(gone.model_copy(update={"metadata": meta}), west, 41))

    assert isinstance(taken, Take)
    assert taken.cause is ReleaseCause.DELETED


def test_the_end_comes_before_a_suspension_of_its_tenant_and_is_told():
    west = leased("west", 40)
    stopped = as_tenant(tenant(suspended=True))

    assert names(decided(seen(running(west), west, 41, tenants=(stopped,))), 40)


def test_the_book_takes_it_back_in_the_next_pass_and_looks_again_by_itself():
    west, book = leased("west", 40), Book()
    over = seen(running(west), west, 40)

    first = book.plan(over)
    assert first.next_due_ms == over.now_ms

    (taken,) = book.plan(with_notices(over)).decisions
    assert isinstance(taken, Take)


def test_a_notice_that_isnt_written_is_decided_again_and_nothing_is_taken():
    west, book = leased("west", 40), Book()
    over = seen(running(west), west, 40)

    for minutes in range(3):
        (told,) = book.plan(replace(over, now_ms=Millis(over.now_ms + minutes * 60_000))).decisions
        assert names(told, 40)


def on_its_way(pair, to, ready: float) -> GpuClaim:
    """Return a claim whose lease ends at hour 40, with a node elsewhere that is ready since then."""
    busy = running(pair)
    (place,) = busy.status.allocation.placements
    node = next(iter(to[1].nodes.values()))
    there = {
        "lease": "east",
        "lease_uid": to[0].metadata.uid,
        "node": node.name,
        "node_uid": node.uid,
    }
    move = Move(
        sequence=2, cause=MoveCause.LEASE_ENDS, decided_time=NOW, cutover_time=at(40),
        placements=(place.model_copy(update={**there, "home": 2}),),
    )  # fmt: skip
    begun = busy.model_copy(update={"status": move_status.moving(busy, move, NOW)})
    status = move_status.ready_to_move(begun, None, at(ready))
    return begun.model_copy(update={"status": status})


@pytest.mark.parametrize(("ready", "at_hour"), [(20, 40), (41, 41)])
def test_the_old_nodes_of_a_moved_claim_are_left_only_when_it_was_told_to_go(ready, at_hour):
    west, east = leased("west", 40), leased("east")
    each = on_its_way(west, east, ready)
    due = view([each], [west, east], classes=CLASSES, now_ms=at(41))

    told = decided(due)
    assert isinstance(told, Notice)
    assert told.reason == MOVING
    assert f"taken back at {format_instant(at(at_hour))}" in told.message
    assert decided(with_notices(due)) == CutOver(each.metadata.uid, at(at_hour))
