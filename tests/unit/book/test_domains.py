"""NVLink domains: racks of 18 nodes of 4 GPUs, claims that need one rack and claims that don't."""

from collections import Counter
from dataclasses import replace

import pytest

from sublet.api.gpuclaim import GpuClaim
from sublet.api.gpulease import GpuLease
from sublet.api.ids import ClusterUID
from sublet.api.pending import OfferKind, PendingReason
from sublet.book.decisions import Extend, Reserve
from sublet.book.inventory import LeaseInventory
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
from tests.builders.racks import GB200, rack, racks

DOMAIN = {"scope": "NVLinkDomain"}
WISH = {"scope": "NVLinkDomain", "required": False}
CLASSES = (as_class(gpu_class("gb200", products=(GB200,))),)
Pair = tuple[GpuLease, LeaseInventory]


def asking(name: str = "train", gpus: int = 72, topology: dict | None = None, **spec) -> GpuClaim:
    return as_claim(claim(name, class_name="gb200", gpus=gpus, topology=topology or DOMAIN, **spec))


def seen_by(claims, fleet, classes=CLASSES, **fields):
    return view(claims, fleet, classes=classes, **fields)


def rack_of(fleet: list[Pair], made: Reserve) -> Counter[str | None]:
    """Return NVLink domain -> nodes of a reservation."""
    cliques = {n.uid: n.clique for _, found in fleet for n in found.nodes.values()}
    return Counter(cliques[p.node_uid] for p in made.placements)


def placed(fleet: list[Pair], each: GpuClaim, **fields) -> Counter[str | None]:
    return rack_of(fleet, reserve_of(plan(seen_by([each], fleet, **fields)), each))


def refused(fleet: list[Pair], each: GpuClaim, **fields):
    return refusal_of(plan(seen_by([each], fleet, **fields)), each)


def test_a_claim_for_a_domain_is_never_spread_over_two():
    fleet = [racks("west", 10, 10)]

    assert placed(fleet, asking(gpus=40)) in ({rack(0): 10}, {rack(1): 10})
    assert placed(fleet, asking(gpus=44, topology={"scope": "Any"})).total() == 11
    assert refused(fleet, asking(gpus=44)).reason is PendingReason.TOPOLOGY_UNFIT


def test_a_domain_claim_takes_the_smallest_domain_that_suffices():
    fleet = [racks("west", 18, 12, 16, 4)]

    assert placed(fleet, asking(gpus=48)) == {rack(1): 12}
    assert placed(fleet, asking(gpus=52)) == {rack(2): 13}


def test_a_claim_that_needs_no_domain_leaves_whole_ones_alone():
    fleet = [racks("a-west", 18, 5), racks("east", plain=2, first=7)]

    assert placed(fleet, asking(gpus=8, topology={"scope": "Any"})) == {None: 2}
    assert placed(fleet[:1], asking(gpus=4, topology={"scope": "Any"})) == {rack(1): 1}
    assert placed(fleet[:1], asking(gpus=2, topology={"scope": "Node"})) == {rack(1): 1}


def test_nodes_without_a_domain_in_a_lease_go_before_those_in_one():
    fleet = [racks("west", 3, plain=2)]

    assert placed(fleet, asking(gpus=12, topology={"scope": "Any"})) == {None: 2, rack(0): 1}


def test_nodes_that_show_no_domain_never_make_one():
    fleet = [racks("west", plain=18)]

    assert placed(fleet, asking(gpus=4)) == {None: 1}
    assert placed(fleet, asking(gpus=8, topology=WISH)) == {None: 2}
    told = refused(fleet, asking(gpus=8))
    assert told.reason is PendingReason.TOPOLOGY_UNFIT
    assert "none of these nodes says in which NVLink domain it is" in told.message


def test_a_domain_reaches_over_the_leases_of_a_cluster_and_not_into_another_cluster():
    one, two = ClusterUID("one"), ClusterUID("two")
    same = [racks("a", 9, cluster=one), racks("b", 9, cluster=one)]
    apart = [racks("a", 9, cluster=one), racks("b", 9, cluster=two)]

    assert placed(same, asking()) == {rack(0): 18}
    assert refused(apart, asking()).message.endswith(
        "no NVLink domain has 18 nodes; the largest has 9"
    )


def test_a_wish_for_a_domain_is_met_where_it_can_be():
    fleet = [racks("west", 10, 12)]

    assert placed(fleet, asking(gpus=48, topology=WISH)) == {rack(1): 12}
    assert placed(fleet, asking(gpus=64, topology=WISH)).total() == 16


def test_a_refusal_counts_and_offers_what_one_domain_has_a_cluster_and_several_claims():
    each, found = racks("west", 18, 18)
    taken = [
        held(asking(f"old{i}", 4 * count), each, [n for n in found.nodes.values() if n.clique == rack(i)][:count])
        for i, count in enumerate((6, 10))
    ]  # fmt: skip
    train = asking()

    told = refusal_of(plan(seen_by([*taken, train], [(each, found)])), train)

    assert told.reason is PendingReason.WAITING_FOR_CAPACITY
    assert told.message.endswith("no NVLink domain has 18 nodes free; the largest has 12")
    offers = {o.change: o for o in told.offers}
    assert offers[OfferKind.OTHER_SIZE].gpus == 48
    assert offers[OfferKind.WIDER].scope == "Cluster"
    assert (offers[OfferKind.SPLIT].claims, offers[OfferKind.SPLIT].gpus) == (3, 24)


def test_min_gpus_takes_the_most_that_one_domain_has():
    fleet = [racks("west", 10, 12)]

    assert placed(fleet, asking(gpus=72, minGpus=8)) == {rack(1): 12}


def test_a_class_may_need_domains_whatever_its_claims_say():
    classes = (as_class(gpu_class("gb200", products=(GB200,), requires={"nvlinkDomain": True})),)
    fleet, anywhere = [racks("west", 10, 12)], {"scope": "Any"}

    assert placed(fleet, asking(gpus=44, topology=anywhere), classes=classes) == {rack(1): 11}
    told = refused(fleet, asking(gpus=64, topology=anywhere), classes=classes)
    assert told.reason is PendingReason.TOPOLOGY_UNFIT
    assert OfferKind.WIDER not in {o.change for o in told.offers}
    both = asking(gpus=8, topology=anywhere, placement={"minClusters": 2})
    assert refused(fleet, both, classes=classes).reason is PendingReason.MISCONFIGURED


def test_a_class_is_offered_nodes_with_its_memory_alone():
    each = as_lease(lease("west", product=GB200, committed=400))
    memories = (None, 100_000, 189_471)
    found = [replace(n, memory_mib=m) for n, m in zip(nodes(each, 3, gpus=4), memories, strict=True)]  # fmt: skip
    fleet = [(each, inventory(each, found))]

    def needing(memory: int):
        requires = {"memoryMiB": memory}
        return (as_class(gpu_class("gb200", products=(GB200,), requires=requires)),)

    def names(memory: int, gpus: int):
        one = asking(gpus=gpus, topology={"scope": "Any"})
        made = reserve_of(plan(seen_by([one], fleet, needing(memory))), one)
        return [p.node for p in made.placements]

    assert names(180_000, 4) == names(180_000, 2) == ["west-0002"]
    assert names(100_000, 8) == ["west-0001", "west-0002"]
    short = refused(fleet, asking(gpus=8, topology={"scope": "Any"}), classes=needing(180_000))
    assert "4 of 4 GPUs match" in short.message
    none = refused(fleet, asking(gpus=4), classes=needing(200_000))
    assert none.reason is PendingReason.NO_MATCHING_LEASE
    assert "12 have less than 200000 MiB of memory" in none.message


def test_mixed_claims_fill_racks_without_breaking_more_of_them_than_they_must():
    """Four racks: whole ones, halves, single trays and parts of trays, in any order that they come in."""
    fleet = [racks("west", 18, 18, 18, 18)]
    asked = [
        asking("tray", 4, {"scope": "Any"}),
        asking("half-a", 36),
        asking("part", 2, {"scope": "Node"}),
        asking("rack-a", 72),
        asking("half-b", 36),
        asking("rack-b", 72),
    ]
    made = plan(seen_by(asked, fleet))

    by_name = {each.metadata.name: rack_of(fleet, reserve_of(made, each)) for each in asked}
    assert all(len(found) == 1 for found in by_name.values())
    assert by_name["rack-a"].total() == by_name["rack-b"].total() == 18
    broken = (
        set(by_name["tray"])
        | set(by_name["part"])
        | set(by_name["half-a"])
        | set(by_name["half-b"])
    )
    assert len(broken) == 2  # fmt: skip


def test_a_domain_claim_takes_back_the_trays_of_one_domain():
    fleet = [racks("west", 2, 2)]
    each, found = fleet[0]
    spot = as_class(gpu_class("spot", products=(GB200,), guarantee="Preemptible", noticeSeconds=60))
    runs = [
        held(as_claim(claim(f"runs{i}", class_name="spot", gpus=4)), each, [node])
        for i, node in enumerate(found.nodes.values())
    ]
    made = plan(
        seen_by(
            [*runs, asking(gpus=8, priorityClassName="high")],
            fleet,
            (*CLASSES, spot),
            tenants=(as_tenant(tenant(priorityClasses=["low", "high"])),),
            priorities={"low": 0, "high": 9},
        )
    )

    hit = {d.claim_uid for d in made.decisions if isinstance(d, Extend)}
    nodes_of = {c.metadata.uid: n for c, n in zip(runs, found.nodes.values(), strict=True)}
    assert len(hit) == 2
    assert len({nodes_of[uid].clique for uid in hit}) == 1


@pytest.mark.parametrize("count", [1, 2, 3])
def test_racks_are_given_to_rack_claims_one_each(count: int):
    fleet = [racks("west", *(18,) * count)]
    asked = [asking(f"rack{i}") for i in range(count + 1)]
    made = plan(seen_by(asked, fleet))

    got = [d for d in made.decisions if isinstance(d, Reserve)]
    assert len(got) == count
    assert sorted(next(iter(rack_of(fleet, d))) or "" for d in got) == sorted(
        map(rack, range(count))
    )
    assert not [
        d for d in plan(after(seen_by(asked, fleet), made)).decisions if isinstance(d, Reserve)
    ]
