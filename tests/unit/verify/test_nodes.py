"""Nothing is sold twice: the nodes' own books against each other and against the hub."""

from dataclasses import replace
from typing import Any

import pytest

from sublet.api.gpulease import NodeSharing
from sublet.api.ids import ClusterUID, LeaseUID, TenantUID
from sublet.verify.find import find_violations
from sublet.verify.world import PodSeen
from tests.builders.api import uid_of
from tests.builders.worlds import (
    bound_claim,
    changed_cluster,
    changed_node,
    reserved_claim,
    sound_world,
    uid,
)

TRAIN = bound_claim()
OTHER = bound_claim("other", on=1)
SOUND = sound_world(TRAIN, OTHER)


def found(world, *, settled=False):
    return [(v.id, v.subject) for v in find_violations(world, settled=settled)]


def said(world):
    return [v.message for v in find_violations(world, settled=False)]


MAY_NOT = "acme/other, acme/train are bound to 8 GPUs of 8 there; end all but one of them"


def test_a_sound_world_violates_nothing():
    assert found(SOUND, settled=True) == []
    assert found(sound_world(reserved_claim()), settled=False) == []
    assert found(sound_world(), settled=True) == []


def test_a_landlord_that_shows_anothers_nodes_neither_accuses_nor_hides():
    liar = replace(
        SOUND.clusters[0],
        uid=ClusterUID(uid_of("liar")),
        name="liar",
        lease_uids=frozenset({LeaseUID(uid_of("lease liar"))}),
        nodes=tuple(
            replace(n, book="", claim_labels=frozenset(), tenant_uid=None, lease_uid=None, pool=None)
            for n in SOUND.clusters[0].nodes
        ),
        namespaces=(),
        pods=(),
    )  # fmt: skip
    lost = changed_node(SOUND, book="", claim_labels=frozenset())

    assert found(replace(SOUND, clusters=(*SOUND.clusters, liar))) == []
    honest = replace(liar, nodes=SOUND.clusters[0].nodes)
    assert ("S1", "node west/west-0000") in found(replace(lost, clusters=(*lost.clusters, honest)))


def test_a_book_that_isnt_one_is_named():
    assert ("S1", "node west/west-0000") in found(changed_node(SOUND, book="train=8"))


def test_an_entry_without_its_label_is_named():
    assert found(changed_node(SOUND, claim_labels=frozenset())) == [("S1", "node west/west-0000")]


def test_a_label_without_its_entry_is_named():
    stray = frozenset({uid(TRAIN), uid(OTHER)})

    assert found(changed_node(SOUND, claim_labels=stray)) == [("S1", "node west/west-0000")]


def test_a_node_that_gives_away_more_than_it_has_is_named():
    halves = sound_world(bound_claim(gpus=4), bound_claim("other", gpus=4))

    assert ("S3", "node west/west-0000") in found(changed_node(halves, gpus=4))
    assert found(changed_node(halves, gpus=4, is_steady=False)) == []


def test_a_gpu_that_fails_under_its_claim_oversells_nothing():
    assert found(changed_node(SOUND, gpus=7)) == []
    assert found(changed_node(SOUND, gpus=0)) == []


def test_a_bound_claim_whose_entry_is_gone_is_named():
    gone = changed_node(SOUND, book="", claim_labels=frozenset(), tenant_uid=None)

    (wrong,) = find_violations(gone, settled=False)
    assert (wrong.id, wrong.subject) == ("S1", "node west/west-0000")
    assert "gives claim acme/train 0 GPUs, but it is bound to 8" in wrong.message


def test_a_reserved_claim_whose_locks_arent_taken_yet_is_no_fault():
    free = sound_world(reserved_claim())

    assert found(changed_node(free, book="", claim_labels=frozenset(), tenant_uid=None)) == []


def test_a_node_that_was_made_anew_owes_the_claim_nothing():
    anew = changed_node(
        SOUND, uid=uid_of("anew"), book="", claim_labels=frozenset(), tenant_uid=None
    )

    assert found(anew) == []


def test_two_claims_bound_to_the_same_gpus_are_named():
    twice = sound_world(TRAIN, bound_claim("other"))

    assert ("S1", "node west/west-0000") in found(twice)
    assert ("S3", "node west/west-0000") in found(twice)


def test_two_claims_on_a_node_that_isnt_shared_are_named():
    halves = sound_world(bound_claim(gpus=4), bound_claim("other", gpus=4))

    assert found(halves) == []
    assert ("S1", "node west/west-0000") in found(changed_node(halves, sharing=NodeSharing.NONE))


def test_two_claims_that_the_hub_gave_a_node_that_isnt_shared_are_named():
    halves = sound_world(bound_claim(gpus=4), bound_claim("other", gpus=4))
    lost: dict[str, Any] = {"book": "", "claim_labels": frozenset(), "tenant_uid": None}

    assert MAY_NOT in said(changed_node(halves, sharing="None", **lost))


@pytest.mark.parametrize(
    ("mark", "what"), [(None, "is missing"), ("Anybody", "says 'Anybody', which is unknown")]
)
@pytest.mark.parametrize("tenant", ["acme", "globex"])
def test_where_nobody_can_tell_whether_a_node_is_shared_that_is_said_and_nobody_is_to_end(
    mark: str | None, what: str, tenant: str
):
    halves = sound_world(bound_claim(gpus=4), bound_claim("other", gpus=4, tenant_name=tenant))

    (wrong,) = find_violations(changed_node(halves, sharing=mark), settled=True)

    assert (wrong.id, wrong.subject) == ("S1", "node west/west-0000")
    assert wrong.message.startswith(f"sublet.dev/sharing {what}")
    assert "end none of its claims for that" in wrong.message


def test_of_two_claims_whose_restored_node_forgot_everything_nobody_is_to_end():
    halves = sound_world(bound_claim(gpus=4), bound_claim("other", gpus=4))
    lost: dict[str, Any] = {
        "book": None,
        "claim_labels": frozenset(),
        "tenant_uid": None,
        "sharing": None,
    }
    forgot = changed_node(halves, **lost)

    assert len(said(forgot)) == 2
    assert all("put the entry and its label back" in each for each in said(forgot))
    assert MAY_NOT.replace("of 8", "of 4") in said(changed_node(forgot, gpus=4))


def test_two_tenants_on_a_node_for_one_are_named():
    mixed = sound_world(bound_claim(gpus=4), bound_claim("theirs", gpus=4, tenant_name="globex"))

    assert found(mixed) == [("S1", "node west/west-0000")]
    assert found(changed_node(mixed, sharing=NodeSharing.ANY_TENANT)) == []


def test_a_node_that_names_another_tenant_is_named():
    foreign = TenantUID(uid_of("somebody"))

    assert found(changed_node(SOUND, tenant_uid=foreign)) == [("S1", "node west/west-0000")]


def test_a_bound_claims_node_without_its_fence_is_named():
    for wound in ({"pool": None}, {"lease_uid": None}, {"pool": "another"}):
        assert found(changed_node(SOUND, **wound)) == [("S4", "node west/west-0000")]


def test_a_pod_on_a_node_that_went_free_is_named():
    namespace = SOUND.clusters[0].namespaces[0].name
    mine = changed_cluster(SOUND, pods=(PodSeen(namespace, "work", "west-0000"),))
    astray = changed_cluster(SOUND, pods=(PodSeen(namespace, "work", "west-0003"),))

    assert found(mine) == []
    assert found(astray) == [("S6", f"pod west/{namespace}/work")]


def test_nothing_is_concluded_of_a_claim_that_was_written_meanwhile():
    gone = changed_node(SOUND, book="", claim_labels=frozenset(), tenant_uid=None)

    assert found(replace(gone, moving=frozenset({uid(TRAIN)}))) == []


def test_nothing_is_concluded_from_a_cluster_that_wasnt_read():
    assert found(replace(SOUND, clusters=()), settled=True) == []
    assert found(changed_cluster(SOUND, nodes=None, namespaces=None, pods=None), settled=True) == []
