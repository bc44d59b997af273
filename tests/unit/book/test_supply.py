"""What one lease can sell: its nodes, and its commitment in time."""

from dataclasses import replace

import pytest

from sublet.api.ids import ClaimUID, ClusterUID, TenantUID
from sublet.api.times import format_instant
from sublet.book.across import disputed_nodes
from sublet.book.holdings import Holdings
from sublet.book.inventory import Unfit
from sublet.book.plan import plan
from sublet.book.pools import Pool
from sublet.book.steps import FOREVER
from sublet.book.supply import LeaseSupply
from tests.builders.api import NOW, as_claim, as_lease, lease
from tests.builders.fleet import held, inventory, nodes, refusal_of, view

HOUR = 3_600_000
WEST, EAST = as_lease(), as_lease(lease("east"))


def anything(_):
    return True


def supply_of(each, *holders, count=2):
    found = inventory(each, nodes(each, count))
    return LeaseSupply(each, found, Holdings(holders, [found], NOW), NOW)


def stepping(*steps: tuple[int, int]):
    """Return a lease with so many GPUs committed from these hours on."""
    phases = [
        {"commitmentId": str(i), "startTime": format_instant(NOW + hour * HOUR), "gpus": gpus}
        for i, (hour, gpus) in enumerate(steps)
    ]
    return as_lease(lease(commitment={"phases": phases}))


def test_a_node_that_two_leases_show_as_theirs_is_sold_by_neither():
    (node,) = nodes(WEST, 1)
    same = {"cluster_uid": ClusterUID("one")}
    fleet = [(each, inventory(each, [node], **same)) for each in (WEST, EAST)]
    train = as_claim()

    assert disputed_nodes([found for _, found in fleet]) == {("one", node.uid)}
    assert "none is free" in refusal_of(plan(view([train], fleet)), train).message


def test_a_node_under_another_leases_label_is_that_leases():
    (node,) = nodes(WEST, 1)
    overlap = replace(node, unfit=Unfit.NODE_OVERLAP)

    assert disputed_nodes([inventory(WEST, [node]), inventory(EAST, [overlap])]) == set()


def test_there_is_room_for_what_is_committed_and_not_held_at_every_instant_until_then():
    each = stepping((-1, 16), (3, 12), (5, 64))
    leaves = held(as_claim(), each, nodes(each, 1), until_ms=NOW + 2 * HOUR)
    supply = supply_of(each, leaves)

    rooms = {hour: supply.headroom(NOW, NOW + hour * HOUR) for hour in (1, 3, 4, 9)}
    assert rooms == {1: 8, 3: 8, 4: 8, 9: 8}
    supply.take(
        nodes(each, 2)[1],
        8,
        claim_uid=ClaimUID("second"),
        tenant_uid=TenantUID("acme"),
        until_ms=NOW + HOUR,
    )
    assert supply.headroom(NOW, NOW + HOUR) == 0
    assert supply.lasts_until({Pool(8): 1}, 8, NOW + HOUR, FOREVER) == FOREVER
    assert supply.lasts_until({Pool(8): 2}, 16, NOW + 2 * HOUR, FOREVER) == NOW + 3 * HOUR


def test_nothing_is_committed_before_the_first_phase():
    assert supply_of(stepping((1, 16))).headroom(NOW, NOW + HOUR) == 0


def test_of_two_phases_with_one_start_the_first_counts_as_it_does_in_the_lease():
    each = stepping((-1, 16), (-1, 24), (2, 4), (2, 8))
    supply = supply_of(each)

    for hour in (0, 3):
        now = NOW + hour * HOUR
        assert supply.lasts_until({Pool(8): 0}, 0, now, now + 1) == now + 1
        assert supply.headroom(NOW, now + 1) == each.spec.commitment.gpus_at(now)


def test_a_commitment_below_what_is_held_leaves_no_room_and_no_negative_one():
    each = stepping((-1, 4))
    stays = held(as_claim(), each, nodes(each, 1))

    assert supply_of(each, stays).headroom(NOW, NOW + HOUR) == 0


@pytest.mark.parametrize("unfit", list(Unfit))
def test_nodes_that_come_back_by_themselves_count_and_others_dont(unfit):
    found = inventory(WEST, nodes(WEST, 1, unfit=unfit))
    supply = LeaseSupply(WEST, found, Holdings([], [found], NOW), NOW)
    passing = {
        Unfit.BOOK_UNREADABLE,
        Unfit.QUARANTINED,
        Unfit.FOREIGN_PODS,
        Unfit.NOT_READY,
        Unfit.CORDONED,
        Unfit.LEAVING,
        Unfit.UNHEALTHY,
        Unfit.UPGRADING,
        Unfit.NOT_WIPED,
        Unfit.SETTLING,
        Unfit.NOT_ADOPTED,
    }

    assert (supply.gpus, supply.unsellable_gpus) == ((8, 8) if unfit in passing else (0, 0))


def test_taking_a_part_leaves_the_rest_to_be_taken():
    supply = supply_of(WEST, count=1)
    mine = {"tenant_uid": TenantUID("acme"), "until_ms": FOREVER}
    for name, gpus in (("first", 3), ("second", 5)):
        part = supply.free.part(gpus, ClaimUID(name), TenantUID("acme"), anything)
        supply.take(part.node, gpus, claim_uid=ClaimUID(name), **mine)

    assert supply.free.part(1, ClaimUID("third"), TenantUID("acme"), anything) is None
    assert supply.headroom(NOW, FOREVER) == 64 - 8
