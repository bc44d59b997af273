"""The index of free GPUs against a model that looks at every node each time."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings, strategies as st

from sublet.api.gpulease import NodeSharing
from sublet.api.ids import ClaimUID, LeaseUID, TenantUID
from sublet.book.free import FreeNodes, Part
from sublet.book.holdings import Holdings
from sublet.book.pools import Pool, Pools
from sublet.book.steps import FOREVER
from tests.builders.api import NOW, as_lease
from tests.builders.fleet import inventory, nodes

WEST = as_lease()
HERE = LeaseUID(WEST.metadata.uid)
TENANTS = [TenantUID("acme"), TenantUID("globex")]
STRICTEST_FIRST = [NodeSharing.NONE, NodeSharing.SAME_TENANT, NodeSharing.ANY_TENANT]

sharing = st.sampled_from(STRICTEST_FIRST)
fleets = st.lists(
    st.tuples(st.sampled_from([4, 8]), st.sampled_from(["a", "b", None]), sharing), max_size=6
)
takes = st.lists(
    st.tuples(st.integers(1, 5), st.sampled_from(["c1", "c2", "c3"]), st.sampled_from(TENANTS)),
    max_size=8,
)


def anything(_):
    return True


def built(fleet):
    return [
        replace(node, gpus=gpus, zone=zone, sharing=rule)
        for node, (gpus, zone, rule) in zip(nodes(WEST, len(fleet)), fleet, strict=True)
    ]


class Model:
    """All nodes in a list; nothing is remembered but who took what."""

    def __init__(self, all_nodes, rule):
        self.nodes, self.rule = all_nodes, rule
        self.taken = []  # (node name, claim, tenant, gpus)

    def holders(self, node):
        return [t for t in self.taken if t[0] == node.name]

    def free(self, node, tenant):
        """Return what a tenant may have of a node."""
        holders = self.holders(node)
        left = node.gpus - sum(t[3] for t in holders)
        rule = min(node.sharing, self.rule, key=STRICTEST_FIRST.index)
        if not holders or rule is NodeSharing.ANY_TENANT:
            return left
        mine = rule is NodeSharing.SAME_TENANT and {t[2] for t in holders} == {tenant}
        return left if mine else 0

    def whole(self, size):
        return [n for n in self.nodes if n.gpus == size and not self.holders(n)]

    def zones(self, size):
        return Counter(n.zone or "home" for n in self.whole(size))

    def part(self, gpus, claim, tenant):
        broken = [
            (self.free(n, tenant), n.name, n)
            for n in self.nodes
            if self.holders(n) and all(t[1] != claim for t in self.holders(n))
        ]
        for free, _, node in sorted(b for b in broken if b[0] >= gpus):
            return Part(node, free - gpus, breaks=False)
        whole = [
            (n.gpus, self.zones(n.gpus)[n.zone or "home"], n.zone or "home", n.name, n)
            for size in (4, 8)
            for n in self.whole(size)
            if size > gpus
        ]
        return Part(min(whole)[4], min(whole)[0] - gpus, breaks=True) if whole else None


@settings(deadline=None)
@given(fleets, sharing, takes)
def test_every_take_leaves_the_index_as_if_it_were_built_anew(fleet, rule, taken):
    all_nodes = built(fleet)
    holdings = Holdings([], [], NOW).at(HERE)
    pools = Pools(all_nodes)
    index = FreeNodes(all_nodes, holdings, pools=pools, sharing=rule, zone="home")
    model = Model(all_nodes, rule)
    for gpus, claim, tenant in taken:
        found = index.part(gpus, ClaimUID(claim), tenant, anything)

        assert found == model.part(gpus, claim, tenant)
        if found is not None:
            index.remove(found.node)
            holdings.take(ClaimUID(claim), tenant, found.node.uid, gpus, FOREVER)
            index.put_back(found.node)
            model.taken.append((found.node.name, claim, tenant, gpus))

    anew = FreeNodes(reversed(all_nodes), holdings, pools=pools, sharing=rule, zone="home")
    for seen in (index, anew):
        for size in (4, 8):
            pool = Pool(size)
            assert seen.count(pool) == len(model.whole(size))
            assert seen.zones(pool) == model.zones(size)
            for zone, count in seen.zones(pool).items():
                mine = [n for n in model.whole(size) if (n.zone or "home") == zone]
                assert seen.whole_nodes(pool, zone, count) == mine
        for tenant in TENANTS:
            chunks = Counter(model.free(n, tenant) for n in all_nodes)
            assert seen.chunks(tenant) == Counter({f: c for f, c in chunks.items() if f > 0})


@pytest.mark.parametrize("node_says", STRICTEST_FIRST)
@pytest.mark.parametrize("lease_says", STRICTEST_FIRST)
def test_the_stricter_of_node_and_lease_says_who_may_have_the_rest(node_says, lease_says):
    (node,) = (replace(n, sharing=node_says) for n in nodes(WEST, 1))
    holdings = Holdings([], [inventory(WEST, [node])], NOW).at(HERE)
    holdings.take(ClaimUID("first"), TENANTS[0], node.uid, 2, FOREVER)
    index = FreeNodes([node], holdings, pools=Pools([node]), sharing=lease_says, zone="")

    may = [index.part(2, ClaimUID("second"), tenant, anything) is not None for tenant in TENANTS]

    stricter = min(node_says, lease_says, key=STRICTEST_FIRST.index)
    assert (
        may
        == {"None": [False, False], "SameTenant": [True, False], "AnyTenant": [True, True]}[
            stricter
        ]
    )


def test_a_node_that_two_tenants_are_on_has_no_rest_for_either():
    (node,) = nodes(WEST, 1)
    holdings = Holdings([], [], NOW).at(HERE)
    for claim, tenant in zip(("first", "second"), TENANTS, strict=True):
        holdings.take(ClaimUID(claim), tenant, node.uid, 2, FOREVER)
    index = FreeNodes(
        [node], holdings, pools=Pools([node]), sharing=NodeSharing.SAME_TENANT, zone=""
    )

    assert [index.part(1, ClaimUID("third"), tenant, anything) for tenant in TENANTS] == [
        None,
        None,
    ]


def test_a_node_that_is_held_beyond_its_size_has_no_rest():
    (node,) = nodes(WEST, 1)
    holdings = Holdings([], [], NOW).at(HERE)
    holdings.take(ClaimUID("first"), TENANTS[0], node.uid, 9, FOREVER)
    index = FreeNodes(
        [node], holdings, pools=Pools([node]), sharing=NodeSharing.ANY_TENANT, zone=""
    )

    assert index.chunks(TENANTS[0]) == Counter()
