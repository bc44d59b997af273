"""A move between two leases whose clusters show nodes of the same UID: two nodes, whatever a landlord says."""

from sublet.api import move_status
from sublet.api.claim_status import allocation_of
from sublet.api.gpuclaim import GpuClaim
from sublet.api.move_status import all_nodes, fresh_nodes, move_of
from sublet.api.relocation import Move, MoveCause
from tests.builders.api import as_lease, lease
from tests.builders.moves import leased, running
from tests.builders.windows import at

ELSEWHERE = as_lease(lease("elsewhere"))


def moving_to_a_copy() -> GpuClaim:
    """Return a claim on its way to a node with the UID of the one that it has, in another landlord's cluster."""
    stands = running(leased("west", 40), end=40)
    (place,) = allocation_of(stands).placements
    copy = place.model_copy(
        update={"lease": "elsewhere", "lease_uid": ELSEWHERE.metadata.uid, "node": "e-0"}
    )
    move = Move(
        sequence=2, cause=MoveCause.LEASE_ENDS, decided_time=at(20), cutover_time=at(40), placements=(copy,)
    )  # fmt: skip
    return stands.model_copy(update={"status": move_status.moving(stands, move, at(20))})


def test_the_copy_is_a_fresh_node_that_has_to_be_locked():
    claim = moving_to_a_copy()

    assert [p.lease for p in fresh_nodes(allocation_of(claim), move_of(claim))] == ["elsewhere"]
    assert sorted(p.lease for p in all_nodes(claim)) == ["elsewhere", "west"]


def test_the_old_node_is_left_and_has_to_be_freed():
    claim = moving_to_a_copy()
    status = move_status.cut_over(claim, at(40), at(40))

    assert [p.lease for left in status.leaving for p in left.placements] == ["west"]
    over = claim.model_copy(update={"status": status})
    assert sorted(p.lease for p in all_nodes(over)) == ["elsewhere", "west"]
