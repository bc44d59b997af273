"""Nodes that fail while their claim is on its way to others: it is told of the old ones and of the new ones."""

from dataclasses import replace

import pytest

from sublet.api import claim_status, move_status
from sublet.api.common import find_condition, is_true
from sublet.api.gpuclaim import GpuClaim
from sublet.api.move_status import move_of
from sublet.api.relocation import MoveCause, ReleaseCause
from sublet.api.times import format_instant
from sublet.book.decisions import Degrade, Relocate
from sublet.book.failures import REPLACE_AFTER_MS
from sublet.book.inventory import Reach
from sublet.book.plan import plan
from sublet.book.view import View
from tests.builders.api import as_tenant, tenant, with_status
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


def later(each: GpuClaim, *fleet, hours: float = 18, **fields) -> list:
    """Return what is decided once what is so at that hour has been so for five minutes since the claim was told."""
    sick = told(seen_at(hours, each, *fleet))
    return decided(
        replace(seen_at(hours, sick, *fleet), now_ms=at(hours) + REPLACE_AFTER_MS, **fields)
    )


LOST = without(EAST, "east-0000")


@pytest.mark.parametrize("replacement", ["Never", "OnFailure"])
def test_a_new_node_that_stays_lost_gives_way_to_another_whatever_the_claim_says_of_its_own(
    replacement: str,
):
    (made,) = later(moving(replacement=replacement), WEST, LOST)

    assert isinstance(made, Relocate)
    assert (made.cause, made.sequence, made.cutover_ms) == (MoveCause.LEASE_ENDS, 3, at(40))
    assert [p.node for p in made.placements] == ["east-0001"]
    assert (made.until_ms, made.until_cause) == (at(400), "LeaseEnded")


def test_a_new_node_that_just_failed_is_kept():
    each = moving()
    sick = told(seen_at(18, each, WEST, LOST))

    assert plan(seen_at(18, sick, WEST, LOST)).next_due_ms == at(18) + REPLACE_AFTER_MS
    soon = replace(seen_at(18, sick, WEST, LOST), now_ms=at(18) + REPLACE_AFTER_MS - 1)
    assert decided(soon) == []
    assert words(sick).endswith("it is replaced if it stays so for 5 minutes")


def test_another_new_node_may_be_had_though_the_lost_one_fills_the_commitment():
    east = leased("east", 400, committed=8)

    (made,) = later(moving(east), WEST, without(east, "east-0000"))

    assert isinstance(made, Relocate)


def test_a_tenant_with_no_quota_to_spare_gets_another_new_node_too():
    full = (as_tenant(tenant(quotas=[{"className": "h100", "gpus": 8}])),)

    (made,) = later(moving(), WEST, LOST, tenants=full)

    assert isinstance(made, Relocate)
    assert made.until_ms == at(400)


def test_a_claim_comes_to_the_node_that_it_was_to_have_where_there_is_no_other():
    east = leased("east", 400, count=1)
    lost = without(east, "east-0000")
    sick = told(seen_at(18, moving(east), WEST, lost))

    lasting = told(replace(seen_at(18, sick, WEST, lost), now_ms=at(18) + REPLACE_AFTER_MS))

    assert words(lasting).endswith("one is looked for as long as it is needed")
    due = seen_at(40, lasting, WEST, lost)
    assert [type(d).__name__ for d in decided(due)] == ["CutOver"]


def test_nobodys_work_is_ended_on_new_nodes_that_are_well():
    west, east = leased("west", 40), leased("east", 400, count=4)
    each = moving(east, count=2, west=west)

    assert later(each, west, without(east, "east-0000")) == []
    sick = told(seen_at(18, each, west, without(east, "east-0000")))
    assert words(sick).endswith("set replacement: OnFailure to get another once it has moved")


def test_new_nodes_that_fail_together_with_many_are_kept():
    east = leased("east", 400, count=4)
    both = on_sick_node(on_sick_node(east, 0, at(18)), 1, at(18))
    each = moving(east)

    assert later(each, WEST, both) == []
    assert "many nodes of the lease failed at once" in words(told(seen_at(18, each, WEST, both)))


def test_no_move_is_given_up_because_a_cluster_is_silent():
    each = moving()
    assert later(each, WEST, silent(LOST)) == []


def test_a_new_node_that_is_lost_when_its_time_has_nearly_come_is_kept():
    """Others might not be ready in time, and the claim would end with its lease."""
    made = later(moving(), WEST, LOST, hours=39.9)
    assert not any(isinstance(d, Relocate) for d in made)


def test_a_claim_is_promised_no_other_node_where_none_is_looked_for():
    nearly = told(seen_at(39.95, moving(), WEST, LOST))
    assert words(nearly).endswith("the claim is to come to it; no other is looked for now")

    each = moving()
    status = claim_status.extended(each, at(30), ReleaseCause.PREEMPTED, at(18))
    told_to_go = told(seen_at(18, with_status(each, status), WEST, LOST))
    noticed = told(seen_at(18, told_to_go, WEST, LOST))
    assert words(noticed).endswith("the claim is to come to it; no other is looked for now")


def test_a_claim_whose_move_is_being_undone_isnt_said_to_be_on_its_way():
    each = moving(ready=False)
    undone = with_status(each, move_status.abandoning(each, "lost", at(17)))

    sick = told(seen_at(17.05, undone, on_sick_node(WEST, since_ms=at(17)), silent(EAST)))

    assert words(sick).endswith("the other nodes that it was to have are given back first")


def test_a_failed_node_isnt_kept_waiting_by_a_move_that_waits_for_a_silent_cluster():
    each = moving(ready=False, replacement="OnFailure")
    sick = on_sick_node(WEST, since_ms=at(18))

    (made,) = later(each, sick, silent(EAST))

    assert isinstance(made, Relocate)
    assert (made.cause, made.sequence, made.cutover_ms) == (MoveCause.NODE_FAILED, 3, None)
    assert [p.node for p in made.placements] == ["west-0001"]
    assert (made.until_ms, made.until_cause) == (at(40), "LeaseEnded")


def test_a_claim_that_wants_no_stand_in_keeps_its_move_whatever_that_waits_for():
    each = moving(ready=False)
    sick = on_sick_node(WEST, since_ms=at(18))

    assert later(each, sick, silent(EAST)) == []
    assert words(told(seen_at(18, each, sick, silent(EAST)))).endswith(
        "set replacement: OnFailure to get another, or make a new claim; the claim is on its way to other nodes"
    )


def test_a_move_that_has_just_begun_is_given_its_time():
    each = moving(ready=False, replacement="OnFailure")
    sick = on_sick_node(WEST, since_ms=at(16))
    ill = told(seen_at(17.01, each, sick, EAST))

    assert plan(seen_at(17.01, ill, sick, EAST)).next_due_ms == at(17) + REPLACE_AFTER_MS
    assert words(ill).endswith("the claim is on its way to other nodes")


def test_a_move_that_waits_is_kept_when_the_lease_is_nearly_over():
    """Without it the claim would end then for good, if its cluster answers again in time."""
    each = moving(ready=False, replacement="OnFailure")
    sick = on_sick_node(WEST, since_ms=at(38))
    assert later(each, sick, silent(EAST), hours=39.2) == []


def test_a_move_that_was_begun_for_one_failed_node_isnt_begun_anew_for_another():
    west = leased("west", count=6)
    first = view(
        [running(west, count=2, replacement="OnFailure")], [on_sick_node(west)], classes=CLASSES
    )
    late = replace(after(first, plan(first)), now_ms=at(1))
    (each,) = after(late, plan(late)).claims
    move = move_of(each).model_copy(update={"ready_time": None})
    each = with_status(each, each.status.model_copy(update={"move": move}))

    assert later(each, on_sick_node(on_sick_node(west), 1, at(10)), hours=18) == []
