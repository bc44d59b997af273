"""Where a claim goes: the choice among places that fit, and places that are easily overlooked."""

from collections import Counter
from dataclasses import replace

import pytest

from sublet.api.ids import ClusterUID
from sublet.api.pending import PendingReason
from sublet.api.relocation import ReleaseCause
from sublet.api.times import parse_instant
from sublet.book.decisions import Reserve
from sublet.book.plan import plan
from tests.builders.api import LONG_AGO, as_claim, as_lease, claim, lease
from tests.builders.fleet import held, inventory, nodes, refusal_of, reserve_of, view

TOMORROW, NEXT_WEEK = "2026-11-23T10:00:00Z", "2026-11-29T10:00:00Z"


def leased(name, count, *, gpus=8, cluster=None, zones=("a",), **spec):
    each = as_lease(lease(name, **spec))
    return (each, inventory(each, nodes(each, count, gpus=gpus, zones=zones), cluster_uid=cluster))


def placed(fleet, **spec):
    """Return lease alias -> nodes, for a claim that must find a place."""
    train = as_claim(claim(**spec))
    return Counter(p.lease for p in reserve_of(plan(view([train], fleet)), train).placements)


def refused(fleet, **spec):
    train = as_claim(claim(**spec))
    return refusal_of(plan(view([train], fleet)), train)


def until(*steps):
    """Return a commitment of 64 GPUs that steps to so many at those instants."""
    phases = [
        {"commitmentId": start, "startTime": start, "gpus": gpus}
        for start, gpus in ((LONG_AGO, 64), *steps)
    ]
    return {"phases": [{**p, "commitmentId": p["commitmentId"][:10]} for p in phases]}


def test_a_claim_over_several_leases_takes_few_leases_the_largest_first():
    fleet = [leased("a", 2), leased("b", 3), leased("c", 2)]

    assert placed(fleet, gpus=40) in ({"b": 3, "a": 2}, {"b": 3, "c": 2})


def test_the_last_lease_of_several_is_the_cheapest_that_suffices():
    fleet = [leased("a", 3), leased("b", 2, mode="PayAsYouGo"), leased("c", 2)]

    assert placed(fleet, gpus=40) == {"a": 3, "c": 2}


def test_a_claim_over_several_leases_stays_in_one_cluster_where_it_can():
    fleet = [
        leased("a", 3, cluster="one"),
        leased("b", 2, cluster="two"),
        leased("c", 2, cluster="one"),
    ]

    assert placed(fleet, gpus=40) == {"a": 3, "c": 2}


def test_an_alias_stands_for_one_cluster_in_a_claim():
    """The largest lease shares its alias with both others, which may go together only without it."""
    fleet = [
        leased("big", 3, cluster="one", tenantAlias="west"),
        leased("b", 2, cluster="two", tenantAlias="west"),
        leased("c", 2, cluster="two", tenantAlias="west"),
    ]

    assert placed(fleet, gpus=32) == {"west": 4}
    assert refused(fleet[:2], gpus=40).reason is PendingReason.WAITING_FOR_CAPACITY


def test_leases_of_one_cluster_join_in_a_claim_only_with_the_same_rights_for_tenants():
    closed = {"egress": "None"}
    fleet = [
        leased("big", 3, cluster="one"),
        leased("b", 2, cluster="one", tenantAccess=closed),
        leased("c", 2, cluster="one", tenantAccess=closed),
    ]

    assert placed(fleet, gpus=32) == {"b": 2, "c": 2}
    assert refused(fleet, gpus=40).reason is PendingReason.WAITING_FOR_CAPACITY


def test_a_claim_that_waits_is_refused_quickly_however_many_leases_exclude_each_other():
    fleet = [
        leased(f"{side}{i}", 1, cluster=f"{side}{i}", tenantAlias=f"pair{i}")
        for side in "ab"
        for i in range(40)
    ]

    assert refused(fleet, gpus=41 * 8).reason is PendingReason.WAITING_FOR_CAPACITY


def test_an_open_claim_over_two_leases_ends_with_the_first_and_needs_room_no_longer():
    fleet = [
        leased("ends", 1, end=TOMORROW),
        leased("shrinks", 1, commitment=until((NEXT_WEEK, 0))),
    ]
    train = as_claim(claim(gpus=16))

    reserved = reserve_of(plan(view([train], fleet)), train)

    assert (reserved.until_ms, reserved.until_cause) == (
        parse_instant(TOMORROW),
        ReleaseCause.LEASE_ENDED,
    )


def test_an_open_claim_never_joins_a_lease_that_has_no_room_until_the_claims_end():
    fleet = [
        leased("ends", 1, end=NEXT_WEEK),
        leased("shrinks", 1, commitment=until((TOMORROW, 0))),
    ]

    assert refused(fleet, gpus=16).reason is PendingReason.WAITING_FOR_CAPACITY


@pytest.mark.parametrize(
    ("taken", "asked", "where"),
    [
        ((4, None), 2, "a"),  # not the whole node of b
        ((2, 4), 4, "b"),  # nothing stays over
        ((4, 2), 5, "b"),  # the other has no room
    ],
)
def test_a_part_goes_where_it_leaves_least_behind(taken, asked, where):
    fleet, holders = [leased("a", 1), leased("b", 1)], []
    for (each, found), gpus in zip(fleet, taken, strict=True):
        if gpus is not None:
            body = claim(f"held-{each.metadata.name}", gpus=gpus)
            holders.append(held(as_claim(body), each, found.nodes.values(), gpus=gpus))
    train = as_claim(claim(gpus=asked))

    made = plan(view([*holders, train], fleet))

    assert [p.lease for p in reserve_of(made, train).placements] == [where]


def test_nodes_without_a_zone_are_in_their_leases_zone():
    """One zone in all, so the two nodes of `home` are one failure domain, like those of `far`; its end is sooner."""
    each, found = leased("home", 2, end=NEXT_WEEK)
    location = each.spec.location.model_copy(update={"zone": "z"})
    each = each.model_copy(update={"spec": each.spec.model_copy(update={"location": location})})
    first, second = found.nodes.values()
    mixed = {n.name: n for n in (replace(first, zone="z"), replace(second, zone=None))}
    fleet = [(each, replace(found, nodes=mixed)), leased("far", 2)]

    assert placed(fleet, gpus=16) == {"home": 2}


def test_capacity_whose_price_hasnt_begun_isnt_free():
    later = {"prices": [{"effectiveTime": NEXT_WEEK, "perGpuHour": "9.00"}]}
    fleet = [
        leased("a-dear", 1, mode="PayAsYouGo", end=NEXT_WEEK, **later),
        leased("b-cheap", 1, mode="PayAsYouGo"),
    ]

    assert placed(fleet) == {"b-cheap": 1}


# ---- topology -------------------------------------------------------------------------------------------------------

MUST = {"scope": "Node"}
WISH = {"scope": "Node", "required": False}


@pytest.mark.parametrize("topology", [MUST, WISH])
def test_one_node_is_chosen_where_there_is_one_even_if_several_cost_less(topology):
    fleet = [leased("small", 2, gpus=4), leased("large", 1, mode="PayAsYouGo")]

    assert placed(fleet) == {"small": 2}
    assert placed(fleet, topology=topology) == {"large": 1}


def test_a_part_of_a_larger_node_is_one_node_too():
    fleet = [leased("small", 2, gpus=2), leased("large", 1, mode="PayAsYouGo")]

    assert placed(fleet, gpus=4) == {"small": 2}
    assert placed(fleet, gpus=4, topology=WISH) == {"large": 1}


def test_without_one_node_a_wish_takes_several_and_a_must_waits():
    fleet = [leased("small", 2, gpus=4), leased("large", 0)]

    assert placed(fleet, topology=WISH) == {"small": 2}
    assert refused(fleet, topology=MUST).reason is PendingReason.WAITING_FOR_CAPACITY


def test_a_wish_for_one_node_goes_over_several_leases_before_it_waits():
    fleet = [leased("a", 1), leased("b", 1)]

    assert placed(fleet, gpus=16, topology=WISH) == {"a": 1, "b": 1}


def test_a_must_that_no_node_is_large_enough_for_is_unfit_and_a_wish_isnt():
    fleet = [leased("a", 2)]

    must = refused(fleet, gpus=16, topology=MUST)
    assert must.reason is PendingReason.TOPOLOGY_UNFIT
    assert must.message == "16 GPUs don't fit on one node; nodes have 8"
    assert placed(fleet, gpus=16, topology=WISH) == {"a": 2}


def test_a_wish_with_a_size_that_fits_no_node_is_told_the_nearest_sizes():
    assert "ask for 8 or 16" in refused([leased("a", 2)], gpus=12, topology=WISH).message


def three_leases():
    """Return two leases of one cluster and one of another, a node each."""
    found = []
    for name, cluster in (("a", "one"), ("b", "one"), ("c", "two")):
        each = as_lease(lease(name, committed=8))
        found.append((each, inventory(each, nodes(each, 1), cluster_uid=ClusterUID(cluster))))
    return found


def spread(gpus: int, **topology):
    """Return the leases that a claim gets nodes of, None if it is refused."""
    train = as_claim(claim(gpus=gpus, topology={"scope": "Cluster", **topology}))
    (decision,) = plan(view([train], three_leases())).decisions
    return sorted(p.lease for p in decision.placements) if isinstance(decision, Reserve) else None


def test_a_claim_that_must_stay_in_one_cluster_is_spread_over_its_leases_alone():
    assert spread(16) == ["a", "b"]
    assert spread(24) is None


def test_one_cluster_as_a_wish_is_met_where_it_can_be():
    assert spread(16, required=False) == ["a", "b"]
    assert spread(24, required=False) == ["a", "b", "c"]
