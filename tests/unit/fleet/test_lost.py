"""A person's word that a cluster is lost: when it holds, to when it stops meters, and what the lease says."""

import pytest

from sublet.api.common import find_condition
from sublet.api.gpulease import GpuLease, LeaseStatus
from sublet.api.ids import ClaimUID, ClusterUID
from sublet.api.last_word import Leftover
from sublet.api.times import Millis, format_instant
from sublet.book.inventory import Reach
from sublet.fleet.conditions import Held, lease_status
from sublet.fleet.facts import LeaseFacts
from tests.builders.api import NOW, as_lease, lease, uid_of
from tests.builders.fleet import inventory, nodes
from tests.builders.sales import hour

UID = as_lease().metadata.uid
ANSWERS = LeaseFacts(
    reach=Reach.REACHABLE, synced=True, credentials_checked=True, tried=True,
    cluster_uid=ClusterUID("c" * 36), isolation_ready=True,
)  # fmt: skip
SILENT = LeaseFacts(seen_ms=hour(-2), unreachable_since_ms=hour(-2), tried=True)


def said_lost(time: Millis = NOW, uid: str = UID, **status) -> GpuLease:
    word = {"leaseUID": uid, "time": format_instant(time), "by": "ann"}
    each = as_lease(lease(lost=word))
    return each.model_copy(update={"status": LeaseStatus(**status)})


def status(each: GpuLease, facts: LeaseFacts = SILENT, **more) -> LeaseStatus:
    found = inventory(each, nodes(each, 2), reach=facts.reach)
    return lease_status(each, facts, found, Held(), NOW, **more)


def says(written: LeaseStatus, type_: str) -> tuple[str, str]:
    found = find_condition(written.conditions, type_)
    return (found.status.value, found.reason) if found else ("", "")


def test_the_word_takes_effect_and_stops_meters_when_the_cluster_was_last_seen():
    written = status(said_lost())

    assert written.lost.meter_time == hour(-2)
    assert (written.lost.by, written.lost.time) == ("ann", NOW)
    assert says(written, "Lost") == ("True", "Lost")
    assert says(written, "Ready") == ("False", "Lost")


def test_a_cluster_in_whose_place_another_one_answers_can_be_lost():
    another = LeaseFacts(reach=Reach.UNREACHABLE, seen_ms=hour(-2), tried=True, identity_error="no")

    assert status(said_lost(), another).lost.meter_time == hour(-2)


def test_of_an_adopted_lease_the_word_names_the_uid_that_the_hub_shows():
    own = uid_of("own")
    meta = as_lease().metadata.model_copy(update={"object_uid": own})
    said = said_lost(uid=own).model_copy(update={"metadata": meta})

    assert says(status(said), "Lost") == ("True", "Lost")
    old = said_lost().model_copy(update={"metadata": meta})
    assert says(status(old), "Lost") == ("False", "OtherLease")


def test_an_earlier_time_that_the_person_gives_counts():
    assert status(said_lost(hour(-3))).lost.meter_time == hour(-3)


def test_what_took_effect_stays_whatever_comes():
    once = status(said_lost())
    each = as_lease().model_copy(update={"status": once})

    for facts in (ANSWERS, SILENT):
        assert status(each, facts).lost == once.lost


def test_nothing_of_a_lost_lease_is_for_sale_though_it_answers():
    counts = status(said_lost(lost=status(said_lost()).lost), ANSWERS).inventory

    assert (counts.free, counts.healthy) == (0, 0)
    assert [(u.reason, u.gpus) for u in counts.unsellable] == [("Lost", 16)]


@pytest.mark.parametrize(
    ("each", "facts", "reason", "words"),
    [
        (said_lost(uid=uid_of("another")), SILENT, "OtherLease", UID),
        (said_lost(hour(1)), SILENT, "InFuture", "2026-11-22T11:00:00Z"),
        (said_lost(), ANSWERS, "Answers", "term.endTime"),
        (said_lost(), LeaseFacts(), "NotTried", "asked first"),
    ],
)
def test_a_word_that_does_not_hold_is_answered_with_what_to_do(each, facts, reason, words):
    written = status(each, facts)

    assert written.lost is None
    assert says(written, "Lost") == ("False", reason)
    assert words in find_condition(written.conditions, "Lost").message


def test_nothing_is_said_where_nobody_said_anything():
    assert says(status(as_lease()), "Lost") == ("", "")


def test_a_cluster_that_answers_has_no_last_seen_time_so_that_nothing_is_written_at_rest():
    assert status(as_lease(), ANSWERS).last_seen_time is None


def test_a_restart_knows_what_was_written_when_the_cluster_fell_silent():
    once = status(as_lease())
    again = as_lease().model_copy(update={"status": once})

    fresh = LeaseFacts(tried=True, unreachable_since_ms=NOW)
    assert status(again, fresh, lived_ms=hour(-1)).last_seen_time == hour(-2)


def test_a_cluster_that_fell_silent_while_no_operator_ran_was_seen_until_the_last_one_lived():
    worked = as_lease().model_copy(update={"status": status(as_lease(), ANSWERS)})

    fresh = LeaseFacts(tried=True, unreachable_since_ms=NOW)
    assert status(worked, fresh, lived_ms=hour(-1)).last_seen_time == hour(-1)
    assert status(worked, fresh).last_seen_time == NOW


def test_one_probe_that_fails_after_a_restart_is_no_silence_since_the_last_operator():
    worked = as_lease().model_copy(update={"status": status(as_lease(), ANSWERS)})

    written = status(worked, LeaseFacts(unreachable_since_ms=NOW), lived_ms=hour(-1))

    assert written.last_seen_time is None
    assert says(written, "Reachable") == ("True", "Answers")
    assert says(written, "Ready") == ("Unknown", "NotTried")


def test_gpus_that_a_word_took_from_a_claim_are_counted_as_not_for_sale():
    claim_uid = uid_of("gone")
    left = Leftover(claim_uid=claim_uid, homes=(1,), gpus=8, since_time=NOW)
    each = as_lease().model_copy(update={"status": LeaseStatus(leftovers=(left,))})
    first, second = nodes(each, 2)
    (marked,) = nodes(each, 1, held_by=ClaimUID(claim_uid))
    found = inventory(each, [marked, second])

    counts = lease_status(each, ANSWERS, found, Held(), NOW).inventory
    assert (counts.delivered, counts.healthy, counts.free) == (16, 8, 8)
    assert [(u.reason, u.gpus) for u in counts.unsellable] == [("ReleaseForced", 8)]
    assert first.name == marked.name
