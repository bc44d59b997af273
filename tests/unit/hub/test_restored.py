"""Restored objects in the operator's state: held until they are adopted, then known by the UID that they had."""

from dataclasses import replace

import pytest

from sublet.api.claim_status import allocation_of
from sublet.api.origin import RESTORED
from sublet.book.inventory import Holding
from sublet.hub.state import HubState
from tests.builders.api import as_claim, as_tenant, claim, tenant, uid_of
from tests.builders.fleet import bound, held, inventory
from tests.builders.restored import Body, adopted, newborn, on_the_wire, parsed, restored
from tests.builders.windows import ahead, promised
from tests.harness.loop import NODES, WEST, parts, recording_loop

SAVED = on_the_wire(as_claim())
OLD, NEW = SAVED["metadata"]["uid"], uid_of("new")


def state() -> HubState:
    return HubState(lambda: None)


def test_a_restored_object_is_held_and_never_planned():
    hub = state()
    hub.claims.take(restored(SAVED))

    assert hub.claims.all() == ()
    assert list(hub.claims.restored) == [NEW]
    assert hub.claims.object_uids() == {NEW}
    assert hub.claims.uids() == {OLD}


def test_it_is_held_from_its_creation_on_before_it_has_a_status():
    hub = state()
    hub.claims.take(newborn(restored(SAVED)))

    assert hub.claims.all() == ()


def test_the_mark_on_a_claim_that_was_planned_already_holds_nothing():
    marked = on_the_wire(as_claim(resourceVersion="70"))
    marked["metadata"]["annotations"] = {RESTORED: uid_of("x")}
    marked["status"] = {"observedGeneration": 1}
    hub = state()
    hub.claims.take(marked)

    assert [c.metadata.uid for c in hub.claims.all()] == [OLD]
    assert hub.claims.restored == {}


def test_once_adopted_it_goes_by_the_uid_that_it_had():
    hub = state()
    hub.claims.take(restored(SAVED))
    hub.claims.take(adopted(restored(SAVED)))

    found = hub.claims.get(OLD)
    assert found is not None
    assert (found.metadata.uid, found.metadata.own_uid) == (OLD, NEW)
    assert hub.claims.restored == {}
    assert hub.claims.object_uids() == {NEW}
    assert hub.claims.uids() == {OLD}


def test_its_deletion_is_told_by_the_api_servers_uid():
    hub = state()
    hub.claims.take(adopted(restored(SAVED)))
    hub.claims.drop(NEW)

    assert hub.claims.all() == ()
    hub.claims.take(restored(SAVED))
    hub.claims.drop(NEW)
    assert hub.claims.restored == {}


def test_the_deletion_of_one_that_is_held_is_a_change():
    told = list[str]()
    hub = HubState(lambda: told.append("changed"))
    hub.claims.take(restored(SAVED))
    told.clear()
    hub.claims.drop(NEW)

    assert told == ["changed"]


def test_an_echo_of_an_older_version_takes_nothing_back():
    hub = state()
    hub.claims.take(adopted(restored(SAVED), version="70"))
    late = adopted(restored(SAVED), version="60")
    late["spec"] = {**late["spec"], "tags": {"late": "yes"}}
    hub.claims.take(late)

    assert hub.claims.get(OLD).spec.tags == {}


def test_two_objects_are_never_the_same_one():
    hub = state()
    hub.claims.take(adopted(restored(SAVED)))
    forged = adopted(
        restored({**SAVED, "metadata": {**SAVED["metadata"], "name": "other"}}, "twin")
    )
    hub.claims.take(forged)

    assert [c.metadata.name for c in hub.claims.all()] == ["train"]
    assert "goes by the UID of acme/train" in hub.claims.broken["acme/other"]

    hub.claims.drop(uid_of("twin"))
    assert (hub.claims.broken, len(hub.claims.all())) == ({}, 1)


def test_a_namesake_that_is_made_later_is_somebody_new():
    hub = state()
    hub.claims.take(adopted(restored(SAVED)))
    hub.claims.take(on_the_wire(as_claim(claim(), uid=uid_of("later"), resourceVersion="90")))

    assert [c.metadata.uid for c in hub.claims.all()] == [uid_of("later")]


def test_what_a_restore_took_back_on_a_rewound_hub_is_let_go_of_and_held():
    again = {**restored(SAVED), "metadata": {**SAVED["metadata"], "resourceVersion": "50"}}
    hub = state()
    hub.claims.take({**SAVED, "metadata": {**SAVED["metadata"], "resourceVersion": "40"}})
    followed = hub.claims.follow()
    followed.clear()
    hub.claims.take(again)

    assert (hub.claims.all(), list(hub.claims.restored)) == ((), [OLD])
    assert followed == {OLD}
    late = {**SAVED, "metadata": {**SAVED["metadata"], "resourceVersion": "45"}}
    hub.claims.take(late)
    hub.claims.put(as_claim(resourceVersion="45"))
    assert hub.claims.all() == ()


def test_the_answer_of_a_write_that_shows_a_held_object_makes_it_no_planned_one():
    hub = state()
    hub.claims.put(parsed(restored(SAVED)))

    assert (hub.claims.all(), list(hub.claims.restored)) == ((), [NEW])


def test_it_is_found_by_the_uid_that_it_had_where_what_it_holds_counts():
    hub = state()
    hub.claims.take(restored(SAVED))

    found = hub.claims.sought(OLD)
    assert found is not None
    assert (found.metadata.uid, found.metadata.own_uid) == (OLD, NEW)
    assert hub.claims.sought(NEW) is None
    assert hub.claims.get(OLD) is None


def as_is(body: Body) -> Body:
    """Return a claim that waits for nothing."""
    return body


@pytest.mark.parametrize("hub_has", [as_is, restored])
async def test_a_window_is_promised_once_also_while_its_claim_waits_to_be_adopted(hub_has):
    loop, hub, told = recording_loop()
    vip = promised(ahead("vip", 2, 24, gpus=32), [(WEST, inventory(WEST, NODES))])
    hub.claims.take(hub_has(on_the_wire(vip)))
    hub.claims.put(ahead("other", 2, 24, gpus=32))
    hub.claims.put(ahead("before", 1, 1, gpus=32))
    await loop.look()

    assert told.reserved == ["before"]


@pytest.mark.parametrize("hub_has", [as_is, restored])
async def test_a_quota_is_given_once_also_while_a_claim_waits_to_be_adopted(hub_has):
    loop, hub, told = recording_loop()
    fleet, _ = parts(loop)
    old = bound(held(as_claim(claim("old")), WEST, NODES[:1]))
    book = (Holding(old.metadata.uid, 8),)
    taken = replace(NODES[0], holdings=book, tenant_uid=allocation_of(old).tenant_uid)
    fleet.nodes = [taken, *NODES[1:]]
    limited = tenant(quotas=[{"className": "h100", "gpus": 8}])
    hub.tenants.put(as_tenant(limited, resourceVersion="9"))
    hub.claims.take(hub_has(on_the_wire(old)))
    hub.claims.put(as_claim(claim("anew")))
    await loop.look()

    assert told.reserved == []
