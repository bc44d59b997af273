"""The ledger agrees with itself and with the claims, and no more is sold than was bought."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings

from sublet.api import move_status
from sublet.api.downtime import Downtime, DowntimeCause
from sublet.api.ids import LeaseUID, TenantUID
from sublet.api.outage import Outage
from sublet.api.relocation import Move, MoveCause
from sublet.api.times import Millis
from sublet.hub.meter import facts_of
from sublet.ledger.entry import EntryKind, EntryType
from sublet.verify.find import find_violations
from sublet.verify.lines import line_of, lines_of
from sublet.verify.world import LedgerSeen
from tests.builders.api import NOW, as_lease, lease, with_status
from tests.builders.edges import edges_of
from tests.builders.fleet import released
from tests.builders.histories import histories, passes
from tests.builders.worlds import (
    LATER,
    NODES,
    WEST,
    bound_claim,
    ledger_of,
    sound_world,
    take,
)
from tests.unit.book.test_cancellation import asks, world

TRAIN = bound_claim()
SOUND = sound_world(TRAIN)
TERMS, OPEN = facts_of(TRAIN)
DONE = released(TRAIN, take(TRAIN), LATER)
LEDGER = "ledger of claim acme/train"


def found(world, *, settled=False):
    return [(v.id, v.subject) for v in find_violations(world, settled=settled)]


def with_facts(*facts, world=SOUND):
    return replace(world, ledger=ledger_of(facts))


def later(fact, by_ms=1_000, **fields):
    return replace(fact, at_ms=Millis(fact.at_ms + by_ms), **fields)


def test_disputed_time_is_in_the_ledger_as_the_claims_status_says():
    west = TRAIN.status.allocation.placements[0].lease_uid
    outage = Outage(sequence=1, lease_uid=west, gpus=8, from_time=NOW, until_time=LATER)
    disputed = with_status(TRAIN, outages=(outage,))

    assert found(sound_world(disputed), settled=True) == []
    assert found(sound_world(disputed, facts=facts_of(TRAIN)), settled=True) != []


def test_a_claim_that_moved_after_a_silence_has_a_sound_ledger():
    west = TRAIN.status.allocation.placements[0].lease_uid
    silent = with_status(
        TRAIN, outages=(Outage(sequence=1, lease_uid=west, gpus=8, from_time=NOW),)
    )
    places = TRAIN.status.allocation.placements
    move = Move(sequence=2, cause=MoveCause.NODE_FAILED, decided_time=NOW, placements=places)
    moved = TRAIN.model_copy(
        update={"status": move_status.cut_over(with_status(silent, move=move), LATER, LATER)}
    )
    over = TRAIN.model_copy(update={"status": move_status.left_behind(moved, 1)})

    assert ("A1", LEDGER) not in found(sound_world(over, facts=facts_of(moved)), settled=True)


def given_up():
    """Return a claim that comes to no other nodes after all, and the lines of those that it was to have."""
    places = tuple(
        p.model_copy(update={"node": NODES[1].name, "node_uid": NODES[1].uid})
        for p in TRAIN.status.allocation.placements
    )
    move = Move(sequence=2, cause=MoveCause.NODE_FAILED, decided_time=NOW, placements=places)
    opened = with_status(TRAIN, move=move.model_copy(update={"opened_time": NOW}), last_sequence=2)
    dropped = TRAIN.model_copy(update={"status": move_status.dropped(opened, NOW)})
    (left,) = dropped.status.leaving
    freed = left.model_copy(update={"freed_time": LATER})
    free = TRAIN.model_copy(update={"status": move_status.changed(dropped, freed)})
    return TRAIN.model_copy(update={"status": move_status.left_behind(free, 2)}), facts_of(free)


def test_a_claim_whose_move_was_given_up_has_a_sound_ledger():
    each, lines = given_up()

    assert found(sound_world(each, facts=lines)) == []


def test_a_move_that_was_given_up_and_billed_is_named():
    each, lines = given_up()
    billed = later(OPEN, sequence=2)

    assert ("A2", LEDGER) in found(sound_world(each, facts=[*lines, billed]))


def test_what_was_given_up_too_late_is_in_the_ledger_as_the_claims_status_says():
    shortened = asks(world(), 3.2, hours=5)
    (before,), (after,) = shortened.claims, asks(shortened, 3.4, hours=3).claims

    assert ("A1", LEDGER) not in found(sound_world(after), settled=True)
    assert ("A1", LEDGER) in found(sound_world(before, facts=facts_of(after)))


def test_the_ledger_of_a_claim_that_is_over_is_sound():
    assert found(sound_world(DONE), settled=True) == []


def test_a_ledger_that_doesnt_prove_itself_is_named():
    broken = replace(SOUND, ledger=LedgerSeen(SOUND.ledger.entries, fault="line 1 was changed"))

    assert found(broken) == [("A1", "ledger")]


def test_a_line_that_hasnt_come_yet_is_a_fault_at_rest_only():
    assert found(with_facts()) == []
    assert set(found(with_facts(), settled=True)) == {("A1", LEDGER)}


def test_billing_from_another_instant_than_bound_time_is_named():
    assert found(with_facts(later(OPEN))) == [("A2", LEDGER)]


def test_billing_more_gpus_than_are_held_is_named():
    assert found(with_facts(replace(OPEN, gpus=16))) == [("A2", LEDGER)]


def test_an_end_that_the_claim_doesnt_know_is_named():
    assert found(with_facts(OPEN, later(OPEN, type=EntryType.CLOSE))) == [("A1", LEDGER)]


def test_a_reservation_that_the_claim_never_had_is_named():
    assert ("A2", LEDGER) in found(with_facts(OPEN, later(OPEN, sequence=2)))


def test_two_reservations_billed_at_once_are_named():
    both = with_facts(OPEN, later(OPEN, sequence=2))

    assert ("A1", LEDGER) in found(both)


def test_earlier_reservations_that_ended_are_sound():
    again = with_status(
        TRAIN, allocation=TRAIN.status.allocation.model_copy(update={"sequence": 2})
    )
    before = [later(OPEN, -5_000), later(OPEN, -4_000, type=EntryType.CLOSE)]
    (new,) = edges_of(again)

    assert ("A1", LEDGER) not in found(with_facts(*before, new, world=sound_world(again)))


def test_a_claim_that_is_gone_and_still_billed_is_named():
    gone = replace(sound_world(), ledger=SOUND.ledger)

    assert found(gone) == [("A1", "ledger")]
    (said,) = find_violations(gone, settled=False)
    assert "name it in spec.releaseOrphans of the lease" in said.message
    assert found(replace(sound_world(), ledger=sound_world(DONE).ledger)) == []


def test_another_price_or_tenant_than_the_claims_is_named():
    assert ("S11", LEDGER) in found(with_facts(replace(OPEN, price_hash="0" * 64)))
    assert ("S11", LEDGER) in found(with_facts(replace(OPEN, tenant_uid=TenantUID("globex"))))


def test_terms_in_the_words_of_another_version_are_no_violation():
    other = replace(TERMS, price_hash="0" * 64)

    assert found(with_facts(other, OPEN), settled=True) == []


def test_a_price_that_isnt_what_was_hashed_is_named():
    cheap = TRAIN.status.allocation.model_copy(update={"price_per_gpu_hour": Decimal("0.01")})
    world = replace(SOUND, claims=(with_status(TRAIN, allocation=cheap),))

    assert ("S11", "claim acme/train") in found(world)


@pytest.mark.parametrize(
    "fields",
    [{"source_version": ""}, {"tags_hash": "none"}, {"price_hash": ""}, {"tenant_uid": ""}],
)
def test_a_line_that_doesnt_say_why_is_named(fields):
    assert ("A4", "ledger line 1") in found(with_facts(replace(OPEN, **fields)))


def test_a_price_that_cant_be_read_is_named():
    lost = LedgerSeen(SOUND.ledger.entries, missing_terms=frozenset({OPEN.price_hash}))

    assert found(replace(SOUND, ledger=lost)) == [("A4", "ledger line 2")]


def test_more_gpus_held_than_committed_are_named():
    small = as_lease(lease("west", committed=8))
    claims = (bound_claim(), bound_claim("other", on=1))
    over = sound_world(*claims, fleet=((small, NODES),))

    assert {("S3", "lease west"), ("A3", "lease west")} == set(found(over))


def test_a_commitment_that_was_lowered_since_takes_nothing_back():
    small = as_lease(lease("west", committed=8))
    claims = (bound_claim(), bound_claim("other", on=1))
    lowered = {LeaseUID(WEST.metadata.uid): LATER}
    over = replace(sound_world(*claims, fleet=((small, NODES),)), spec_changed=lowered)

    assert found(over) == []
    assert found(replace(over, spec_changed={})) == []


def test_more_time_billed_than_the_landlord_is_paid_for_is_named():
    begun = as_lease(lease("west", committed=8, term={"startTime": "2026-11-22T10:30:00Z"}))
    sold = replace(sound_world(TRAIN, fleet=((begun, NODES),)), spec_changed={})

    assert found(sold) == [("A3", "lease west")]


def test_without_a_ledger_nothing_is_said_of_it():
    assert found(replace(SOUND, ledger=None), settled=True) == []


UNTIMED = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])


@UNTIMED
@given(histories())
def test_the_meter_and_the_checker_call_for_the_same_lines_whatever_happens(history):
    for seen, _ in passes(history):
        for each in seen.claims:
            assert {line_of(f) for f in facts_of(each)} == lines_of(each)


@pytest.mark.parametrize("until", [None, LATER])
def test_times_in_which_gpus_didnt_work_are_called_for_by_the_status(until):
    begun = TRAIN.status.allocation.bound_time
    down = Downtime(
        sequence=1,
        lease_uid=OPEN.lease_uid,
        gpus=2,
        cause=DowntimeCause.GPUS_MISSING,
        from_time=begun,
        until_time=until,
    )
    told = with_status(TRAIN, downtimes=(down,))

    assert found(sound_world(told), settled=True) == []
    assert found(with_facts(*facts_of(told))) != []
    over = released(told, take(told), Millis(LATER))
    assert {line_of(f) for f in facts_of(over)} == lines_of(over)


def test_marks_of_objects_are_no_claims_and_no_intervals():
    tags = {"tags_hash": "", "type": EntryType.SET}
    west = replace(TERMS, claim_uid=OPEN.lease_uid, lease_uid=OPEN.lease_uid, tenant_uid="", **tags)
    level = replace(west, kind=EntryKind.CAPACITY, gpus=64, price_hash="")
    tenant = replace(TERMS, claim_uid=OPEN.tenant_uid, **tags)
    rates = replace(west, claim_uid="rates", lease_uid="", source_version="")
    newer = replace(west, sequence=2, price_hash="1" * 64)

    assert found(with_facts(west, level, tenant, newer, rates, TERMS, OPEN), settled=True) == []


def test_a_mark_that_says_nothing_is_named():
    assert ("A4", "ledger line 1") in found(with_facts(replace(TERMS, price_hash=""), OPEN))


def test_a_bill_without_the_terms_of_its_reservation_is_a_fault_at_rest():
    assert found(with_facts(OPEN)) == []
    assert found(with_facts(OPEN), settled=True) == [("A1", LEDGER)]


@pytest.mark.parametrize("until", [None, LATER])
def test_times_in_which_a_cluster_was_silent_are_called_for_by_the_status(until):
    begun = TRAIN.status.allocation.bound_time
    silent = Outage(sequence=1, lease_uid=OPEN.lease_uid, gpus=8, from_time=begun, until_time=until)
    told = with_status(TRAIN, outages=(silent,))

    assert found(sound_world(told), settled=True) == []
    assert found(with_facts(*facts_of(told))) != []
