"""A claim is refused only if no place exists: against a search that tries every set of nodes of a small fleet."""

from collections import Counter
from dataclasses import dataclass, replace
from itertools import chain, combinations
from typing import Any

from hypothesis import HealthCheck, event, given, settings, strategies as st

from sublet.api.gpulease import GpuLease, NodeSharing
from sublet.api.ids import ClaimUID, ClusterUID, TenantUID
from sublet.api.pending import PendingReason
from sublet.api.times import format_instant
from sublet.book.decisions import Reserve
from sublet.book.inventory import Holding, LeaseInventory, NodeState, Reach, Unfit
from sublet.book.plan import plan
from sublet.book.view import View
from tests.builders.api import (
    LONG_AGO,
    NOW,
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
from tests.builders.fleet import held, inventory, nodes, refusal_of, reserve_of, view

HOUR = 3_600_000
EXAMPLES = 120
STRICTEST_FIRST = list(NodeSharing)
TENANTS = {name: as_tenant(tenant(name, namespaces=(name,))) for name in ("acme", "globex")}
ASKED_UID = ClaimUID(as_claim(claim("asked")).metadata.uid)
cliques = st.sampled_from([None, "d1", "d1", "d2"])
STRANGER = ClaimUID(uid_of("stranger"))


topologies = st.fixed_dictionaries(
    {
        "scope": st.sampled_from(["Any", "Any", "Any", "Node", "NVLinkDomain", "Cluster"]),
        "required": st.booleans(),
    }
)
spreads = st.fixed_dictionaries(
    {
        "maxSharePerProviderPercent": st.sampled_from([100, 100, 100, 67, 50, 34]),
        "minClusters": st.sampled_from([1, 1, 1, 2, 3]),
    }
)
requirements = st.sampled_from([{}, {}, {"memoryMiB": 80_000}, {"nvlinkDomain": True}])


def hour(hours: int) -> str:
    return format_instant(NOW + hours * HOUR)


@st.composite
def leases(draw: st.DrawFn, index: int) -> tuple[GpuLease, LeaseInventory]:
    committed = st.sampled_from([4, 8, 9, 16, 24])
    phases = {LONG_AGO: draw(committed)}
    phases |= {hour(h): draw(committed) for h in draw(st.sets(st.sampled_from([1, 3])))}
    end = draw(st.sampled_from([None, None, 2, 5]))
    body = lease(
        f"l{index}",
        provider=draw(st.sampled_from(["lux", "nyx", f"p{index}"])),
        end=hour(end) if end else None,
        tenantAlias=draw(st.sampled_from(["x", "y", f"l{index}"])),
        jurisdiction=draw(st.sampled_from(["EU", "EU", "EU", "US"])),
        acceptingClaims=draw(st.sampled_from([True, True, True, False])),
        nodeSharing=draw(st.sampled_from(STRICTEST_FIRST)),
        tenantAccess={"egress": draw(st.sampled_from(["Internet", "None"]))},
        commitment={
            "phases": [
                {"commitmentId": f"p{i}", "startTime": start, "gpus": gpus}
                for i, (start, gpus) in enumerate(phases.items())
            ]
        },
    )
    each = as_lease(body)
    found = [
        replace(
            node,
            gpus=draw(st.sampled_from([4, 8])),
            clique=draw(cliques),
            memory_mib=draw(st.sampled_from([None, 40_960, 81_920, 81_920, 81_920])),
            sharing=draw(st.sampled_from(STRICTEST_FIRST)),
            unfit=draw(st.sampled_from([None] * 7 + [Unfit.CORDONED])),
        )
        for node in nodes(each, draw(st.integers(1, 3)))
    ]
    reach = draw(st.sampled_from([Reach.REACHABLE] * 4 + [Reach.UNKNOWN]))
    cluster = draw(st.sampled_from([None, ClusterUID("one"), ClusterUID("two")]))
    return each, inventory(each, found, reach=reach, cluster_uid=cluster)


@st.composite
def entries(draw: st.DrawFn, node: NodeState) -> NodeState:
    """Return the node with an entry in its own book that the hub may know nothing of."""
    uid, gpus = draw(st.sampled_from([STRANGER, ASKED_UID])), draw(st.integers(1, 2))
    owner = draw(st.sampled_from([None, *(t.metadata.uid for t in TENANTS.values())]))
    return replace(node, holdings=(Holding(uid, gpus),), tenant_uid=owner)


@st.composite
def views(draw: st.DrawFn) -> View:
    fleet = [draw(leases(i)) for i in range(draw(st.integers(1, 4)))]
    holders = []
    for index, (each, found) in enumerate(fleet):
        seen = dict(found.nodes)
        for node in found.nodes.values():
            kind = draw(st.sampled_from(["free"] * 6 + ["hub", "book"]))
            if kind == "book":
                seen[node.name] = draw(entries(node))
            if kind == "hub":
                owner = draw(st.sampled_from(list(TENANTS)))
                ends = draw(st.sampled_from([None, 1, 4]))
                gpus = draw(st.integers(1, node.gpus))
                held_spec = {
                    "gpus": gpus,
                    "schedule": {"durationSeconds": ends * 3600} if ends else {},
                }
                holders.append(
                    held(
                        as_claim(claim(f"held-{node.name}", owner, **held_spec)),
                        each,
                        [node],
                        gpus=gpus,
                        until_ms=NOW + ends * HOUR if ends else None,
                        tenant_name=owner,
                    )
                )
        fleet[index] = (each, replace(found, nodes=seen))
    spec: dict[str, Any] = {"gpus": draw(st.sampled_from([1, 2, 3, 4, 8, 8, 16, 16, 24, 32]))}
    per_node = draw(st.sampled_from([None, None, None, None, 2, 4]))
    if per_node is not None and spec["gpus"] % per_node == 0:
        spec["gpusPerNode"] = per_node
    lasts = draw(st.sampled_from([None, 1, 2, 4, 6]))
    spec["schedule"] = {"durationSeconds": lasts * 3600} if lasts else {}
    spec["topology"] = draw(topologies)
    spec["placement"] = {"jurisdictions": draw(st.sampled_from([[], ["EU"]])), **draw(spreads)}
    longest = draw(st.sampled_from([None, 3 * 3600]))
    if longest is not None and lasts and lasts * 3600 > longest:
        longest = None
    return view(
        [as_claim(claim("asked", **spec)), *holders],
        fleet,
        classes=(
            as_class(gpu_class(maxDurationSeconds=longest, requires=draw(requirements))),
            as_class(gpu_class("other", requires={"memoryMiB": 40_000})),
        ),
        tenants=tuple(TENANTS.values()),
    )


@dataclass(frozen=True)
class Spot:
    """A node of the fleet, with its lease and inventory."""

    lease: GpuLease
    inventory: LeaseInventory
    node: NodeState


def cluster_of(spot: Spot) -> str:
    return spot.inventory.cluster_uid or spot.lease.metadata.uid


class Search:
    """Knows the rules of 20-book one by one and tries every set of nodes."""

    def __init__(self, seen: View) -> None:
        self.seen, self.asked = seen, seen.claims[0]
        self.holders, self.offer = seen.claims[1:], seen.classes[0]
        self.spots = [
            Spot(each, found, node)
            for each in seen.leases
            for found in [seen.inventories[each.metadata.uid]]
            for node in found.nodes.values()
            if node.unfit is None and self.sells(each, found)
        ]

    def sells(self, each: GpuLease, found: LeaseInventory) -> bool:
        allowed = self.asked.spec.placement.jurisdictions
        return (
            found.reach is Reach.REACHABLE
            and each.spec.accepting_claims
            and (not allowed or each.spec.location.jurisdiction in allowed)
        )

    def places(self) -> set[tuple[frozenset[str], int]]:
        """Return every set of nodes that would do, each with the GPUs of each node."""
        sets = chain.from_iterable(combinations(self.spots, n) for n in range(1, 9))
        found = ((s, self.asked.spec.gpus // len(s)) for s in sets)
        return {
            (frozenset(spot.node.uid for spot in s), gpus)
            for s, gpus in found
            if self.is_place(s, gpus)
        }

    def on(self, uids: frozenset[str]) -> tuple[Spot, ...]:
        return tuple(spot for spot in self.spots if spot.node.uid in uids)

    def is_place(self, spots: tuple[Spot, ...], gpus: int) -> bool:
        spec = self.asked.spec
        alone = len(spots) == 1
        return (
            gpus * len(spots) == spec.gpus
            and self.is_close(spots)
            and self.is_spread(spots)
            and gpus == (spec.gpus_per_node or gpus)
            and (alone or all(spot.node.gpus == gpus for spot in spots))
            and all(self.has_room(spot, gpus) for spot in spots)
            and all(self.may_join(a, b) for a, b in combinations(spots, 2))
            and self.is_covered(spots, gpus)
        )

    def is_close(self, spots: tuple[Spot, ...]) -> bool:
        """Say whether nodes are as close together as the claim or its class must have them."""
        topology, requires = self.asked.spec.topology, self.offer.spec.requires
        must = {topology.scope} if topology.required else set()
        if requires.nvlink_domain:
            must.add("NVLinkDomain")
        if "Node" in must and len(spots) > 1:
            return False
        if "Cluster" in must and len({cluster_of(s) for s in spots}) > 1:
            return False
        return "NVLinkDomain" not in must or self.is_domain(spots)

    def is_domain(self, spots: tuple[Spot, ...]) -> bool:
        domains = {(cluster_of(s), s.node.clique) for s in spots}
        return len(spots) == 1 or (len(domains) == 1 and spots[0].node.clique is not None)

    def is_spread(self, spots: tuple[Spot, ...]) -> bool:
        placement = self.asked.spec.placement
        most = max(Counter(s.lease.spec.provider for s in spots).values())
        return (
            most * 100 <= placement.max_share_per_provider_percent * len(spots)
            and len({cluster_of(s) for s in spots}) >= placement.min_clusters
        )

    def has_room(self, spot: Spot, gpus: int) -> bool:
        node = spot.node
        if (node.memory_mib or 0) < (self.offer.spec.requires.memory_mi_b or 0):
            return False
        hub = [
            (h.metadata.uid, p.gpus, h.status.allocation.tenant_uid)
            for h in self.holders
            for p in h.status.allocation.placements
            if p.node_uid == node.uid
        ]
        on_it = hub + [(h.claim_uid, h.gpus, node.tenant_uid) for h in node.holdings]
        if not on_it:
            return gpus <= node.gpus
        mine = TENANTS["acme"].metadata.uid
        rule = min(node.sharing, spot.lease.spec.node_sharing, key=STRICTEST_FIRST.index)
        shares = {
            NodeSharing.NONE: False,
            NodeSharing.SAME_TENANT: all(owner == mine for _, _, owner in on_it),
            NodeSharing.ANY_TENANT: True,
        }[rule]
        here_already = any(uid == ASKED_UID for uid, _, _ in on_it)
        return shares and not here_already and gpus <= node.gpus - sum(g for _, g, _ in on_it)

    def may_join(self, a: Spot, b: Spot) -> bool:
        if a.lease is b.lease:
            return True
        one, other = a.inventory.cluster_uid, b.inventory.cluster_uid
        if one is not None and one == other:
            return a.lease.spec.tenant_access == b.lease.spec.tenant_access
        return a.lease.spec.tenant_alias != b.lease.spec.tenant_alias

    def is_covered(self, spots: tuple[Spot, ...], gpus: int) -> bool:
        """Say whether every lease lasts and is committed to enough until the claim's end."""
        ends = [e for s in spots if (e := s.lease.spec.term.last_usable_ms()) is not None]
        lasts = self.asked.spec.schedule.duration_seconds
        longest = self.seen.classes[0].spec.max_duration_seconds
        own = NOW + (lasts or longest or 10**6) * 1000
        end = own if lasts else min([own, *ends])
        if any(end > e for e in ends):
            return False
        return all(
            self.held(s.lease, at) + gpus * sum(o.lease is s.lease for o in spots)
            <= s.lease.spec.commitment.gpus_at(at)
            for s in spots
            for at in range(NOW, end, HOUR // 2)
        )

    def held(self, each: GpuLease, at: int) -> int:
        hub = sum(
            p.gpus
            for h in self.holders
            for p in h.status.allocation.placements
            if p.lease_uid == each.metadata.uid
            and (h.status.allocation.until_time is None or h.status.allocation.until_time > at)
        )
        found = self.seen.inventories[each.metadata.uid]
        return hub + sum(h.gpus for n in found.nodes.values() for h in n.holdings)


@st.composite
def crowded_views(draw: st.DrawFn) -> View:
    """Return small leases that may or may not join in one claim, and a claim too large for one of them."""
    fleet = []
    for index in range(draw(st.integers(2, 4))):
        each, _ = draw(leases(index))
        found = [replace(n, clique=draw(cliques)) for n in nodes(each, draw(st.integers(1, 2)))]
        cluster = ClusterUID(draw(st.sampled_from(["one", "two"])))
        fleet.append((each, inventory(each, found, cluster_uid=cluster)))
    lasts = draw(st.sampled_from([None, None, 2, 4]))
    schedule = {"durationSeconds": lasts * 3600} if lasts else {}
    gpus = draw(st.sampled_from([16, 24, 32, 40]))
    placement = draw(st.just({}) | spreads)
    topology = draw(st.just({}) | st.just({"scope": "NVLinkDomain"}))
    spec = {"gpus": gpus, "schedule": schedule, "placement": placement, "topology": topology}
    return view([as_claim(claim("asked", **spec))], fleet)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(views() | crowded_views())
def test_a_claim_gets_a_place_exactly_if_there_is_one(seen: View):
    asked = seen.claims[0]
    search = Search(seen)
    places = search.places()
    made = next(d for d in plan(seen).decisions if d.claim_uid == asked.metadata.uid)

    if isinstance(made, Reserve):
        event(f"on {len({p.lease_uid for p in made.placements})} leases")
        chosen = frozenset(p.node_uid for p in made.placements)
        assert (chosen, made.placements[0].gpus) in places
        on_one = [nodes_ for nodes_, _ in places if len(nodes_) == 1]
        if asked.spec.topology.scope == "Node" and on_one:
            assert len(chosen) == 1
        if asked.spec.topology.scope == "NVLinkDomain":
            close = [nodes_ for nodes_, _ in places if search.is_domain(search.on(nodes_))]
            assert chosen in close or not close
    else:
        assert not places


def test_what_is_refused_to_one_claim_isnt_refused_to_another_that_could_have_it():
    """A node's book names a claim once, so a claim that stands on the only free part can't have it; others can."""
    west = as_lease()
    first, second = (
        as_claim(claim(name, gpus=4), creationTimestamp=f"2026-11-22T09:00:0{i}Z")
        for i, name in enumerate(("first", "second"))
    )
    [node] = nodes(west, 1)
    entry = Holding(ClaimUID(first.metadata.uid), 4)
    node = replace(node, holdings=(entry,), tenant_uid=TenantUID(as_tenant().metadata.uid))
    made = plan(view([first, second], [(west, inventory(west, [node]))]))
    assert refusal_of(made, first).reason is PendingReason.WAITING_FOR_CAPACITY
    assert reserve_of(made, second).placements[0].node == node.name
