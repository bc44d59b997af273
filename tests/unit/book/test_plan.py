"""What the book decides, rule by rule."""

from decimal import Decimal

import pytest

from sublet.api.pending import PendingReason
from sublet.api.relocation import ReleaseCause
from sublet.api.times import parse_instant
from sublet.book.inventory import Reach, Unfit
from sublet.book.plan import plan
from tests.builders.api import (
    as_claim,
    as_class,
    as_lease,
    as_tenant,
    claim,
    gpu_class,
    lease,
    tenant,
    uid_of,
)
from tests.builders.fleet import carried_out, inventory, nodes, refusal_of, reserve_of, view

WEST = as_lease()
HOUR = 3_600_000


def west(count: int = 2, **fields):
    return (WEST, inventory(WEST, nodes(WEST, count, **fields)))


def test_a_whole_node_is_given_to_a_claim_of_a_nodes_size():
    train = as_claim()

    reserved = reserve_of(plan(view([train], [west()])), train)

    assert [(p.node, p.gpus, p.lease) for p in reserved.placements] == [("west-0000", 8, "west")]
    assert reserved.price_per_gpu_hour == Decimal("3.99")


def test_several_nodes_come_from_one_zone_where_one_zone_suffices():
    train = as_claim(claim(gpus=16))
    fleet = [(WEST, inventory(WEST, nodes(WEST, 5, zones=("a", "b"))))]

    placed = reserve_of(plan(view([train], fleet)), train).placements

    assert [p.node for p in placed] == ["west-0001", "west-0003"]


def test_a_claim_spreads_over_leases_only_if_none_has_room_alone():
    east = as_lease(lease("east"))
    train = as_claim(claim(gpus=24))
    fleet = [west(2), (east, inventory(east, nodes(east, 2)))]

    placed = reserve_of(plan(view([train], fleet)), train).placements

    assert sorted({p.lease for p in placed}) == ["east", "west"]
    assert sum(p.gpus for p in placed) == 24


def test_a_part_goes_to_the_node_that_is_broken_already():
    first, second = as_claim(claim("first", gpus=2)), as_claim(claim("second", gpus=3))
    held = carried_out(first, reserve_of(plan(view([first], [west()])), first))

    placed = reserve_of(plan(view([held, second], [west()])), second).placements

    assert [p.node for p in placed] == [held.status.allocation.placements[0].node]


def test_a_part_never_shares_a_node_with_another_tenant():
    first = as_claim(claim("first", gpus=2))
    second = as_claim(claim("second", "globex", gpus=2))
    tenants = (as_tenant(), as_tenant(tenant("globex", namespaces=("globex",))))
    held = carried_out(first, reserve_of(plan(view([first], [west()], tenants=tenants)), first))

    placed = reserve_of(plan(view([held, second], [west()], tenants=tenants)), second).placements

    assert placed[0].node != held.status.allocation.placements[0].node


def test_a_claim_that_is_neither_part_nor_multiple_is_told_the_nearest_sizes():
    odd = as_claim(claim(gpus=12))

    refused = refusal_of(plan(view([odd], [west()])), odd)

    assert refused.reason is PendingReason.TOPOLOGY_UNFIT
    assert "ask for 8 or 16" in refused.message


@pytest.mark.parametrize(
    ("spec", "reason", "words"),
    [
        (
            {"class_name": "b200"},
            PendingReason.MISCONFIGURED,
            "there is no GpuClass b200; className may be: h100",
        ),
        (
            {"gpus": 32},
            PendingReason.WAITING_FOR_CAPACITY,
            "16 of 16 GPUs match; 16 are free in 2 chunks of 8",
        ),
        ({"maxPricePerGpuHour": "2.00"}, PendingReason.PRICE_UNMET, "costs 3.99 USD per GPU-hour"),
        (
            {"placement": {"jurisdictions": ["US"]}},
            PendingReason.RESIDENCY_UNMET,
            "16 are in EU",
        ),
        (
            {"placement": {"leases": {"deny": ["west"]}}},
            PendingReason.NO_MATCHING_LEASE,
            "16 are left out by placement.leases",
        ),
        (
            {"priorityClassName": "high"},
            PendingReason.MISCONFIGURED,
            "isn't allowed to this tenant",
        ),
        ({"suspended": True}, PendingReason.SUSPENDED, "holds nothing"),
        (
            {"gpus": 16, "topology": {"scope": "Node"}},
            PendingReason.TOPOLOGY_UNFIT,
            "don't fit on one node",
        ),
    ],
)
def test_a_claim_that_cant_be_served_is_told_why(spec, reason, words):
    asked = as_claim(claim(**spec))

    refused = refusal_of(plan(view([asked], [west()])), asked)

    assert refused.reason is reason
    assert words in refused.message


def test_a_namespace_of_no_tenant_is_refused_and_the_default_tenant_takes_it():
    stray = as_claim(claim(namespace="nowhere"))

    assert refusal_of(plan(view([stray], [west()])), stray).reason is PendingReason.NO_TENANT
    assert reserve_of(plan(view([stray], [west()], default_tenant="acme")), stray).tenant == "acme"


def test_of_two_tenants_that_name_a_namespace_the_older_has_it():
    older = as_tenant(tenant("older"), creationTimestamp="2026-01-01T00:00:00Z")
    train = as_claim()

    assert (
        reserve_of(plan(view([train], [west()], tenants=(as_tenant(), older))), train).tenant
        == "older"
    )


def test_a_quota_counts_what_is_given_in_the_same_pass():
    limited = as_tenant(tenant(quotas=[{"className": "h100", "gpus": 8}]))
    first = as_claim(claim("first"), creationTimestamp="2026-11-22T08:00:00Z")
    second = as_claim(claim("second"))

    made = plan(view([second, first], [west()], tenants=(limited,)))

    assert reserve_of(made, first)
    assert "8 of the tenant's quota of 8 are held or promised" in refusal_of(made, second).message


def test_higher_priority_goes_first_whatever_its_age():
    boss = as_tenant(tenant(priorityClasses=["low", "high"]))
    old = as_claim(claim("old", gpus=16), creationTimestamp="2026-11-01T00:00:00Z")
    urgent = as_claim(claim("urgent", gpus=16, priorityClassName="high"))

    made = plan(view([old, urgent], [west()], tenants=(boss,), priorities={"high": 100, "low": 1}))

    assert reserve_of(made, urgent).priority == 100
    assert refusal_of(made, old).reason is PendingReason.WAITING_FOR_CAPACITY


def test_a_claim_too_big_doesnt_stop_a_smaller_one_behind_it():
    big = as_claim(claim("big", gpus=64), creationTimestamp="2026-11-01T00:00:00Z")
    small = as_claim(claim("small"))

    made = plan(view([big, small], [west()]))

    assert reserve_of(made, small)


@pytest.mark.parametrize("unfit", list(Unfit))
def test_a_node_that_is_unfit_is_never_sold(unfit):
    train = as_claim()

    assert refusal_of(plan(view([train], [west(unfit=unfit)])), train)


def test_a_node_held_by_a_claim_that_the_hub_doesnt_know_is_held():
    train = as_claim()

    refused = refusal_of(plan(view([train], [west(held_by=uid_of("stranger"))])), train)

    assert "none is free" in refused.message


def test_a_claim_holds_its_nodes_while_they_cant_be_seen():
    first, second = as_claim(claim("first")), as_claim(claim("second"))
    held = carried_out(first, reserve_of(plan(view([first], [west(1)])), first))
    blind = (WEST, inventory(WEST, nodes(WEST, 1), reach=Reach.UNKNOWN))

    assert (
        refusal_of(plan(view([held, second], [blind])), second).reason
        is PendingReason.LEASE_UNREACHABLE
    )
    assert (
        refusal_of(plan(view([held, second], [west(1)])), second).reason
        is PendingReason.WAITING_FOR_CAPACITY
    )


@pytest.mark.parametrize(
    "fields", [{"synced": False}, {"isolation_ready": False}, {"reach": Reach.UNREACHABLE}]
)
def test_a_lease_that_isnt_read_proven_and_reachable_sells_nothing(fields):
    train = as_claim()
    fleet = [(WEST, inventory(WEST, nodes(WEST, 2), **fields))]

    assert refusal_of(plan(view([train], fleet)), train)


def test_no_more_is_sold_than_is_committed():
    small = as_lease(lease(committed=8))
    first, second = as_claim(claim("a")), as_claim(claim("b"))
    fleet = [(small, inventory(small, nodes(small, 2)))]

    made = plan(view([first, second], fleet))

    kinds = sorted(type(d).__name__ for d in made.decisions)
    assert kinds == ["Refuse", "Reserve"]


def test_a_claim_may_not_outlast_a_step_down_of_the_commitment():
    phases = [
        {"commitmentId": "a", "startTime": "2026-01-01T00:00:00Z", "gpus": 16},
        {"commitmentId": "b", "startTime": "2026-11-22T12:00:00Z", "gpus": 0},
    ]
    ramp = as_lease(lease(commitment={"phases": phases}) | {})
    short = as_claim(claim("short", schedule={"durationSeconds": 3600}))
    long = as_claim(claim("long", schedule={"durationSeconds": 36_000}))
    fleet = [(ramp, inventory(ramp, nodes(ramp, 2)))]

    made = plan(view([short, long], fleet))

    assert reserve_of(made, short)
    assert refusal_of(made, long).reason is PendingReason.WAITING_FOR_CAPACITY


def test_an_open_claim_ends_before_the_landlord_takes_the_nodes():
    ending = as_lease(
        lease(end="2026-11-23T10:00:00Z", term={"reclaimLeadSeconds": 3600, "drainSeconds": 600})
    )
    train = as_claim()
    fleet = [(ending, inventory(ending, nodes(ending, 1)))]

    reserved = reserve_of(plan(view([train], fleet)), train)

    assert reserved.until_ms == parse_instant("2026-11-23T08:50:00Z")
    assert reserved.until_cause is ReleaseCause.LEASE_ENDED


def test_a_claim_longer_than_the_lease_is_refused():
    ending = as_lease(lease(end="2026-11-23T10:00:00Z"))
    train = as_claim(claim(schedule={"durationSeconds": 2 * 86_400}))
    fleet = [(ending, inventory(ending, nodes(ending, 1)))]

    assert refusal_of(plan(view([train], fleet)), train).reason is PendingReason.EXCEEDS_LEASE_TERM


def test_capacity_that_is_paid_for_is_used_before_capacity_that_isnt():
    payg = as_lease(lease("aaa", mode="PayAsYouGo"))
    train = as_claim()
    fleet = [(payg, inventory(payg, nodes(payg, 1))), west(1)]

    assert reserve_of(plan(view([train], fleet)), train).placements[0].lease == "west"


def test_the_lease_that_ends_soonest_after_the_claim_is_chosen():
    late, soon = (
        as_lease(lease("a", end="2036-01-01T00:00:00Z")),
        as_lease(lease("b", end="2027-01-01T00:00:00Z")),
    )
    train = as_claim(claim(schedule={"durationSeconds": 3600}))
    fleet = [(each, inventory(each, nodes(each, 1))) for each in (late, soon)]

    assert reserve_of(plan(view([train], fleet)), train).placements[0].lease == "b"


def test_a_class_without_a_price_that_holds_is_misconfigured():
    later = as_class(
        gpu_class(prices=[{"effectiveTime": "2027-01-01T00:00:00Z", "perGpuHour": "1"}])
    )
    train = as_claim()

    assert (
        "no price that holds now"
        in refusal_of(plan(view([train], [west()], classes=(later,))), train).message
    )


def test_claims_that_cant_be_served_at_all_are_answered_in_the_same_order_always():
    stray = [as_claim(claim(f"c{i}", class_name="b200")) for i in range(9)]

    made = [plan(view(claims, [west()])).decisions for claims in (stray, stray[::-1])]

    assert made[0] == made[1]
    assert len(made[0]) == 9
