"""A claim of which something can't be read: what it holds counts, what it asks for doesn't. A lease goes on as it was."""

import pytest

from sublet.api.gpuclaim import GpuClaim
from sublet.api.gpulease import GpuLease
from sublet.api.reading import Unreadable, read_claim, read_terms
from tests.builders.api import as_claim, claim, uid_of
from tests.builders.moves import leased, running
from tests.builders.restored import on_the_wire
from tests.builders.unread import senseless, unread, unread_lease, waits_by_newer

WAITING = as_claim(claim(tags={"a": "b"}))
BOUND = running(leased("west"), tags={"a": "b"})


def test_what_can_be_read_has_no_fault():
    assert read_claim(on_the_wire(BOUND), WAITING).metadata.fault == ""


def test_what_it_asks_for_is_what_was_read_last_and_all_else_is_as_it_is_now():
    found = read_claim(unread(BOUND, deletionTimestamp="2026-11-22T12:00:00Z"), BOUND)

    assert "schedule.startTime" in found.metadata.fault
    assert (found.spec, found.status) == (BOUND.spec, BOUND.status)
    assert found.metadata.resource_version == "999"
    assert found.metadata.deletion_timestamp is not None


def test_of_one_that_was_never_read_whole_the_field_alone_is_left_out():
    found = read_claim(unread(BOUND))

    assert found.metadata.fault
    assert found.spec == BOUND.spec


def test_anothers_spec_is_nothing_of_it():
    found = read_claim(unread(WAITING), as_claim(claim(tags={"c": "d"}), uid=uid_of("another")))

    assert found.spec.tags == {"a": "b"}


def test_one_that_holds_something_never_says_that_what_it_cant_read_was_seen():
    last = BOUND.metadata.generation

    assert read_claim(unread(BOUND), BOUND).metadata.generation == last
    assert read_claim(unread(BOUND)).metadata.generation == BOUND.status.observed_generation
    assert read_claim(unread(WAITING), WAITING).metadata.generation == last + 1


def test_why_it_waits_is_made_anew_and_costs_nothing_else_if_a_newer_version_said_it():
    found = read_claim(waits_by_newer(WAITING))

    assert (found.metadata.fault, found.spec) == ("", WAITING.spec)
    assert (found.status.pending, found.status.offers) == (None, ())


def test_what_is_offered_alone_takes_the_reason_with_it_so_that_both_are_said_anew():
    body = waits_by_newer(WAITING)
    reason = {"reason": "WaitingForCapacity", "message": "none is free"}

    found = read_claim({**body, "status": {**body["status"], "pending": reason}})

    assert (found.status.pending, found.status.offers) == (None, ())


def test_a_spec_that_cant_be_read_is_its_fault_whatever_a_newer_version_said():
    found = read_claim({**waits_by_newer(WAITING), "spec": unread(WAITING)["spec"]})

    assert "schedule.startTime" in found.metadata.fault


@pytest.mark.parametrize("each", [WAITING, BOUND], ids=["waiting", "bound"])
def test_without_a_status_that_can_be_read_nothing_is_known(each: GpuClaim):
    with pytest.raises(Unreadable, match="usedMilliseconds"):
        read_claim(senseless(each), each)


def test_a_lease_goes_on_by_the_terms_that_were_read_last_and_says_that_it_does():
    west, _ = leased("west")
    found = read_terms(GpuLease, unread_lease(west), west)

    assert "term.startTime" in found.metadata.fault
    assert (found.spec, found.metadata.generation) == (west.spec, west.metadata.generation)
    assert found.metadata.resource_version == "999"


@pytest.mark.parametrize("last", [None, leased("east")[0]], ids=["none", "another's"])
def test_of_a_lease_that_was_never_read_nothing_is_made_up(last: GpuLease | None):
    with pytest.raises(Unreadable, match=r"term\.startTime"):
        read_terms(GpuLease, unread_lease(leased("west")[0]), last)
