"""Who has what, by the hub."""

import pytest

from sublet.api import bound_status
from sublet.api.claim_status import allocation_of
from sublet.api.gpuclaim import Access, ClusterAccess, GpuClaim
from sublet.api.ids import ClusterUID, LeaseUID, NodeUID
from sublet.drift.claims import Claims, homes_of, is_steady
from tests.builders.api import NOW, as_claim, as_lease, uid_of, with_status
from tests.builders.fleet import bound, held, nodes
from tests.builders.moves import left

WEST = as_lease()
NODES = nodes(WEST, 2)
RESERVED = held(as_claim(), WEST, NODES)
BOUND = bound(RESERVED)
UID = BOUND.metadata.uid
HERE = ClusterUID(uid_of("cluster west"))


def test_a_bound_claims_entry_must_be_there_and_a_reserved_ones_may():
    assert [h.is_bound for h in Claims([BOUND]).holders(NODES[0].uid, HERE)] == [True]
    assert [h.is_bound for h in Claims([RESERVED]).holders(NODES[0].uid, HERE)] == [False]
    assert Claims([BOUND]).holders(NodeUID("another"), HERE) == []


@pytest.mark.parametrize(
    ("known", "counts"), [(uid_of("cluster evil"), False), (str(HERE), True), (None, True)]
)
def test_a_node_with_the_uid_of_another_clusters_is_another_node(known: str | None, counts: bool):
    pinned = WEST.model_copy(
        update={"status": WEST.status.model_copy(update={"cluster_uid": known})}
    )
    claims = Claims([BOUND], (), lambda _: pinned)

    assert bool(claims.holders(NODES[0].uid, HERE)) is counts


@pytest.mark.parametrize(
    ("known", "may_be"), [(uid_of("cluster evil"), False), (str(HERE), True), (None, True)]
)
def test_a_claim_may_be_in_each_cluster_that_its_lease_isnt_known_not_to_lead_to(
    known: str | None, may_be: bool
):
    pinned = WEST.model_copy(
        update={"status": WEST.status.model_copy(update={"cluster_uid": known})}
    )
    claims = Claims([BOUND], (), lambda _: pinned)

    assert claims.at(HERE) == ({WEST.metadata.uid: {UID}} if may_be else {})


def test_what_a_restored_claim_had_is_left_to_it_and_nothing_is_asked_of_it():
    claims = Claims((), [BOUND])

    assert [h.is_bound for h in claims.holders(NODES[0].uid, HERE)] == [False]
    assert claims.has_home(f"sublet-{UID}-1")
    assert not claims.of_lease(LeaseUID(WEST.metadata.uid))


def test_claims_are_found_by_lease_and_those_that_hold_nothing_arent():
    assert list(Claims([BOUND]).of_lease(LeaseUID(WEST.metadata.uid))) == [BOUND]
    assert not Claims([as_claim()]).of_lease(LeaseUID(WEST.metadata.uid))


def test_a_namespace_that_takes_anothers_place_has_a_number_of_its_own_and_nothing_else_changes():
    status = bound_status.rehomed(BOUND, {(WEST.metadata.uid, NODES[0].uid)})
    moved = BOUND.model_copy(update={"status": status})
    before, after = BOUND.status.allocation, status.allocation

    assert homes_of(moved) == {f"sublet-{UID}-1", f"sublet-{UID}-2"}
    assert after is not None
    assert before is not None
    assert [p.home for p in after.placements] == [2, None]
    assert (after.sequence, after.bound_time) == (before.sequence, before.bound_time)
    assert status.next_sequence == 3


def arrived() -> GpuClaim:
    """Return a bound claim that has left a node, of which the pods don't end."""
    cluster = ClusterAccess(alias="west", namespace="x", expiration_time=NOW)
    access = Access(secret_name="x", clusters=(cluster,))
    behind = left(allocation_of(BOUND).placements)
    return with_status(BOUND, leaving=(behind,), access=access)


def test_a_claim_that_has_arrived_is_steady_however_long_what_it_left_is_held():
    assert is_steady(arrived())
