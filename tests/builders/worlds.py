"""Worlds for the invariant checker's tests: what hub, leased clusters and ledger show of claims when all is well."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from sublet.api.gpuclaim import Access, ClusterAccess, GpuClaim
from sublet.api.gpulease import GpuLease
from sublet.api.ids import ClaimUID, ClusterUID, LeaseUID, NodeUID, TenantUID
from sublet.api.kinds import RELEASE_FINALIZER
from sublet.api.relocation import ReleaseCause
from sublet.api.times import Millis, parse_instant
from sublet.book.decisions import Take
from sublet.book.inventory import NodeState
from sublet.hub.meter import facts_of
from sublet.ledger.entry import GENESIS_HASH, Entry, Fact
from sublet.verify.index import holds, is_bound, namespace_name, places_of
from sublet.verify.world import (
    ClusterSeen,
    LedgerSeen,
    NamespaceSeen,
    NodeSeen,
    SecretSeen,
    Unknown,
    World,
)
from tests.builders.api import LONG_AGO, NOW, as_claim, as_lease, claim, lease, uid_of
from tests.builders.fleet import bound, held, nodes

WEST = as_lease(lease("west"))
NODES = nodes(WEST, 4)
LATER = Millis(NOW + 3_600_000)


def guarded(body: dict[str, Any] | None = None, **meta: Any) -> GpuClaim:
    """Return a claim with its finalizer on, as admission leaves it."""
    return as_claim(body, finalizers=[RELEASE_FINALIZER], **meta)


def reserved_claim(name: str = "train", *, on: int = 0, **options: Any) -> GpuClaim:
    """Return a claim that is Reserved on one node of west."""
    tenant_name = options.pop("tenant_name", "acme")
    asked = guarded(claim(name, tenant_name))
    return held(asked, WEST, [NODES[on]], tenant_name=tenant_name, **options)


def bound_claim(name: str = "train", *, on: int = 0, **options: Any) -> GpuClaim:
    """Return a claim that is Bound on one node of west, with access."""
    return with_access(bound(reserved_claim(name, on=on, **options)))


def with_access(each: GpuClaim) -> GpuClaim:
    """Return a bound claim with a kubeconfig for each of its namespaces."""
    allocation = each.status.allocation
    assert allocation is not None
    where = {p.home or allocation.sequence: p.lease for p in allocation.placements}
    access = Access(
        secret_name=f"{each.metadata.name}-kubeconfig",
        clusters=tuple(
            ClusterAccess(
                alias=alias,
                namespace=namespace_name(each.metadata.uid, home),
                expiration_time=Millis(LATER + 365 * 86_400_000),
            )
            for home, alias in sorted(where.items())
        ),
    )
    return each.model_copy(update={"status": each.status.model_copy(update={"access": access})})


def sound_world(
    *claims: GpuClaim,
    fleet: Iterable[tuple[GpuLease, Iterable[NodeState]]] = ((WEST, NODES),),
    facts: Iterable[Fact] | None = None,
    now_ms: Millis = LATER,
) -> World:
    """Return what is there if everything that these claims' status calls for is, and nothing else.

    Each lease is a cluster of its own. `facts`: the ledger's lines, if not those that the claims call for.
    """
    pairs = [(each, list(found)) for each, found in fleet]
    lines = facts if facts is not None else [f for c in claims for f in facts_of(c)]
    return World(
        now_ms=now_ms,
        claims=claims,
        leases=tuple(each for each, _ in pairs),
        secrets=tuple(
            SecretSeen(c.metadata.namespace, c.status.access.secret_name, uid(c))
            for c in claims
            if c.status.access is not None
        ),
        clusters=tuple(_cluster(each, found, claims) for each, found in pairs),
        ledger=ledger_of(lines),
        spec_changed={LeaseUID(x.metadata.uid): parse_instant(LONG_AGO) for x, _ in pairs},
    )


def uid(each: GpuClaim) -> ClaimUID:
    """Return a claim's UID."""
    return ClaimUID(each.metadata.uid)


def ledger_of(facts: Iterable[Fact]) -> LedgerSeen:
    """Return a ledger of these lines."""
    entries: list[Entry] = []
    for fact in facts:
        head = entries[-1].hash if entries else GENESIS_HASH
        entries.append(Entry(len(entries) + 1, fact, head))
    return LedgerSeen(tuple(entries))


def changed_node(world: World, number: int = 0, **fields: Any) -> World:
    """Return the world with one node of its first cluster changed."""
    first, *others = world.clusters
    all_nodes = list(first.nodes or ())
    all_nodes[number] = replace(all_nodes[number], **fields)
    return replace(world, clusters=(replace(first, nodes=tuple(all_nodes)), *others))


def changed_namespace(world: World, **fields: Any) -> World:
    """Return the world with the first namespace of its first cluster changed."""
    first, *others = world.clusters
    namespace, *rest = first.namespaces or ()
    seen = (replace(namespace, **fields), *rest)
    return replace(world, clusters=(replace(first, namespaces=seen), *others))


def read_as(world: World, name: str) -> World:
    """Return the world with its first cluster read by another lease alone: its own lease has no credential."""
    other = as_lease(lease(name))
    seen = changed_cluster(world, lease_uids=frozenset({LeaseUID(other.metadata.uid)}))
    unknown = tuple(Unknown(f"lease {x.metadata.name}", "no credential") for x in world.leases)
    return replace(seen, leases=(*world.leases, other), unknown=unknown)


def changed_cluster(world: World, **fields: Any) -> World:
    """Return the world with its first cluster changed."""
    first, *others = world.clusters
    return replace(world, clusters=(replace(first, **fields), *others))


def _cluster(each: GpuLease, found: list[NodeState], claims: tuple[GpuClaim, ...]) -> ClusterSeen:
    lease_uid = LeaseUID(each.metadata.uid)
    books: dict[NodeUID, list[tuple[GpuClaim, int]]] = defaultdict(list)
    for claim_ in claims:
        for place in places_of(claim_).values():
            books[NodeUID(place.node_uid)].append((claim_, place.gpus))
    return ClusterSeen(
        uid=ClusterUID(uid_of(f"cluster of {each.metadata.name}")),
        name=each.metadata.name,
        lease_uids=frozenset({lease_uid}),
        nodes=tuple(_node(node, lease_uid, books[node.uid]) for node in found),
        namespaces=tuple(seen for c in claims for seen in _namespaces(c, lease_uid) if holds(c)),
        pods=(),
    )


def _node(node: NodeState, lease_uid: LeaseUID, holders: list[tuple[GpuClaim, int]]) -> NodeSeen:
    tenants = {c.status.allocation.tenant_uid for c, _ in holders if c.status.allocation}
    shared = node.sharing == "AnyTenant"
    return NodeSeen(
        name=node.name,
        uid=node.uid,
        gpus=node.gpus,
        lease_uid=lease_uid,
        pool=lease_uid,
        book=",".join(f"{uid(c)}={gpus}" for c, gpus in holders),
        claim_labels=frozenset(uid(c) for c, _ in holders),
        tenant_uid=TenantUID(min(tenants)) if tenants and not shared else None,
        sharing=node.sharing,
    )


def _namespaces(each: GpuClaim, lease_uid: LeaseUID) -> Iterable[NamespaceSeen]:
    allocation = each.status.allocation
    if allocation is None:
        return
    gpus: dict[int, int] = defaultdict(int)
    for place in places_of(each).values():
        if place.lease_uid == lease_uid:
            gpus[place.home or allocation.sequence] += place.gpus
    for home, count in gpus.items():
        yield NamespaceSeen(
            name=namespace_name(each.metadata.uid, home),
            claim_uid=uid(each),
            has_quota=True,
            quota_gpus=count,
            is_quota_live=True,
            has_policy=True,
            has_account=is_bound(each),
            has_binding=is_bound(each),
        )


def take(each: GpuClaim, at_ms: Millis = LATER) -> Take:
    """Return the decision to take a deleted claim's GPUs back."""
    return Take(uid(each), ReleaseCause.DELETED, at_ms)
