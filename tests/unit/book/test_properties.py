"""What must hold over random fleets, claims and holdings."""

import random
from collections import Counter

from hypothesis import given, settings, strategies as st

from sublet.book.decisions import Reserve
from sublet.book.plan import plan
from sublet.book.view import View
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
from tests.builders.fleet import carried_out, inventory, nodes, view

TENANTS = ("acme", "globex")
PRODUCTS = {"h100": "NVIDIA-H100-80GB-HBM3", "gb200": "NVIDIA-GB200"}

leases = st.lists(
    st.tuples(
        st.sampled_from(["h100", "gb200"]),
        st.integers(0, 6),
        st.integers(0, 56),
        st.sampled_from(["None", "SameTenant", "AnyTenant"]),
    ),
    min_size=1,
    max_size=3,
)
claims = st.lists(
    st.tuples(
        st.sampled_from(TENANTS),
        st.sampled_from(["h100", "gb200"]),
        st.sampled_from([1, 2, 3, 4, 6, 8, 12, 16, 24, 40]),
    ),
    max_size=14,
)


@st.composite
def views(draw: st.DrawFn) -> View:
    fleet = []
    for index, (class_name, count, committed, sharing) in enumerate(draw(leases)):
        body = lease(
            f"l{index}", product=PRODUCTS[class_name], committed=committed, nodeSharing=sharing
        )
        each = as_lease(body)
        size = 8 if class_name == "h100" else 4
        fleet.append((each, inventory(each, nodes(each, count, gpus=size, zones=("a", "b")))))
    asked = [
        as_claim(claim(f"c{i}", namespace, class_name=class_name, gpus=gpus))
        for i, (namespace, class_name, gpus) in enumerate(draw(claims))
    ]
    quota = [{"className": "h100", "gpus": draw(st.integers(0, 64))}]
    return view(
        asked,
        fleet,
        classes=tuple(as_class(gpu_class(n, products=(p,))) for n, p in PRODUCTS.items()),
        tenants=tuple(as_tenant(tenant(n, namespaces=(n,), quotas=quota)) for n in TENANTS),
    )


def reservations(seen: View) -> list[Reserve]:
    return [d for d in plan(seen).decisions if isinstance(d, Reserve)]


@settings(max_examples=60, deadline=None)
@given(views())
def test_no_gpu_is_given_twice_and_no_lease_oversold(seen: View):
    given_of_node: Counter[str] = Counter()
    given_of_lease: Counter[str] = Counter()
    for reserve in reservations(seen):
        for place in reserve.placements:
            given_of_node[place.node_uid] += place.gpus
            given_of_lease[place.lease_uid] += place.gpus
    sizes = {n.uid: n.gpus for i in seen.inventories.values() for n in i.nodes.values()}
    committed = {x.metadata.uid: x.spec.commitment.gpus_at(seen.now_ms) for x in seen.leases}

    assert all(gpus <= sizes[uid] for uid, gpus in given_of_node.items())
    assert all(gpus <= committed[uid] for uid, gpus in given_of_lease.items())


@settings(max_examples=60, deadline=None)
@given(views())
def test_a_claim_gets_all_or_nothing_and_each_is_answered_once(seen: View):
    asked = {c.metadata.uid: c.spec.gpus for c in seen.claims}

    assert all(sum(p.gpus for p in r.placements) == asked[r.claim_uid] for r in reservations(seen))
    assert sorted(d.claim_uid for d in plan(seen).decisions) == sorted(asked)


@settings(max_examples=60, deadline=None)
@given(views())
def test_quotas_hold(seen: View):
    held: Counter[str] = Counter()
    classes = {c.metadata.uid: c.spec.class_name for c in seen.claims}
    for reserve in reservations(seen):
        if classes[reserve.claim_uid] == "h100":
            held[reserve.tenant] += sum(p.gpus for p in reserve.placements)

    limits = {t.metadata.name: t.spec.quota_of("h100") for t in seen.tenants}
    assert all(gpus <= (limits[name] or 0) for name, gpus in held.items())


@settings(max_examples=40, deadline=None)
@given(views(), st.randoms(use_true_random=False))
def test_the_order_of_the_input_changes_nothing(seen: View, shuffle: random.Random):
    def mixed(items):
        return tuple(shuffle.sample(items, len(items)))

    other = View(
        now_ms=seen.now_ms,
        claims=mixed(seen.claims),
        leases=mixed(seen.leases),
        classes=mixed(seen.classes),
        tenants=mixed(seen.tenants),
        inventories=dict(mixed(tuple(seen.inventories.items()))),
    )

    assert plan(other) == plan(seen)


@settings(max_examples=40, deadline=None)
@given(views())
def test_what_was_given_stays_given_and_the_next_pass_gives_nothing_of_it(seen: View):
    by_uid = {c.metadata.uid: c for c in seen.claims}
    first = reservations(seen)
    for reserve in first:
        by_uid[reserve.claim_uid] = carried_out(by_uid[reserve.claim_uid], reserve)
    after = View(
        now_ms=seen.now_ms,
        claims=tuple(by_uid.values()),
        leases=seen.leases,
        classes=seen.classes,
        tenants=seen.tenants,
        inventories=seen.inventories,
    )
    taken = {(p.node_uid, r.claim_uid) for r in first for p in r.placements}
    again = reservations(after)

    assert not {r.claim_uid for r in again} & {r.claim_uid for r in first}
    sizes = {n.uid: n.gpus for i in seen.inventories.values() for n in i.nodes.values()}
    held: Counter[str] = Counter()
    for reserve in (*first, *again):
        for place in reserve.placements:
            held[place.node_uid] += place.gpus
    assert len(taken) == sum(len(r.placements) for r in first)
    assert all(gpus <= sizes[uid] for uid, gpus in held.items())
