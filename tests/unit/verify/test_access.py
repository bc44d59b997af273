"""Who may get in, and that whoever is bound can."""

from dataclasses import replace

import pytest

from sublet.api.ids import ClaimUID, LeaseUID
from sublet.api.times import Millis
from sublet.verify.find import find_violations
from sublet.verify.world import Leak, SecretSeen
from tests.builders.api import as_lease, lease, uid_of, with_status
from tests.builders.fleet import bound, held, released
from tests.builders.worlds import (
    NODES,
    WEST,
    bound_claim,
    changed_cluster,
    changed_namespace,
    guarded,
    read_as,
    reserved_claim,
    sound_world,
    take,
    uid,
    with_access,
)

TRAIN = bound_claim()
SOUND = sound_world(TRAIN)
HOME = f"namespace west/sublet-{uid(TRAIN)}-1"


def found(world, *, settled=False):
    return [(v.id, v.subject) for v in find_violations(world, settled=settled)]


@pytest.mark.parametrize(
    ("wound", "words"),
    [
        ({"is_ending": True}, "its namespace is going away"),
        ({"has_quota": False, "quota_gpus": None}, "the ResourceQuota is missing"),
        ({"has_policy": False}, "the NetworkPolicy is missing"),
        ({"has_binding": False}, "the RoleBinding is missing"),
        ({"quota_gpus": 16}, "the quota allows 16 GPUs, not 8"),
        ({"quota_gpus": None}, "the quota allows None GPUs, not 8"),
        ({"claim_uid": ClaimUID(uid_of("other"))}, "its label sublet.dev/claim is"),
    ],
)
def test_a_bound_claims_namespace_that_lacks_something_is_named(wound, words):
    (wrong,) = find_violations(changed_namespace(SOUND, **wound), settled=False)

    assert (wrong.id, wrong.subject) == ("S4", HOME)
    assert words in wrong.message


def _by_two_leases():
    """Return a claim with a node by west and one by east, which are leases of one cluster."""
    both = with_access(bound(held(guarded(), WEST, NODES[:2])))
    allocation = both.status.allocation
    first, second = allocation.placements
    east = second.model_copy(update={"lease_uid": as_lease(lease("east")).metadata.uid})
    placed = allocation.model_copy(update={"placements": (first, east)})
    return sound_world(both), with_status(both, allocation=placed)


def _of_quotas(world):
    return [v.subject for v in find_violations(world, settled=False) if "quota" in v.message]


def test_a_quota_isnt_compared_where_a_place_of_its_namespace_may_be_in_any_cluster():
    sound, spread = _by_two_leases()
    partly = read_as(replace(sound, claims=(spread,)), "east")
    uids = {LeaseUID(x.metadata.uid) for x in partly.leases}
    wholly = changed_cluster(partly, lease_uids=frozenset(uids))

    assert _of_quotas(wholly) == _of_quotas(partly) == []
    assert _of_quotas(changed_namespace(wholly, quota_gpus=24)) == [HOME]
    assert _of_quotas(changed_namespace(partly, quota_gpus=24)) == []


def test_an_account_may_be_away_for_a_moment_as_where_a_kubeconfig_was_lost_but_not_at_rest():
    without = changed_namespace(SOUND, has_account=False)

    assert found(without) == []
    assert found(without, settled=True) == [("S4", HOME)]


def test_a_bound_claim_without_its_namespace_is_named():
    assert found(changed_cluster(SOUND, namespaces=())) == [("S4", HOME)]


def test_a_claim_that_isnt_bound_yet_may_lack_everything():
    assert found(changed_cluster(sound_world(reserved_claim()), namespaces=())) == []


def test_what_couldnt_be_read_of_a_namespace_is_no_fault():
    seen = {"has_policy": None, "has_account": None, "has_binding": None}

    assert found(changed_namespace(SOUND, **seen), settled=True) == []


def test_a_quota_that_isnt_enforced_yet_is_a_fault_at_rest_only():
    late = changed_namespace(SOUND, is_quota_live=False)

    assert found(late) == []
    assert found(late, settled=True) == [("S4", HOME)]


def test_access_without_bound_and_bound_without_access_are_named():
    open_ = with_status(reserved_claim(), access=TRAIN.status.access)
    shut = with_status(TRAIN, access=None)

    assert ("S5", "claim acme/train") in found(sound_world(open_))
    assert ("S5", "claim acme/train") in found(replace(SOUND, claims=(shut,)))


def test_access_to_anothers_namespace_is_named():
    theirs = bound_claim("other", on=1).status.access
    crossed = with_status(
        TRAIN, access=theirs.model_copy(update={"secret_name": "train-kubeconfig"})
    )

    assert ("S5", "claim acme/train") in found(replace(SOUND, claims=(crossed,)))


def test_a_kubeconfig_in_another_namespace_is_named():
    astray = replace(SOUND, secrets=(*SOUND.secrets, SecretSeen("globex", "stolen", uid(TRAIN))))

    assert found(astray) == [("S5", "secret globex/stolen")]


def test_rights_that_outlive_the_claim_are_a_fault_at_rest():
    done = released(TRAIN, take(TRAIN))
    left = changed_cluster(sound_world(done), namespaces=SOUND.clusters[0].namespaces)

    assert found(left) == []
    assert {("S5", HOME), ("L3", HOME)} <= set(found(left, settled=True))


def test_a_missing_secret_is_a_fault_at_rest():
    gone = replace(SOUND, secrets=())

    assert found(gone) == []
    assert found(gone, settled=True) == [("L5", "claim acme/train")]
    assert found(replace(SOUND, secrets=None), settled=True) == []


def test_a_token_that_is_over_is_a_fault_at_rest():
    (where,) = TRAIN.status.access.clusters
    late = replace(SOUND, now_ms=Millis(where.expiration_time))

    assert ("L5", "claim acme/train") in found(late, settled=True)


def test_a_kubeconfig_without_a_context_for_a_cluster_is_a_fault_at_rest():
    bare = TRAIN.status.access.model_copy(update={"clusters": ()})
    world = replace(SOUND, claims=(with_status(TRAIN, access=bare),))

    assert found(world, settled=True) == [("L5", "claim acme/train")]


def test_a_credential_that_is_shown_is_named_and_not_repeated():
    (wrong,) = find_violations(
        replace(SOUND, leaks=(Leak("claim acme/train", "status", "a token"),)), settled=False
    )

    assert (wrong.id, wrong.subject) == ("S12", "claim acme/train")
    assert "its status shows a token" in wrong.message
