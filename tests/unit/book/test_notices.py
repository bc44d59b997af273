"""Notices before a lease ends: each stage once, taken back when the lease is prolonged."""

import pytest

from sublet.api import bound_status, claim_status
from sublet.api.gpuclaim import Access
from sublet.api.move_status import MOVING, advice
from sublet.api.relocation import Move, MoveCause, ReleaseCause
from sublet.api.times import Millis, format_instant
from sublet.book.decisions import Notice
from sublet.book.notices import notices
from sublet.book.plan import plan
from tests.builders.api import NOW, as_claim, as_class, as_lease, claim, gpu_class, lease
from tests.builders.fleet import held, inventory, nodes, view

HOUR, DAY = 3_600_000, 24 * 3_600_000


def bound(each, cause=ReleaseCause.LEASE_ENDED, end=None):
    until = end or each.spec.term.end_time
    found = held(as_claim(), each, nodes(each, 1), until_ms=until, cause=cause)
    access = Access(secret_name="s", clusters=())
    return found.model_copy(update={"status": claim_status.bound(found, NOW, access, NOW)})


def seen(found, each):
    return view([found], [(each, inventory(each, nodes(each, 1)))])


def told(found, each):
    return [d for d in plan(seen(found, each)).decisions if isinstance(d, Notice)]


def ending(ms: int):
    return as_lease(lease(end=format_instant(Millis(NOW + ms))))


@pytest.mark.parametrize(
    ("left", "reason"),
    [
        (30 * DAY, "EndsWithin30Days"),
        (8 * DAY, "EndsWithin30Days"),
        (7 * DAY, "EndsWithin7Days"),
        (DAY, "EndsWithin24Hours"),
        (HOUR, "EndsWithin1Hour"),
        (1, "EndsWithin1Hour"),
    ],
)
def test_a_tenant_is_told_how_near_the_end_is_and_when(left, reason):
    each = ending(left)

    (notice,) = told(bound(each), each)

    assert notice.reason == reason
    assert format_instant(Millis(NOW + left)) in notice.message


def test_nothing_is_said_earlier_and_the_book_looks_again_when_it_is_due():
    each = ending(31 * DAY)
    train = bound(each)

    assert told(train, each) == []
    assert plan(seen(train, each)).next_due_ms == NOW + DAY


def test_what_was_said_is_not_said_again_and_is_taken_back_when_the_lease_goes_on():
    each = ending(DAY)
    train = bound(each)
    (notice,) = told(train, each)
    status = bound_status.expiring(train, notice.reason, notice.message, NOW)
    warned = train.model_copy(update={"status": status})

    assert told(warned, each) == []
    prolonged = ending(90 * DAY)
    allocation = warned.status.allocation.model_copy(
        update={"until_time": prolonged.spec.term.end_time}
    )
    longer = warned.model_copy(
        update={"status": warned.status.model_copy(update={"allocation": allocation})}
    )
    (over,) = told(longer, prolonged)
    assert (over.reason, over.message) == ("NotExpiring", "")


def test_a_claim_that_ends_by_its_own_duration_is_told_nothing():
    each = as_lease()
    asked = {"schedule": {"durationSeconds": 1800}}
    own = held(as_claim(claim(**asked)), each, nodes(each, 1), until_ms=Millis(NOW + HOUR // 2))
    status = claim_status.bound(own, NOW, Access(secret_name="s", clusters=()), NOW)

    assert told(own.model_copy(update={"status": status}), each) == []


def told_by(lead_seconds: int, left: int, cause=ReleaseCause.LEASE_ENDED, move=None):
    """Return what a claim is told whose lease ends in `left`, and whose class moves it so long before."""
    each = ending(left)
    found = bound(each, cause)
    found = found.model_copy(update={"status": found.status.model_copy(update={"move": move})})
    offer = as_class(gpu_class(moveLeadSeconds=lead_seconds))
    return [(n.reason, n.message) for n in notices([found], lambda _: offer, NOW)]


def at(ms: int) -> str:
    return format_instant(Millis(NOW + ms))


def test_a_claim_that_will_be_moved_is_told_when_and_has_nothing_to_do():
    assert told_by(DAY // 1_000, 5 * DAY) == [
        (
            "EndsWithin7Days",
            (
                f"its lease ends: the GPUs are taken back at {at(5 * DAY)}; from {at(4 * DAY)} on the claim gets other "
                "nodes beside these if there is room, and is told: nothing needs to be done before; without room the "
                "claim ends for good then"
            ),
        )
    ]


def test_a_claim_for_which_other_nodes_are_looked_for_is_told_what_to_save_and_why():
    assert told_by(DAY // 1_000, DAY) == [
        (
            "EndsWithin24Hours",
            (
                f"its lease ends: the GPUs are taken back at {at(DAY)}; other nodes are looked for, and the claim is told "
                "when it has them beside these; save your work before, for without room the claim ends for good then"
            ),
        )
    ]


def test_a_claim_that_is_never_moved_is_told_to_make_a_new_one():
    assert told_by(0, 5 * DAY) == [
        (
            "EndsWithin7Days",
            (
                f"its lease ends: the GPUs are taken back at {at(5 * DAY)}; save your work before, and make a new claim "
                "to go on elsewhere"
            ),
        )
    ]


def test_before_maintenance_a_claim_is_told_that_it_waits_for_others_where_it_cant_be_moved():
    said = [message for _, message in told_by(DAY // 1_000, 5 * DAY, ReleaseCause.MAINTENANCE)]

    assert len(said) == 1
    assert said[0].endswith("without room the claim waits for others then")


@pytest.mark.parametrize(("left", "told"), [(DAY, 0), (2 * HOUR, 0), (HOUR, 1)])
def test_while_other_nodes_are_made_ready_nothing_more_is_said_but_in_the_last_hour(left, told):
    each = ending(90 * DAY)
    move = Move(
        sequence=2,
        cause=MoveCause.LEASE_ENDS,
        decided_time=NOW,
        cutover_time=Millis(NOW + left),
        placements=bound(each).status.allocation.placements,
    )

    assert len(told_by(DAY // 1_000, left, move=move)) == told


@pytest.mark.parametrize("cause", [ReleaseCause.PREEMPTED, ReleaseCause.BUDGET_EXHAUSTED])
def test_an_end_that_comes_before_the_cutover_is_told_though_other_nodes_are_ready(cause):
    move = Move(
        sequence=2,
        cause=MoveCause.LEASE_ENDS,
        decided_time=NOW,
        cutover_time=Millis(NOW + DAY),
        placements=bound(ending(DAY)).status.allocation.placements,
        ready_time=NOW,
    )

    ((reason, message),) = told_by(DAY // 1_000, HOUR, cause, move)

    assert reason == cause
    assert f"taken back at {at(HOUR)}; save your work before" in message


def test_a_claim_that_may_stay_longer_is_told_when_its_old_nodes_are_taken_all_the_same():
    each = as_lease(lease())
    train = held(as_claim(), each, nodes(each, 1))
    move = Move(
        sequence=2,
        cause=MoveCause.LEASE_ENDS,
        decided_time=NOW,
        cutover_time=Millis(NOW + DAY),
        placements=train.status.allocation.placements,
        ready_time=NOW,
    )
    status = claim_status.bound(train, NOW, Access(secret_name="s", clusters=()), NOW)
    moving = train.model_copy(update={"status": status.model_copy(update={"move": move})})

    (notice,) = notices([moving], lambda _name: None, NOW)

    assert (notice.reason, notice.message) == (MOVING, advice(move))
