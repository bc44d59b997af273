"""Which nodes adoption takes and mends, and which it leaves to those who know the claims."""

from sublet.binder.nodes import wants_adoption, wants_mending
from sublet.book.inventory import Unfit
from sublet.fleet.inventory import node_state
from sublet.fleet.nodebook import BOOK, LEASE_LABEL, NODE
from tests.builders.api import as_lease, uid_of
from tests.builders.wire import our_node, wire_node

WEST = as_lease()
TRAIN = uid_of("train")


def test_a_node_without_marks_is_adopted_and_one_of_ours_is_left_alone():
    assert wants_adoption(wire_node(), WEST)
    assert not wants_adoption(our_node(WEST), WEST)
    assert not wants_mending(our_node(WEST), WEST)


def test_a_held_node_without_the_leases_label_isnt_adopted_by_whoever_comes_first():
    node = our_node(WEST, f"{TRAIN}=8")
    del node.metadata.labels[LEASE_LABEL]

    assert not wants_adoption(node, WEST)


def test_no_empty_book_is_written_over_claims_whose_book_is_gone():
    node = our_node(WEST, f"{TRAIN}=8")
    del node.metadata.annotations[BOOK]

    assert not wants_mending(node, WEST)


def test_a_node_with_an_earlier_ones_marks_is_adopted_anew_once_no_claim_is_named():
    node = our_node(WEST)
    node.metadata.annotations[NODE] = uid_of("the node before it")

    assert wants_mending(node, WEST)
    assert node_state(node, WEST, before=None, foreign_pods=False).unfit is Unfit.NOT_ADOPTED
    node.metadata.annotations[BOOK] = f"{TRAIN}=8"
    assert not wants_mending(node, WEST)


def test_a_node_that_was_adopted_before_it_was_named_is_as_good():
    node = our_node(WEST)
    del node.metadata.annotations[NODE]

    assert node_state(node, WEST, before=None, foreign_pods=False).unfit is None


def test_a_node_in_doubt_is_quarantined():
    state = node_state(our_node(WEST), WEST, before=None, foreign_pods=False, in_doubt=True)

    assert state.unfit is Unfit.QUARANTINED
