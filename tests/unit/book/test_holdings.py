"""What is held, by what nodes and hub say together."""

from dataclasses import replace

import pytest

from sublet.api.claim_status import allocation_of
from sublet.api.gpulease import NodeSharing
from sublet.api.ids import ClaimUID, ClusterUID, LeaseUID, NodeName, TenantUID
from sublet.api.relocation import ReleaseCause
from sublet.api.times import Millis
from sublet.book.decisions import Take
from sublet.book.holdings import RELEASE_MS, Holdings, Term
from sublet.book.inventory import Holding, Unfit
from sublet.book.plan import plan
from sublet.book.steps import FOREVER
from tests.builders.api import (
    NOW,
    as_claim,
    as_lease,
    as_tenant,
    claim,
    lease,
    tenant,
    uid_of,
    with_status,
)
from tests.builders.fleet import (
    bound,
    held,
    inventory,
    nodes,
    refusal_of,
    released,
    reserve_of,
    vacated,
    view,
)
from tests.builders.moves import left

WEST, EAST = as_lease(), as_lease(lease("east"))
HOUR = 3_600_000
STRANGER = ClaimUID(uid_of("stranger"))
CLUSTER = ClusterUID(uid_of("one cluster"))


def test_a_claim_counts_until_its_end_and_one_past_its_end_until_it_can_have_left():
    (first, second) = nodes(WEST, 2)
    running = held(as_claim(claim("running")), WEST, [first], until_ms=NOW + HOUR)
    overdue = held(as_claim(claim("overdue")), WEST, [second], until_ms=NOW - HOUR)

    found = Holdings([running, overdue], [], NOW)

    assert found.terms(LeaseUID(WEST.metadata.uid)) == [
        Term(NOW + HOUR, 8),
        Term(NOW + RELEASE_MS, 8),
    ]


@pytest.mark.parametrize(
    ("passed_ms", "until_ms"),
    [
        (0, RELEASE_MS + HOUR),
        (RELEASE_MS + HOUR - 1, RELEASE_MS + HOUR),
        (RELEASE_MS + HOUR, FOREVER),
    ],
)
def test_a_release_is_given_its_time_and_the_nodes_their_rest_then_nobody_knows(
    passed_ms, until_ms
):
    (node,) = nodes(WEST, 1)
    leaving = released(
        held(as_claim(), WEST, [node], until_ms=NOW),
        Take(ClaimUID(as_claim().metadata.uid), ReleaseCause.COMPLETED, NOW),
        done=False,
    )
    uid = LeaseUID(WEST.metadata.uid)

    found = Holdings([leaving], [], Millis(NOW + passed_ms), {uid: HOUR})

    expected = until_ms if until_ms == FOREVER else NOW + until_ms
    assert found.terms(uid) == [Term(expected, 8)]


@pytest.mark.parametrize("ahead_ms", [0, 720 * HOUR], ids=["noted right", "noted ahead"])
@pytest.mark.parametrize("moves", [True, False], ids=["left in a move", "released"])
def test_a_node_that_is_left_rests_once_also_by_a_clock_that_was_ahead(moves, ahead_ms):
    vacated_ms = Millis(NOW + ahead_ms)
    rests = as_lease(lease("rests", committed=16, term={"quarantineSeconds": 3600}))
    going, waits = as_claim(claim("going", gpus=8)), as_claim(claim("waits", gpus=8))
    first, second = nodes(rests, 2)
    there = bound(held(going, rests, [first]))
    over = Take(ClaimUID(going.metadata.uid), ReleaseCause.COMPLETED, NOW)
    gone = vacated(released(there, over, done=False), vacated_ms)
    if moves:
        behind = left(allocation_of(there).placements, vacated_time=vacated_ms)
        gone = with_status(bound(held(going, rests, [second])), leaving=(behind,))
    fleet = [(rests, inventory(rests, [first]))]

    made = plan(view([gone, waits], fleet, now_ms=Millis(NOW + 1)))

    began = NOW + 1 if ahead_ms else NOW
    assert refusal_of(made, waits).estimated_ms == began + RELEASE_MS + HOUR


def test_a_release_is_given_the_rest_of_nodes_that_its_claim_left_before_too():
    (old,), (new,) = nodes(WEST, 1), nodes(EAST, 1)
    there, moved = (held(as_claim(), x, [n]) for x, n in ((WEST, old), (EAST, new)))
    moved = with_status(moved, leaving=(left(allocation_of(there).placements),))
    over = Take(ClaimUID(moved.metadata.uid), ReleaseCause.COMPLETED, NOW)
    west, east = (LeaseUID(each.metadata.uid) for each in (WEST, EAST))

    found = Holdings([released(moved, over, done=False)], [], NOW, {west: HOUR})

    assert found.terms(east) == [Term(Millis(NOW + RELEASE_MS + HOUR), 8)]


def test_of_what_hub_and_node_say_of_one_claim_the_larger_counts():
    (node,) = nodes(WEST, 1)
    train = held(as_claim(claim(gpus=2)), WEST, [node], gpus=2)
    mine = ClaimUID(train.metadata.uid)

    def counted(in_the_book: int) -> int:
        seen = replace(node, holdings=(Holding(mine, in_the_book),))
        there = Holdings([train], [inventory(WEST, [seen])], NOW).at(LeaseUID(WEST.metadata.uid))
        return there.node(node.uid).gpus

    assert [counted(gpus) for gpus in (1, 2, 3)] == [2, 2, 3]


def test_a_node_in_two_inventories_is_held_once_and_counts_for_the_lease_that_owns_it():
    (node,) = nodes(WEST, 1, held_by=STRANGER)
    overlap = replace(node, unfit=Unfit.NODE_OVERLAP)
    both = [
        inventory(WEST, [node], cluster_uid=CLUSTER),
        inventory(EAST, [overlap], cluster_uid=CLUSTER),
    ]

    for inventories in (both, both[::-1]):
        found = Holdings([], inventories, NOW)

        assert found.at(LeaseUID(WEST.metadata.uid)).node(node.uid).gpus == 8
        assert found.terms(LeaseUID(WEST.metadata.uid)) == [Term(FOREVER, 8)]
        assert found.terms(LeaseUID(EAST.metadata.uid)) == []


def test_a_landlord_that_shows_anothers_nodes_takes_nothing_off_sale():
    """It copies their UIDs, and books in which strangers hold them; its cluster is another all the same."""
    mine = nodes(WEST, 2)
    copies = [replace(n, holdings=(Holding(STRANGER, 8),)) for n in mine]
    sellable = [replace(n, name=NodeName(f"x-{n.name}")) for n in mine]
    train = as_claim(claim(gpus=16, placement={"leases": {"allow": ["west"]}}))
    for shown in (copies, sellable):
        fleet = [
            (WEST, inventory(WEST, mine, cluster_uid=CLUSTER)),
            (EAST, inventory(EAST, shown, cluster_uid=ClusterUID(uid_of("the liar's")))),
        ]

        places = reserve_of(plan(view([train], fleet)), train).placements
        assert {(p.lease, p.node) for p in places} == {("west", n.name) for n in mine}


def test_a_leases_commitment_isnt_used_up_by_claims_on_another_leases_nodes():
    small = as_lease(lease("small", committed=8))
    (mine,) = nodes(small, 1)
    (theirs,) = nodes(EAST, 1, held_by=STRANGER)
    fleet = [
        (small, inventory(small, [mine, replace(theirs, unfit=Unfit.NODE_OVERLAP)])),
        (EAST, inventory(EAST, [theirs])),
    ]
    train = as_claim()

    assert reserve_of(plan(view([train], fleet)), train).placements[0].lease == "small"


def test_the_rest_of_a_node_isnt_given_to_anybody_while_a_claim_of_an_unknown_tenant_is_on_it():
    """The node still says AnyTenant, so it doesn't name the stranger's tenant; its lease says SameTenant by now."""
    (node,) = nodes(WEST, 1)
    node = replace(node, sharing=NodeSharing.ANY_TENANT, holdings=(Holding(STRANGER, 2),))
    mine = held(as_claim(claim("mine", gpus=2)), WEST, [node], gpus=2)
    more = as_claim(claim("more", gpus=2))

    assert refusal_of(plan(view([mine, more], [(WEST, inventory(WEST, [node]))])), more)


def test_what_a_tenant_holds_of_a_class_counts_from_reservation_to_the_end_of_the_release():
    (node,) = nodes(WEST, 1)
    train = held(as_claim(), WEST, [node])
    acme = TenantUID(as_tenant(tenant()).metadata.uid)

    found = Holdings([train], [inventory(WEST, [node])], NOW).by_tenant

    now = (NOW, NOW + 1)
    assert (found.most(acme, "h100", *now), found.most(acme, "h200", *now)) == (8, 0)
