"""What the hub's state keeps, and what it never takes back."""

import pytest

from sublet.api.pending import PendingReason
from sublet.api.reading import read_claim
from sublet.book.decisions import Reserve
from sublet.book.holdings import holds
from sublet.book.plan import plan
from sublet.hub.state import HubState
from tests.builders.api import as_claim, claim, uid_of
from tests.builders.fleet import refusal_of, view
from tests.builders.moves import leased, running
from tests.builders.restored import on_the_wire
from tests.builders.unread import (
    holds_by_newer,
    senseless,
    unread,
    unread_lease,
    waits_by_newer,
)


def body(version: int, uid: str = "a", **spec):
    found = claim(**spec)
    found["metadata"] |= {"uid": uid_of(uid), "resourceVersion": str(version)}
    return found


def state() -> HubState:
    return HubState(lambda: None)


def test_a_late_event_never_takes_a_state_back():
    hub = state()
    hub.claims.take(body(10, gpus=16))
    hub.claims.take(body(9, gpus=8))

    assert hub.claims.get(uid_of("a")).spec.gpus == 16


def test_a_namesake_made_anew_replaces_the_old_one():
    hub = state()
    hub.claims.take(body(5, "old"))
    hub.claims.take(body(6, "new"))

    assert [c.metadata.uid for c in hub.claims.all()] == [uid_of("new")]
    hub.claims.drop(uid_of("old"))
    assert hub.claims.named("acme/train") is not None


def test_a_late_answer_about_the_old_one_of_a_name_never_displaces_the_new_one():
    hub = state()
    hub.claims.take(body(10, "old"))
    hub.claims.drop(uid_of("old"))
    hub.claims.take(body(13, "new"))
    hub.claims.take(body(11, "old"))  # the answer to our own write, slower than the watch

    assert [c.metadata.uid for c in hub.claims.all()] == [uid_of("new")]


def test_an_object_that_cant_be_parsed_is_kept_apart_and_mended_later():
    hub = state()
    broken = body(1)
    broken["spec"]["maxPricePerGpuHour"] = "abc"
    hub.claims.take(broken)
    assert "not a price" in hub.claims.broken["acme/train"]

    hub.claims.take(body(2))
    assert hub.claims.broken == {}


def test_a_claim_that_waits_is_never_planned_by_what_it_said_before_it_became_unreadable():
    west, hub = leased("west"), state()
    waits = as_claim(claim())
    hub.claims.take(on_the_wire(waits))
    assert isinstance(plan(view(hub.claims.all(), [west])).decisions[0], Reserve)

    hub.claims.take(unread(waits))

    refused = refusal_of(plan(view(hub.claims.all(), [west])), waits)
    assert refused.reason is PendingReason.MISCONFIGURED
    assert "startTime" in refused.message


def test_a_claim_that_waits_for_what_a_newer_version_said_is_served():
    west, hub = leased("west"), state()
    hub.claims.take(waits_by_newer(as_claim(claim())))

    assert isinstance(plan(view(hub.claims.all(), [west])).decisions[0], Reserve)
    assert hub.claims.broken == {}


def test_one_that_became_unreadable_holds_what_it_holds_and_its_deletion_is_seen():
    bound, hub = running(leased("west")), state()
    hub.claims.take(on_the_wire(bound))
    hub.claims.take(unread(bound, deletionTimestamp="2026-11-22T10:00:00Z"))

    found = hub.claims.get(bound.metadata.uid)
    assert found is not None
    assert (holds(found), found.spec) == (True, bound.spec)
    assert found.metadata.deletion_timestamp is not None
    assert "startTime" in hub.claims.broken["acme/train"]


@pytest.mark.parametrize("holding", [True, False], ids=["holds", "waits"])
def test_of_one_whose_status_became_unreadable_only_what_it_held_is_kept(holding: bool):
    each, hub = running(leased("west")) if holding else as_claim(claim()), state()
    hub.claims.take(on_the_wire(each))
    hub.claims.take(senseless(each))

    assert len(hub.claims.all()) == int(holding)
    assert hub.claims.object_uids() == hub.claims.uids() == {each.metadata.uid}
    hub.claims.drop(each.metadata.uid)
    assert (hub.claims.all(), hub.claims.broken) == ((), {})


def test_whoever_waits_hears_of_it_when_one_that_cant_be_read_is_gone():
    told: list[bool] = []
    hub = HubState(lambda: told.append(True))
    body = holds_by_newer(running(leased("west")))
    hub.claims.take(body)
    before = len(told)

    hub.claims.drop(body["metadata"]["uid"])

    assert len(told) == before + 1


def test_the_answer_of_a_write_tells_of_a_fault_as_an_event_does():
    waits, hub = as_claim(claim()), state()
    hub.claims.put(read_claim(unread(waits), waits))

    assert "startTime" in hub.claims.broken["acme/train"]


def test_a_lease_that_becomes_unreadable_goes_on_as_it_was_and_is_written_to_as_it_is():
    (west, _), hub = leased("west"), state()
    hub.leases.take(on_the_wire(west, "GpuLease"))
    hub.leases.take(unread_lease(west))

    (found,) = hub.leases.all()
    assert (found.spec, found.metadata.resource_version) == (west.spec, "999")
    assert hub.leases.unread() == ()


def test_one_that_was_never_read_is_kept_as_it_is_on_the_wire_until_it_can_be():
    (west, _), hub = leased("west"), state()
    hub.leases.take(unread_lease(west))

    (each,) = hub.leases.unread()
    assert (each.key, each.body) == ("west", unread_lease(west))
    assert hub.leases.all() == ()
    mended = on_the_wire(west, "GpuLease")
    mended["metadata"]["resourceVersion"] = "1000"
    hub.leases.take(mended)
    assert (hub.leases.unread(), len(hub.leases.all())) == ((), 1)
