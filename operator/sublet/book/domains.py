"""NVLink domains: whole nodes of one domain for claims that need them, out of the smallest domain that suffices.

A domain is the nodes with one `nvidia.com/gpu.clique` in one cluster, over all its leases. A node without that label is
in a domain that nobody knows: by itself it is always within one, two such nodes never are.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from sublet.api.topology import Scope
from sublet.book.demand import Demand
from sublet.book.pools import Wanted
from sublet.book.shape import Shape
from sublet.book.spread import Room, rooms_for
from sublet.book.supply import LeaseSupply


@dataclass(frozen=True, slots=True)
class Domain:
    """One NVLink domain, as far as some leases have nodes of it."""

    cluster: str
    name: str
    supplies: tuple[LeaseSupply, ...]
    nodes: int
    """Nodes of the size that is asked for."""


def must_have_domain(demand: Demand) -> bool:
    """Say whether several nodes of a claim are in one NVLink domain or nowhere."""
    return demand.in_domain or demand.claim.spec.topology.must_be(Scope.NVLINK_DOMAIN)


def would_like_domain(demand: Demand) -> bool:
    """Say whether a claim takes one NVLink domain before several places, but those before none."""
    return demand.claim.spec.topology.scope is Scope.NVLINK_DOMAIN and not must_have_domain(demand)


def rooms_in_one(
    demand: Demand, shape: Shape, supplies: Sequence[LeaseSupply], name: str | None = None
) -> Iterator[tuple[list[Room], int]]:
    """Yield nodes of one domain each, and how many it has left: of those of the same leases the smallest that suffices.

    `name`: of that domain only.
    """
    served: set[tuple[str, ...]] = set()
    domains = free_in(demand, shape.gpus, supplies)
    enough = (d for d in domains if d.nodes >= shape.nodes and name in (None, d.name))
    for domain in sorted(enough, key=lambda d: (d.nodes, d.cluster, d.name)):
        leases = tuple(s.uid for s in domain.supplies)
        if leases in served:
            continue
        for rooms in rooms_for(demand, shape, domain.supplies, domain.name):
            served.add(leases)
            yield rooms, domain.nodes - shape.nodes


def free_in(demand: Demand, size: int, supplies: Iterable[LeaseSupply]) -> list[Domain]:
    """Return the domains with nodes that are free at a claim's start; the claim's end may leave it fewer."""
    wanted = Wanted(size, demand.memory_mib)
    return _gathered(
        (supply, pool.domain, nodes)
        for supply in supplies
        for pool, nodes in supply.free_at(wanted, demand.start_ms)
    )


def known_in(demand: Demand, size: int, supplies: Iterable[LeaseSupply]) -> list[Domain]:
    """Return the domains with all their nodes, free or not."""
    wanted = Wanted(size, demand.memory_mib)
    return _gathered(
        (supply, pool.domain, nodes)
        for supply in supplies
        for pool, nodes in supply.pools.nodes.items()
        if wanted.has(pool)
    )


def largest(domains: Iterable[Domain]) -> int:
    """Return how many nodes the largest of these domains has."""
    return max((d.nodes for d in domains), default=0)


def _gathered(found: Iterable[tuple[LeaseSupply, str, int]]) -> list[Domain]:
    """Return the domains of nodes of leases; nodes without a domain are left out."""
    nodes: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)  # domain -> lease -> nodes
    by_uid: dict[str, LeaseSupply] = {}
    for supply, name, count in found:
        if name:
            here = nodes[supply.cluster, name]
            here[supply.uid] = here.get(supply.uid, 0) + count
            by_uid[supply.uid] = supply
    return [
        Domain(cluster, name, tuple(by_uid[uid] for uid in sorted(here)), sum(here.values()))
        for (cluster, name), here in nodes.items()
    ]
