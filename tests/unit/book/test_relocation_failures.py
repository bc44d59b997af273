"""Nodes that fail while their claim is on its way to others: it is told of the old ones and of the new ones."""

from dataclasses import replace

import pytest

from sublet.api import move_status
from sublet.api.common import find_condition, is_true
from sublet.api.gpuclaim import GpuClaim
from sublet.api.move_status import move_of
from sublet.api.times import format_instant
from sublet.book.decisions import Degrade
from sublet.book.inventory import Reach
from sublet.book.plan import plan
from sublet.book.view import View
from tests.builders.fleet import after, view
from tests.builders.moves import CLASSES, decided, leased, on_sick_node, running
from tests.builders.windows import at

WEST = leased("west", 40)
EAST = leased("east", 400)


def moving(east=EAST, count: int = 1, *, west=WEST, ready: bool = True, **spec) -> GpuClaim:
    """Return a claim on its way from west, which ends at hour 40, to east since hour 17, told of that."""
    seen = view(
        [running(west, count=count, end=40, **spec)], [west, east], classes=CLASSES, now_ms=at(17)
    )
    seen = after(seen, plan(seen))
    (each,) = seen.claims
    if not ready:
        move = move_of(each).model_copy(update={"ready_time": None})
        return with_status(each, each.status.model_copy(update={"move": move}))
    (told,) = after(seen, plan(seen)).claims
    return told


def with_status(each: GpuClaim, status) -> GpuClaim:
    return each.model_copy(update={"status": status})


def without(pair, node: str):
    """Return the lease once a node of it is gone, by a live look."""
    each, found = pair
    left = {n: s for n, s in found.nodes.items() if n != node}
    return each, replace(found, nodes=left, gone=frozenset({found.nodes[node].uid}))


def silent(pair):
    each, found = pair
    return each, replace(found, reach=Reach.UNKNOWN)


def seen_at(hours: float, each: GpuClaim, *fleet) -> View:
    return view([each], fleet, classes=CLASSES, now_ms=at(hours))


def told(seen: View) -> GpuClaim:
    """Return the one claim once all that is decided in one pass was carried out."""
    (each,) = after(seen, plan(seen)).claims
    return each


def words(each: GpuClaim) -> str:
    """Return what a claim says of its failed nodes, "" if it says nothing."""
    said = find_condition(each.status.conditions, "Degraded")
    return said.message if said is not None and is_true(each.status.conditions, "Degraded") else ""


@pytest.mark.parametrize("replacement", ["Never", "OnFailure"])
def test_whoever_has_others_ready_is_told_of_them_when_an_old_node_fails(replacement: str):
    each = moving(replacement=replacement)

    sick = told(seen_at(18, each, on_sick_node(WEST, since_ms=at(18)), EAST))

    assert words(sick) == (
        "node west-0000 at west (NotReady) can't be used: others are ready at east; move your work there "
        f"(read the kubeconfig again), the old nodes are taken back at {format_instant(at(40))}"
    )


def test_whoever_waits_for_others_is_told_of_an_old_node_that_fails():
    each = moving(ready=False)

    sick = told(seen_at(17.05, each, on_sick_node(WEST, since_ms=at(17)), silent(EAST)))

    assert words(sick) == (
        "node west-0000 at west (NotReady) can't be used: the claim is on its way to other nodes"
    )


@pytest.mark.parametrize("ready", [True, False], ids=["ready", "waits for a silent cluster"])
def test_an_old_node_that_is_well_again_is_told_too(ready: bool):
    each = moving(ready=ready)
    sick = told(seen_at(18, each, on_sick_node(WEST, since_ms=at(18)), EAST))
    assert words(sick)

    (made,) = decided(seen_at(19, sick, WEST, EAST if ready else silent(EAST)))

    assert made == Degrade(each.metadata.uid, "NodeFailed", "")


def test_a_new_node_that_isnt_listed_any_more_is_asked_for_by_its_name():
    each, (lease, found) = moving(), EAST
    (fresh,) = move_of(each).placements
    others = {n: s for n, s in found.nodes.items() if n != fresh.node}

    made = plan(seen_at(18, each, WEST, (lease, replace(found, nodes=others))))

    assert made.unseen == (fresh,)


def test_a_claim_is_told_at_once_of_a_new_node_that_is_gone():
    each = moving()

    sick = told(seen_at(18, each, WEST, without(EAST, "east-0000")))

    assert words(sick).startswith(
        "node east-0000 at east (gone) can't be used: the claim is to come to it; "
    )
    assert is_true(sick.status.conditions, "Bound")


def test_a_cutover_that_is_due_isnt_held_up_by_what_is_to_be_told():
    each = moving()
    due = seen_at(40, each, on_sick_node(WEST, since_ms=at(18)), EAST)
    assert [type(d).__name__ for d in decided(due)] == ["CutOver"]


def test_a_move_that_takes_a_failed_nodes_place_says_no_more_than_that():
    west = leased("west", count=4)
    first = view(
        [running(west, count=2, replacement="OnFailure")], [on_sick_node(west)], classes=CLASSES
    )
    late = replace(after(first, plan(first)), now_ms=at(1))
    (each,) = after(late, plan(late)).claims
    grows = each.status.model_copy(
        update={"move": move_of(each).model_copy(update={"ready_time": None})}
    )

    waits = told(seen_at(2, with_status(each, grows), on_sick_node(west)))

    assert words(waits).endswith("can't be used: the claim is on its way to other nodes")
    assert move_status.move_of(waits) == grows.move
