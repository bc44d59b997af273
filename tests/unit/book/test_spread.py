"""Claims that must not be in one place: no landlord's share too large, clusters enough, and refusals that count."""

from collections import Counter

import pytest

from sublet.api.gpuclaim import GpuClaim
from sublet.api.ids import ClusterUID
from sublet.api.pending import OfferKind, PendingReason
from sublet.api.times import format_instant
from sublet.book.decisions import Extend, Refuse
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
)
from tests.builders.fleet import after, held, inventory, nodes, refusal_of, reserve_of, view
from tests.builders.windows import at

HALF, TWO = {"maxSharePerProviderPercent": 50}, {"minClusters": 2}


def leased(name: str, count: int, *, provider: str = "", cluster: str = "", **spec):
    each = as_lease(lease(name, committed=8 * count, provider=provider or f"p-{name}", **spec))
    uid = ClusterUID(cluster) if cluster else None
    return each, inventory(each, nodes(each, count), cluster_uid=uid)


def asking(gpus: int = 32, placement=HALF, name: str = "train", **spec) -> GpuClaim:
    return as_claim(claim(name, gpus=gpus, placement=placement, **spec))


def placed(fleet, each: GpuClaim) -> Counter[str]:
    return Counter(p.lease for p in reserve_of(plan(view([each], fleet)), each).placements)


def refused(fleet, each: GpuClaim, *others: GpuClaim):
    return refusal_of(plan(view([*others, each], fleet)), each)


def test_no_landlord_has_more_than_its_share_whatever_its_leases_are():
    fleet = [leased("a", 4, provider="lux"), leased("b", 4, provider="lux"), leased("c", 4)]

    found = placed(fleet, asking())

    assert found["a"] + found["b"] == 2
    assert found["c"] == 2


@pytest.mark.parametrize(
    ("percent", "nodes_", "most"), [(50, 2, 1), (50, 5, 2), (67, 3, 2), (34, 3, 1), (99, 4, 3)]
)
def test_a_share_is_rounded_down_to_whole_nodes(percent, nodes_, most):
    fleet = [leased(name, 6) for name in "abcd"]
    one = asking(8 * nodes_, {"maxSharePerProviderPercent": percent})

    found = placed(fleet, one)

    assert max(found.values()) <= most
    assert found.total() == nodes_


def test_so_many_clusters_are_used_and_no_more_than_needed():
    fleet = [leased("a", 9, cluster="one"), leased("b", 9, cluster="one"), leased("c", 1), leased("d", 1)]  # fmt: skip

    found = placed(fleet, asking(placement=TWO))

    assert len({name.replace("b", "a") for name in found}) == 2


def test_a_landlords_share_is_divided_over_clusters_that_only_he_has():
    """Taking all of lux's share in the first cluster would leave the second one without a part."""
    fleet = [
        leased("a", 9, provider="lux", cluster="one"),
        leased("b", 9, provider="nyx", cluster="one"),
        leased("c", 9, provider="lux", cluster="two"),
    ]
    both = HALF | TWO

    assert placed(fleet, asking(placement=both))["c"] >= 1
    assert placed(fleet, asking(16, both)) == {"b": 1, "c": 1}


def test_one_landlord_alone_or_one_cluster_alone_is_told_and_shows_no_name():
    fleet = [leased("a", 9, provider="lux", cluster="one"), leased("b", 9, provider="lux", cluster="one")]  # fmt: skip

    share, clusters = refused(fleet, asking()), refused(fleet, asking(placement=TWO))

    assert share.reason is clusters.reason is PendingReason.TOPOLOGY_UNFIT
    assert (
        "one provider may have 2 of its 4 nodes, and all providers together have 2 so"
        in share.message
    )
    assert "minClusters is 2, and the GPUs that match are in 1" in clusters.message
    assert "lux" not in share.message + clusters.message


def test_a_claim_that_waits_for_its_spread_is_offered_the_size_that_fits_and_its_start():
    fleet = [leased("a", 9), leased("b", 2)]
    (b, found) = fleet[1]
    soon = {"schedule": {"durationSeconds": 3600}}
    runs = held(as_claim(claim("runs", **soon)), b, list(found.nodes.values())[:1], until_ms=at(1))

    told = refused(fleet, asking(), runs)

    assert told.reason is PendingReason.WAITING_FOR_CAPACITY
    assert told.message.endswith("one provider may have 2 of its 4 nodes, and 3 are free so")
    assert told.estimated_ms == at(1)
    assert {o.change: o.gpus for o in told.offers}[OfferKind.OTHER_SIZE] == 16


def test_min_gpus_takes_the_most_that_keeps_the_shares():
    fleet = [leased("a", 9), leased("b", 2)]

    assert placed(fleet, asking(80, minGpus=16)) == {"a": 2, "b": 2}


def test_a_number_of_gpus_that_too_few_nodes_make_up_is_told_the_next_that_do():
    told = refused([leased("a", 9), leased("b", 9)], asking(8))

    assert told.reason is PendingReason.TOPOLOGY_UNFIT
    assert "can't be spread over 2 or more whole nodes, as placement asks" in told.message
    assert "ask for 16" in told.message
    assert [o.gpus for o in told.offers if o.change is OfferKind.OTHER_SIZE] == [16]


def test_an_offer_elsewhere_keeps_the_spread():
    fleet = [leased("a", 9), leased("b", 9, jurisdiction="US"), leased("c", 9, jurisdiction="US")]

    told = refused(fleet, asking(placement=HALF | {"jurisdictions": ["US"], "leases": {"deny": ["c"]}}))  # fmt: skip

    (offer,) = [o for o in told.offers if o.change is OfferKind.ELSEWHERE]
    assert offer.jurisdictions
    assert not [o for o in refused(fleet[:1], asking()).offers if o.change is OfferKind.ELSEWHERE]


def test_a_window_to_come_is_promised_spread_and_begins_spread():
    fleet = [leased("a", 4), leased("b", 4)]
    schedule = {"startTime": format_instant(at(2)), "durationSeconds": 3600}
    train = asking(schedule=schedule)
    seen = view([train], fleet)

    (promise,) = after(seen, plan(seen)).claims
    made = reserve_of(plan(view([promise], fleet, now_ms=at(2))), promise)

    assert Counter({b.lease: b.nodes for b in promise.status.allocation.bookings}) == {"a": 2, "b": 2}  # fmt: skip
    assert Counter(p.lease for p in made.placements) == {"a": 2, "b": 2}


def test_a_claim_that_must_be_spread_takes_back_on_several_leases_at_once_and_never_on_one_in_vain():
    fleet = [leased("a", 2), leased("b", 2)]
    spot = as_class(gpu_class("spot", guarantee="Preemptible", noticeSeconds=60))
    fields = {
        "classes": (as_class(), spot),
        "tenants": (as_tenant(tenant(priorityClasses=["low", "high"])),),
        "priorities": {"low": 0, "high": 9},
    }
    runs = [
        held(
            as_claim(claim(f"runs-{each.metadata.name}", class_name="spot", gpus=16)),
            each,
            found.nodes.values(),
        )
        for each, found in fleet
    ]
    urgent = asking(16, HALF, priorityClassName="high")
    alone = asking(16, {}, priorityClassName="high")

    assert [type(d) for d in plan(view([*runs, alone], fleet, **fields)).decisions] == [Refuse, Extend]  # fmt: skip
    both = plan(view([*runs, urgent], fleet, **fields)).decisions
    assert [type(d) for d in both] == [Refuse, Extend, Extend]
    one = plan(view([runs[0], urgent], fleet[:1], **fields)).decisions
    assert [type(d) for d in one] == [Refuse]


def test_a_search_over_many_landlords_that_finds_nothing_ends_soon():
    fleet = [
        leased(f"{side}{i}", 1, cluster=f"{side}{i}", tenantAlias=f"pair{i}", provider=f"p{i % 7}")
        for side in "ab"
        for i in range(30)
    ]

    told = refused(fleet, asking(8 * 31, {"maxSharePerProviderPercent": 20, "minClusters": 16}))

    assert told.reason in (PendingReason.WAITING_FOR_CAPACITY, PendingReason.TOPOLOGY_UNFIT)
