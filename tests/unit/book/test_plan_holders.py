"""Claims that hold GPUs in one planning pass: fixed points, until they end or their spec says otherwise."""

from sublet.api import claim_status
from sublet.api.gpuclaim import Release
from sublet.api.ids import ClaimUID
from sublet.api.relocation import ReleaseCause
from sublet.api.times import Millis
from sublet.book.decisions import Extend, Take
from sublet.book.plan import plan
from tests.builders.api import (
    NOW,
    as_claim,
    as_lease,
    claim,
)
from tests.builders.fleet import carried_out, inventory, nodes, reserve_of, view

WEST = as_lease()
HOUR = 3_600_000


def west(count: int = 2, **fields):
    return (WEST, inventory(WEST, nodes(WEST, count, **fields)))


def held_claim(**spec):
    train = as_claim(claim(**spec))
    return carried_out(train, reserve_of(plan(view([train], [west()])), train))


def decisions_for(held, now_ms=NOW, **changes):
    return plan(view([held.model_copy(update=changes)], [west()], now_ms=now_ms)).decisions


def test_a_claim_that_holds_is_a_fixed_point():
    assert decisions_for(held_claim()) == ()


def test_a_claim_ends_when_its_time_is_over_and_not_before():
    held = held_claim(schedule={"durationSeconds": 3600})
    end = Millis(NOW + HOUR)

    assert decisions_for(held, Millis(end - 1)) == ()
    assert decisions_for(held, Millis(end + 5)) == (
        Take(ClaimUID(held.metadata.uid), ReleaseCause.COMPLETED, end),
    )


def test_a_deleted_claim_is_released_as_of_its_deletion_but_never_before_it_began():
    held = held_claim()
    meta = held.metadata.model_copy(update={"deletion_timestamp": Millis(NOW - 500)})

    (decision,) = decisions_for(held, Millis(NOW + 5_000), metadata=meta)

    assert (decision.cause, decision.release_ms) == (ReleaseCause.DELETED, NOW)


def test_a_suspended_claim_gives_its_gpus_back():
    held = held_claim()

    (decision,) = decisions_for(held, spec=held.spec.model_copy(update={"suspended": True}))

    assert decision.cause is ReleaseCause.SUSPENDED


def test_a_longer_duration_moves_the_end():
    held = held_claim(schedule={"durationSeconds": 3600})
    longer = held.spec.model_copy(
        update={"schedule": held.spec.schedule.model_copy(update={"duration_seconds": 7200})}
    )

    (decision,) = decisions_for(held, spec=longer)

    assert decision == Extend(
        ClaimUID(held.metadata.uid), Millis(NOW + 2 * HOUR), ReleaseCause.COMPLETED
    )


def test_an_ended_claim_never_binds_again():
    held = held_claim()
    release = Release(cause=ReleaseCause.COMPLETED, release_time=NOW, sequence=1)
    going = held.model_copy(update={"status": claim_status.releasing(held, release, NOW)})
    ended = going.model_copy(update={"status": claim_status.released(going, NOW)})

    assert plan(view([ended], [west()])).decisions == ()


def test_a_released_claim_that_is_resumed_gets_the_next_sequence():
    held = held_claim()
    release = Release(cause=ReleaseCause.SUSPENDED, release_time=NOW, sequence=1)
    going = held.model_copy(update={"status": claim_status.releasing(held, release, NOW)})
    resumed = going.model_copy(update={"status": claim_status.released(going, NOW)})

    assert reserve_of(plan(view([resumed], [west()])), resumed).sequence == 2


def test_the_book_looks_again_at_the_next_end():
    held = held_claim(schedule={"durationSeconds": 3600})

    assert plan(view([held], [west()])).next_due_ms == NOW + HOUR
