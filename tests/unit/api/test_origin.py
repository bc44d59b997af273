"""Who a restored object is: nobody but status says, and only once it is adopted."""

from sublet.api.approval import APPROVED, approval_text, approved_gpus
from sublet.api.gpuclaim import GpuClaim
from sublet.api.origin import RESTORED, awaits_adoption, former_uid, is_awaited
from tests.builders.api import as_claim, uid_of
from tests.builders.restored import adopted, newborn, on_the_wire, parsed, restored

SAVED = on_the_wire(as_claim())


def test_before_adoption_it_is_only_itself():
    found = parsed(restored(SAVED))

    assert found.metadata.uid == uid_of("new")
    assert awaits_adoption(found.metadata, found.status.origin, is_new=False)


def test_after_adoption_it_goes_by_the_old_uid_and_keeps_its_own_for_the_api_server():
    found = parsed(adopted(restored(SAVED)))

    assert found.metadata.uid == SAVED["metadata"]["uid"]
    assert found.metadata.own_uid == uid_of("new")
    assert not awaits_adoption(found.metadata, found.status.origin, is_new=False)


def test_what_was_written_and_read_again_is_the_same():
    found = parsed(adopted(restored(SAVED)))

    assert GpuClaim.model_validate(found.model_dump(mode="json", by_alias=True)) == found


def test_a_mark_that_anybody_can_write_makes_nobody_another():
    body = on_the_wire(as_claim())
    body["metadata"]["annotations"] = {RESTORED: uid_of("victim")}

    found = parsed(body)
    assert found.metadata.uid == SAVED["metadata"]["uid"]
    assert awaits_adoption(found.metadata, found.status.origin, is_new=True)


def test_the_mark_on_an_object_that_was_planned_already_says_nothing():
    body = on_the_wire(as_claim())
    body["metadata"]["annotations"] = {RESTORED: uid_of("victim")}
    body["status"] = {"observedGeneration": 1}

    found = parsed(body)
    assert not awaits_adoption(found.metadata, found.status.origin, is_new=False)
    assert (former_uid(body), is_awaited(body)) == (SAVED["metadata"]["uid"], False)


def test_an_approval_counts_for_the_claim_that_it_was_given():
    body = adopted(restored(SAVED))
    body["metadata"]["annotations"][APPROVED] = approval_text(as_claim())

    assert approved_gpus(parsed(body)) == 8


def test_the_mark_counts_on_an_object_as_the_api_server_shows_a_new_one():
    body = newborn(restored(SAVED))

    assert (former_uid(body), is_awaited(body)) == (SAVED["metadata"]["uid"], True)
