"""What ended after the backup of a ledger, and is in no claim's lines any more, ends all the same, at the time that is known."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sublet.api import claim_status, move_status
from sublet.api.gpuclaim import GpuClaim, Release
from sublet.api.ids import LeaseUID
from sublet.api.outage import Outage
from sublet.api.relocation import Move, MoveCause, ReleaseCause
from sublet.api.times import Millis
from sublet.hub.meter import facts_of, past_of, texts_of
from sublet.ledger.entry import EntryKind
from sublet.ledger.interval import intervals
from sublet.store.sql import SqlLedger
from tests.builders.api import NOW, with_status
from tests.builders.fleet import bound
from tests.builders.moves import leased, running
from tests.builders.windows import at

WEST, EAST, NORTH = (running(leased(name)) for name in ("west", "east", "north"))
Hours = tuple[int, float, float | None]


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[SqlLedger]:
    """Return an empty ledger."""
    found = SqlLedger(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    yield found
    await found.close()


def moved(
    claim: GpuClaim, hour: float, left: float | None = None, *, to: GpuClaim = EAST
) -> GpuClaim:
    """Return a claim that came to nodes of east, or another's, then, while it leaves those that it had."""
    move = Move(
        sequence=claim.status.next_sequence,
        cause=MoveCause.LEASE_ENDS,
        decided_time=at(hour - 1),
        placements=to.status.allocation.placements,
    )
    going = with_status(claim, move_status.moving(claim, move, at(hour - 1)))
    left_ms = at(left) if left is not None else None
    return with_status(claim, move_status.cut_over(going, at(hour), at(hour), left_ms))


def settled(claim: GpuClaim) -> GpuClaim:
    """Return a moved claim that has left its old nodes."""
    (left,) = claim.status.leaving
    return with_status(claim, move_status.left_behind(claim, left.sequence))


def suspended(claim: GpuClaim, hour: float, cause: ReleaseCause = ReleaseCause.SUSPENDED) -> GpuClaim:  # fmt: skip
    """Return a claim that was taken back then."""
    sequence = claim.status.allocation.sequence
    release = Release(cause=cause, release_time=at(hour), sequence=sequence)
    going = with_status(claim, claim_status.releasing(claim, release, at(hour)))
    return with_status(claim, claim_status.released(going, at(hour + 0.1)))


def reserved(claim: GpuClaim, hour: float) -> GpuClaim:
    """Return a claim that has nodes of east reserved then."""
    update = {
        "sequence": claim.status.next_sequence,
        "decided_time": at(hour),
        "bound_time": None,
        "since_time": None,
    }
    allocation = EAST.status.allocation.model_copy(update=update)
    return with_status(claim, claim_status.reserved(claim, allocation, at(hour)))


def resumed(claim: GpuClaim, hour: float) -> GpuClaim:
    """Return a claim that was bound anew then, decided a quarter of an hour before."""
    return bound(reserved(claim, hour - 0.25), at(hour))


async def told(
    ledger: SqlLedger, *history: GpuClaim, lost: dict[LeaseUID, Millis] | None = None
) -> Callable[[EntryKind], list[Hours]]:
    """Tell a ledger each state; return what asks it for the reservations of a kind, and from when until when in hours."""
    for claim in history:
        await ledger.append(facts_of(claim), texts_of(claim), (), past_of(claim, lost or {}))
    assert (await ledger.verify()).fault is None
    found = list(intervals(await ledger.facts()))
    return lambda kind: sorted(_hours(found, kind))


def _hours(found: Any, kind: EntryKind) -> Iterator[Hours]:
    def hour(at_ms: Millis | None) -> Any:
        return None if at_ms is None else round((at_ms - NOW) / 3_600_000, 3)

    return ((x.sequence, hour(x.start_ms), hour(x.end_ms)) for x in found if x.kind is kind)


async def test_what_a_claim_left_by_a_move_is_billed_until_it_came_to_the_other(ledger: SqlLedger):
    found = await told(ledger, WEST, settled(moved(WEST, 2)))

    assert found(EntryKind.BOUND) == [(1, 0, 2), (2, 2, None)]


async def test_what_a_claim_left_on_a_lost_lease_is_billed_until_that_was_lost(ledger: SqlLedger):
    lost = {LeaseUID(WEST.status.allocation.placements[0].lease_uid): at(1)}
    found = await told(ledger, WEST, settled(moved(WEST, 2, left=1)), lost=lost)

    assert found(EntryKind.BOUND) == [(1, 0, 1), (2, 2, None)]


async def test_a_claim_that_moved_twice_is_billed_for_one_place_at_a_time(ledger: SqlLedger):
    found = await told(ledger, WEST, moved(settled(moved(WEST, 2)), 6, to=NORTH))

    assert found(EntryKind.BOUND) == [(1, 0, 2), (2, 2, 6), (3, 6, None)]


async def test_a_claim_that_was_bound_anew_is_billed_for_no_time_between(ledger: SqlLedger):
    found = await told(ledger, WEST, resumed(suspended(WEST, 2), 6))

    assert found(EntryKind.BOUND) == [(1, 0, 2), (2, 6, None)]


async def test_of_several_terms_the_ones_that_are_known_count_once(ledger: SqlLedger):
    second = resumed(suspended(WEST, 2), 6)
    third = resumed(suspended(second, 7), 9)
    found = await told(ledger, WEST, suspended(WEST, 2), second, third)

    assert found(EntryKind.BOUND) == [(1, 0, 2), (2, 6, 7), (3, 9, None)]


async def test_terms_that_the_ledger_lacks_make_another_no_longer_than_all_of_them_ran(
    ledger: SqlLedger,
):
    lacking = suspended(resumed(suspended(WEST, 1), 2), 7)
    found = await told(ledger, WEST, settled(moved(resumed(lacking, 8), 9)))

    assert found(EntryKind.BOUND) == [(1, 0, 6), (4, 9, None)]


async def test_one_that_is_suspended_again_ends_each_term_where_it_ended(ledger: SqlLedger):
    found = await told(ledger, WEST, suspended(resumed(suspended(WEST, 2), 6), 9))

    assert found(EntryKind.BOUND) == [(1, 0, 2), (2, 6, 9)]


async def test_a_claim_that_says_nothing_of_earlier_terms_is_billed_for_none(ledger: SqlLedger):
    again = resumed(suspended(WEST, 2), 6)
    silent = again.status.model_copy(update={"used_milliseconds": None})
    found = await told(ledger, WEST, with_status(again, silent))

    assert found(EntryKind.BOUND) == [(1, 0, 0), (2, 6, None)]


async def test_a_claim_that_ends_before_it_is_bound_again_is_billed_no_longer(ledger: SqlLedger):
    over = suspended(reserved(suspended(WEST, 2), 5), 6, ReleaseCause.DELETED)
    found = await told(ledger, WEST, over)

    assert found(EntryKind.BOUND) == [(1, 0, 2)]


async def test_a_silence_under_what_was_left_ends_with_it(ledger: SqlLedger):
    place = WEST.status.allocation.placements[0]
    silence = Outage(sequence=1, lease_uid=place.lease_uid, gpus=8, from_time=at(0.5))
    silent = with_status(WEST, WEST.status.model_copy(update={"outages": (silence,)}))
    found = await told(ledger, silent, settled(moved(WEST, 2)))

    assert found(EntryKind.DISPUTED) == [(1, 0.5, 2)]


async def test_nodes_that_a_claim_still_leaves_are_held_until_they_are_free(ledger: SqlLedger):
    found = await told(ledger, WEST, moved(WEST, 2))

    assert found(EntryKind.RELEASING) == [(1, 2, None)]


async def test_nodes_that_were_left_are_held_no_longer_than_the_claim_lives(ledger: SqlLedger):
    leaving = moved(WEST, 2)
    over = suspended(settled(leaving), 9, ReleaseCause.DELETED)
    found = await told(ledger, WEST, leaving, over)

    assert found(EntryKind.RELEASING) == [(1, 2, 2), (2, 9, 9.1)]


async def test_what_was_bound_by_the_ledger_and_is_reserved_by_the_hub_is_billed_until_its_release(
    ledger: SqlLedger,
):
    before = WEST.status.allocation.model_copy(update={"bound_time": None})
    as_before = with_status(WEST, claim_status.reserved(WEST, before, NOW))
    found = await told(ledger, WEST, suspended(as_before, 2, ReleaseCause.DELETED))

    assert found(EntryKind.BOUND) == [(1, 0, 2)]
    assert found(EntryKind.RELEASING) == [(1, 2, 2.1)]
