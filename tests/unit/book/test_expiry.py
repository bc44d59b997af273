"""When claims that hold GPUs end: moved by their own spec, bounded by class, lease and commitment."""

import pytest

from sublet.api.ids import ClaimUID
from sublet.api.relocation import ReleaseCause
from sublet.api.times import Millis, format_instant
from sublet.book.decisions import Extend, Take
from sublet.book.plan import plan
from tests.builders.api import LONG_AGO, NOW, as_claim, as_class, as_lease, claim, gpu_class, lease
from tests.builders.fleet import held, inventory, nodes, released, view

HOUR = 3_600_000
COMPLETED, LEASE_ENDED = ReleaseCause.COMPLETED, ReleaseCause.LEASE_ENDED


def at(hours: float) -> Millis:
    return Millis(NOW + int(hours * HOUR))


def west(*steps: tuple[float, int], until: float | None = None, **spec):
    """Return a lease; `steps`: from that hour on, so many GPUs are committed."""
    phases = [
        {"commitmentId": str(hour), "startTime": format_instant(at(hour)), "gpus": gpus}
        for hour, gpus in steps
    ]
    if phases:
        spec["commitment"] = {
            "phases": [{"commitmentId": "0", "startTime": LONG_AGO, "gpus": 64}, *phases]
        }
    return as_lease(lease(end=format_instant(at(until)) if until is not None else None, **spec))


def holder(of, *, asks: float | None, until: float | None, node: int = 0, name="train", **fields):
    """Return a claim decided now on one node, promised until one hour and now asking for another duration."""
    schedule = {"durationSeconds": int(asks * 3600)} if asks is not None else {}
    places = [nodes(of, node + 1)[node]]
    ends = at(until) if until is not None else None
    return held(as_claim(claim(name, schedule=schedule)), of, places, until_ms=ends, **fields)


def decided(train, of, *others, now: float = 0, leases=None, classes=None):
    fleet = [(of, inventory(of, nodes(of, 2)))] if leases is None else leases
    made = plan(view([train, *others], fleet, classes=classes, now_ms=at(now)))
    return [d for d in made.decisions if d.claim_uid == train.metadata.uid]


def moved(train, hours: float | None, cause=COMPLETED):
    return [
        Extend(
            ClaimUID(train.metadata.uid),
            at(hours) if hours is not None else None,
            cause if hours is not None else None,
        )
    ]


def taken(train, hours: float, cause=COMPLETED, told: float | None = None):
    told_ms = at(told) if told is not None else None
    return [Take(ClaimUID(train.metadata.uid), cause, at(hours), told_ms=told_ms)]


def test_a_longer_duration_moves_the_end_back():
    of = west()
    train = holder(of, asks=4, until=1)

    assert decided(train, of) == moved(train, 4)


def test_a_shorter_duration_moves_the_end_forward():
    of = west()
    train = holder(of, asks=2, until=4)

    assert decided(train, of, now=1) == moved(train, 2)


def test_an_end_that_would_lie_in_the_past_is_now_and_what_ran_is_paid_for():
    of = west()
    train = holder(of, asks=1, until=4)

    assert decided(train, of, now=2) == taken(train, 2)


def test_an_open_claim_that_gets_a_duration_ends_by_it():
    of = west()
    train = holder(of, asks=2, until=None)

    assert decided(train, of) == moved(train, 2)


def test_a_claim_that_drops_its_duration_is_open_as_far_as_the_lease_goes():
    endless, ending = west(), west(until=9)

    train = holder(endless, asks=None, until=1)
    assert decided(train, endless) == moved(train, None)
    train = holder(ending, asks=None, until=1)
    assert decided(train, ending) == moved(train, 9, LEASE_ENDED)


def test_an_extension_goes_no_further_than_the_lease():
    of = west(until=9)
    train = holder(of, asks=24, until=1)

    assert decided(train, of) == moved(train, 9, LEASE_ENDED)


def test_an_extension_goes_no_further_than_the_class_allows():
    of = west()
    train = holder(of, asks=24, until=1)
    limited = as_class(gpu_class(maxDurationSeconds=6 * 3600))

    assert decided(train, of, classes=(limited,)) == moved(train, 6)


def test_a_class_never_shortens_what_was_promised():
    of = west()
    train = holder(of, asks=4, until=4)
    limited = as_class(gpu_class(maxDurationSeconds=3600))

    assert decided(train, of, classes=(limited,)) == []


def test_an_extension_goes_no_further_than_the_commitment():
    of = west((3, 0))
    train = holder(of, asks=24, until=1)

    assert decided(train, of) == moved(train, 3, LEASE_ENDED)


def test_an_extension_that_the_commitment_has_no_room_for_changes_nothing():
    of = west((1, 0))
    train = holder(of, asks=24, until=1)

    assert decided(train, of) == []


def test_a_commitment_never_shortens_what_was_promised():
    of = west((1, 0))
    train = holder(of, asks=4, until=4)

    assert decided(train, of) == []


def test_an_extension_stops_where_another_claims_hours_were_promised():
    """From hour 3 on there is room for one of the two, and it was promised to the other."""
    of = west((3, 8))
    train = holder(of, asks=24, until=1)
    other = holder(of, asks=6, until=6, node=1, name="other")

    assert decided(train, of, other) == moved(train, 3, LEASE_ENDED)


def test_of_two_extensions_that_dont_both_fit_the_better_ranked_gets_the_room():
    of = west((3, 8))
    first = held(
        as_claim(
            claim("first", schedule={"durationSeconds": 24 * 3600}),
            creationTimestamp="2026-11-22T08:00:00Z",
        ),
        of,
        nodes(of, 1),
        until_ms=at(1),
    )
    second = holder(of, asks=24, until=1, node=1, name="second")

    assert decided(first, of, second) == moved(first, 24)
    assert decided(second, of, first) == moved(second, 3, LEASE_ENDED)


def test_what_an_extension_takes_isnt_sold_in_the_same_pass():
    of = west((3, 8))
    train = holder(of, asks=24, until=1)
    asked = as_claim(claim("asked", schedule={"durationSeconds": 5 * 3600}))

    assert [type(d).__name__ for d in decided(asked, of, train)] == ["Refuse"]


def test_a_claim_on_two_leases_ends_with_the_first_of_them():
    long, short = west(until=20), as_lease(lease("short", end=format_instant(at(8))))
    train = holder(long, asks=24, until=1)
    allocation = train.status.allocation
    other = holder(short, asks=24, until=1).status.allocation.placements
    both = allocation.model_copy(update={"placements": (*allocation.placements, *other)})
    train = train.model_copy(
        update={"status": train.status.model_copy(update={"allocation": both})}
    )
    fleet = [(each, inventory(each, nodes(each, 1))) for each in (long, short)]

    assert decided(train, long, leases=fleet) == moved(train, 8, LEASE_ENDED)


def test_a_lease_that_ends_sooner_now_shortens_its_claims():
    of = west(until=6)

    train = holder(of, asks=24, until=24)
    assert decided(train, of) == moved(train, 6, LEASE_ENDED)
    train = holder(of, asks=None, until=None)
    assert decided(train, of) == moved(train, 6, LEASE_ENDED)


def test_a_lease_that_has_ended_already_ends_its_claims_now():
    of = west(until=2)
    train = holder(of, asks=None, until=None)

    assert decided(train, of, now=3) == taken(train, 3, LEASE_ENDED, told=2)


def test_a_claim_capped_by_its_lease_follows_when_the_lease_is_prolonged():
    of = west(until=9)
    train = holder(of, asks=24, until=6, cause=LEASE_ENDED)

    assert decided(train, of) == moved(train, 9, LEASE_ENDED)


@pytest.mark.parametrize("asks", [24, None])
def test_a_lease_that_isnt_there_neither_ends_nor_prolongs(asks):
    of = west()
    train = holder(of, asks=asks, until=4)

    assert decided(train, of, leases=[]) == []
    assert decided(train, of, leases=[], now=5) == taken(train, 4)


@pytest.mark.parametrize(
    "classes",
    [(), (as_class(deletionTimestamp="2026-11-22T09:30:00Z"),)],
    ids=["missing", "being deleted"],
)
def test_a_class_that_isnt_offered_any_more_neither_ends_nor_prolongs(classes):
    of = west()

    assert decided(holder(of, asks=24, until=4), of, classes=classes) == []
    train = holder(of, asks=2, until=4)
    assert decided(train, of, classes=classes) == moved(train, 2)


@pytest.mark.parametrize(
    "of",
    [
        west(acceptingClaims=False, until=24),
        as_lease(lease(end=format_instant(at(24))), deletionTimestamp="2026-11-22T09:30:00Z"),
    ],
    ids=["closed", "being deleted"],
)
def test_a_lease_that_sells_no_more_gives_nobody_a_longer_duration(of):
    assert decided(holder(of, asks=12, until=4), of) == []
    assert decided(holder(of, asks=None, until=4), of) == []
    train = holder(of, asks=2, until=4)
    assert decided(train, of) == moved(train, 2)


def test_a_lease_that_sells_no_more_keeps_who_is_in_when_it_is_prolonged():
    of = west(acceptingClaims=False, until=24)
    train = holder(of, asks=None, until=4, cause=LEASE_ENDED)

    assert decided(train, of) == moved(train, 24, LEASE_ENDED)


def test_an_overdue_claim_ends_as_of_its_promised_end():
    of = west()
    train = holder(of, asks=1, until=1)

    assert decided(train, of, now=5) == taken(train, 1)


def test_an_overdue_claim_that_asked_for_more_in_time_goes_on():
    of = west()
    train = holder(of, asks=6, until=1)

    assert decided(train, of, now=2) == moved(train, 6)


def test_an_overdue_claim_that_asked_for_more_goes_on_as_far_as_the_commitment_does():
    of = west((4, 0))
    train = holder(of, asks=6, until=1)

    assert decided(train, of, now=2) == moved(train, 4, LEASE_ENDED)


def test_an_overdue_claim_needs_no_room_beside_what_it_still_holds():
    of = as_lease(lease(committed=8))
    train = holder(of, asks=6, until=1)

    assert decided(train, of, now=2) == moved(train, 6)


def test_an_overdue_claim_that_goes_on_takes_no_room_twice():
    of = as_lease(lease(committed=16))
    train = holder(of, asks=6, until=1)
    asked = as_claim(claim("asked", schedule={"durationSeconds": 3600}))

    assert [type(d).__name__ for d in decided(asked, of, train, now=2)] == ["Reserve"]


def test_an_overdue_claim_whose_hours_are_spoken_for_ends():
    of = west((1, 0))
    train = holder(of, asks=6, until=1, cause=LEASE_ENDED)

    assert decided(train, of, now=2) == taken(train, 1, LEASE_ENDED, told=1)


def test_a_suspended_claim_ends_now():
    of = west()
    train = holder(of, asks=4, until=4)
    train = train.model_copy(update={"spec": train.spec.model_copy(update={"suspended": True})})

    assert decided(train, of, now=1) == taken(train, 1, ReleaseCause.SUSPENDED)


def test_a_claim_deleted_before_it_was_bound_is_released_as_of_its_reservation():
    of = west()
    train = _deleted(holder(of, asks=4, until=4), at(-1))

    assert decided(train, of, now=1) == taken(train, 0, ReleaseCause.DELETED)


def test_a_deletion_by_a_clock_that_is_ahead_ends_the_claim_now_and_not_in_the_future():
    of = west()
    train = _deleted(holder(of, asks=4, until=4), at(2))

    assert decided(train, of, now=1) == taken(train, 1, ReleaseCause.DELETED)


def test_a_deletion_by_a_clock_that_is_behind_ends_the_bill_as_of_what_that_clock_said():
    of = west()
    hour_behind = _deleted(holder(of, asks=4, until=4), at(2))

    assert decided(hour_behind, of, now=3) == taken(hour_behind, 2, ReleaseCause.DELETED)


def test_of_several_causes_the_first_in_time_is_named():
    of = west()
    over = holder(of, asks=2, until=2)

    assert decided(_deleted(over, at(1)), of, now=3) == taken(over, 1, ReleaseCause.DELETED)
    assert decided(_deleted(over, at(3)), of, now=3) == taken(over, 2, COMPLETED)


def test_a_claim_that_is_being_released_is_left_alone():
    of = west()
    train = holder(of, asks=24, until=1)
    going = released(train, Take(ClaimUID(train.metadata.uid), COMPLETED, NOW), done=False)

    assert decided(going, of, now=5) == []


def test_a_claim_deleted_while_it_waits_is_nobodys_business():
    waits = as_claim(deletionTimestamp="2026-11-22T09:30:00Z")

    assert decided(waits, west()) == []


def test_a_duration_counts_from_the_reservation():
    of = west()
    train = holder(of, asks=4, until=1, decided_ms=at(-2))

    assert decided(train, of) == moved(train, 2)


def _deleted(train, when: Millis):
    meta = train.metadata.model_copy(update={"deletion_timestamp": when})
    return train.model_copy(update={"metadata": meta})
