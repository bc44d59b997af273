"""Whatever of ours exists belongs to somebody who lives, and nobody is forgotten."""

from dataclasses import replace

import pytest

from sublet.api import claim_status
from sublet.api.ids import ClaimUID, LeaseUID, TenantUID
from sublet.api.last_word import Leftover
from sublet.api.pending import Pending, PendingReason
from sublet.verify.find import find_violations
from sublet.verify.world import SecretSeen
from tests.builders.api import NOW, uid_of, with_status
from tests.builders.fleet import released
from tests.builders.worlds import (
    LATER,
    WEST,
    bound_claim,
    changed_cluster,
    changed_node,
    guarded,
    read_as,
    reserved_claim,
    sound_world,
    take,
    uid,
)

TRAIN = bound_claim()
SOUND = sound_world(TRAIN)
DONE = released(TRAIN, take(TRAIN))
GOING = released(TRAIN, take(TRAIN), done=False)
STRANGER = ClaimUID(uid_of("nobody's"))


def found(world, *, settled=True):
    return [(v.id, v.subject) for v in find_violations(world, settled=settled)]


def held_by(claim_uid):
    return {
        "book": f"{claim_uid}=8",
        "claim_labels": frozenset({claim_uid}),
        "tenant_uid": TenantUID(uid_of("t")),
    }


def test_a_released_claim_that_left_nothing_is_sound():
    assert found(sound_world(DONE)) == []
    assert found(sound_world(GOING), settled=False) == []


def test_whoever_is_reserved_has_its_finalizer():
    loose = TRAIN.model_copy(
        update={"metadata": TRAIN.metadata.model_copy(update={"finalizers": ()})}
    )

    assert found(sound_world(loose), settled=False) == [("L3", "claim acme/train")]


def test_an_entry_of_a_claim_that_nobody_knows_is_named_at_rest():
    stray = changed_node(SOUND, 1, **held_by(STRANGER))

    assert found(stray, settled=False) == []
    assert found(stray) == [("S9", "node west/west-0001")]


def test_what_a_lease_says_was_left_there_is_known():
    left = Leftover(claim_uid=STRANGER, homes=(1,), gpus=8, since_time=NOW)
    status = WEST.status.model_copy(update={"leftovers": (left,)})
    stray = changed_node(SOUND, 1, **held_by(STRANGER))

    known = replace(stray, leases=(WEST.model_copy(update={"status": status}),))

    assert found(known) == []


def test_an_entry_of_a_claim_that_holds_nothing_is_named():
    stray = changed_node(sound_world(DONE), 0, **held_by(uid(TRAIN)))

    assert ("L3", "node west/west-0000") in found(
        changed_node(stray, 0, tenant_uid=TRAIN.status.allocation.tenant_uid)
    )


def test_an_entry_on_a_node_that_the_claim_hasnt_is_named():
    tenant_uid = TRAIN.status.allocation.tenant_uid
    stray = changed_node(SOUND, 1, **(held_by(uid(TRAIN)) | {"tenant_uid": tenant_uid}))

    assert found(stray) == [("L3", "node west/west-0001")]


@pytest.mark.parametrize(
    ("wound", "id_"),
    [
        ({"tenant_uid": TenantUID(uid_of("t"))}, "L3"),
        ({"lease_uid": None}, "L3"),
        ({"lease_uid": LeaseUID(uid_of("no lease"))}, "S9"),
        ({"pool": None}, "L3"),
        ({"book": None}, "L3"),
        ({"is_shunned": True}, "L3"),
        ({"leaving": frozenset({STRANGER})}, "L3"),
        ({"unwiped": frozenset({STRANGER})}, "L3"),
    ],
)
def test_marks_of_a_free_node_that_belong_to_nobody_are_named(wound, id_):
    assert found(changed_node(SOUND, 3, **wound)) == [(id_, "node west/west-0003")]


def test_a_node_without_any_mark_is_nobodys():
    bare = {"lease_uid": None, "pool": None, "book": None}

    assert found(changed_node(SOUND, 3, **bare)) == []


def test_what_keeps_pods_off_a_node_is_right_for_a_claim_that_leaves():
    leaves = {"leaving": frozenset({uid(TRAIN)})}

    assert found(changed_node(sound_world(GOING), **leaves), settled=True)[:1] != [
        ("L3", "node west/west-0000")
    ]
    assert found(changed_node(SOUND, **leaves)) == [("L3", "node west/west-0000")]


def test_a_node_may_wait_to_be_wiped_as_long_as_a_claim_is_on_it():
    assert found(changed_node(SOUND, unwiped=frozenset({uid(TRAIN)}))) == []


def test_a_namespace_of_nobody_is_named_unless_it_is_going():
    (home,) = SOUND.clusters[0].namespaces
    strange = replace(home, name=f"sublet-{STRANGER}-1", claim_uid=STRANGER)

    assert found(changed_cluster(SOUND, namespaces=(home, strange))) == [
        ("S9", f"namespace west/sublet-{STRANGER}-1")
    ]
    going = replace(strange, is_ending=True)
    assert found(changed_cluster(SOUND, namespaces=(home, going))) == []


def test_an_earlier_reservations_namespace_is_named():
    (home,) = SOUND.clusters[0].namespaces
    old = replace(home, name=f"sublet-{uid(TRAIN)}-7")

    assert found(changed_cluster(SOUND, namespaces=(home, old))) == [
        ("L3", f"namespace west/sublet-{uid(TRAIN)}-7")
    ]


def test_a_namespace_may_be_used_from_a_place_whose_cluster_cant_be_told():
    (home,) = SOUND.clusters[0].namespaces
    old = replace(home, name=f"sublet-{uid(TRAIN)}-7")

    assert found(read_as(SOUND, "east")) == []
    assert found(read_as(changed_cluster(SOUND, namespaces=(home, old)), "east")) == [
        ("L3", f"namespace west/sublet-{uid(TRAIN)}-7")
    ]


def test_a_claim_that_couldnt_be_parsed_has_no_orphans():
    stray = changed_node(SOUND, 1, **held_by(STRANGER))

    assert found(replace(stray, hidden=frozenset({STRANGER}))) == []


def test_a_secret_of_a_claim_that_is_gone_is_named():
    left = replace(SOUND, secrets=(*SOUND.secrets, SecretSeen("acme", "old", STRANGER)))

    assert found(left) == [("L3", "secret acme/old")]


def test_a_lease_that_vanished_under_a_claim_is_named():
    assert ("L3", "claim acme/train") in found(replace(SOUND, leases=()), settled=False)
    assert (
        found(replace(SOUND, leases=(), hidden=frozenset({WEST.metadata.uid})), settled=False) == []
    )


def test_a_claim_of_which_nothing_was_said_is_named():
    assert found(sound_world(guarded())) == [("L2", "claim acme/train")]


def test_a_claim_that_waits_says_for_what():
    asked = guarded()
    pending = Pending(reason=PendingReason.WAITING_FOR_CAPACITY, message="no GPUs are free")
    waits = asked.model_copy(update={"status": claim_status.waiting(asked, pending, NOW)})

    assert found(sound_world(waits)) == []
    assert found(sound_world(with_status(waits, pending=None))) == [("L2", "claim acme/train")]


def test_a_claim_that_is_bound_for_ever_is_named_unless_it_says_why():
    slow = reserved_claim()
    said = slow.model_copy(
        update={"status": claim_status.delayed(slow, "cluster west doesn't answer", LATER)}
    )

    assert ("L2", "claim acme/train") in found(sound_world(slow))
    assert found(sound_world(said)) == []


def test_a_deleted_claim_that_stays_says_why():
    def deleted(each):
        meta = each.metadata.model_copy(update={"deletion_timestamp": NOW})
        return each.model_copy(update={"metadata": meta})

    said = GOING.model_copy(
        update={"status": claim_status.delayed(GOING, "waiting for 2 pods", LATER)}
    )
    assert ("L4", "claim acme/train") in found(sound_world(deleted(GOING)))
    assert found(sound_world(deleted(said))) == []
