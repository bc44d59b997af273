"""What a claim's wishes for closeness and spread lack: in numbers, and whether time could mend it. Pure.

Neither NVLink domains nor landlords are named here: a tenant is told how many there are.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sublet.api.times import Millis
from sublet.api.wording import how_many
from sublet.book.demand import Demand
from sublet.book.domains import Domain, free_in, known_in, largest, must_have_domain
from sublet.book.pools import Wanted
from sublet.book.shape import MAX_NODES, Shape, shapes_on
from sublet.book.spread import most_nodes
from sublet.book.supply import LeaseSupply


@dataclass(frozen=True, slots=True)
class Gap:
    """What is missing; `for_good`: it would be with every node free, too."""

    message: str
    for_good: bool


def gap_of(demand: Demand, supplies: Sequence[LeaseSupply]) -> Gap | None:
    """Return what closeness or spread lacks on these leases, None if that isn't what is missing."""
    sizes = {s for x in supplies for s in x.sizes_at(demand.start_ms, demand.memory_mib)}
    shapes = shapes_on(demand.claim, frozenset(sizes))
    if not shapes:
        return None
    gaps = [_gap(demand, shape, supplies) for shape in shapes]
    found = [gap for gap in gaps if gap is not None]
    if len(found) < len(gaps):
        return None
    return min(found, key=lambda gap: gap.for_good)


def room_in(demand: Demand, size: int, domain: Domain) -> int:
    """Return how many nodes of a domain a claim may have for its whole time."""
    wanted = Wanted(size, demand.memory_mib, domain.name)
    return sum(
        s.nodes_for(wanted, size, demand.start_ms, demand.until_on(s.ends_ms))
        for s in domain.supplies
    )


def rooms_in_domains(demand: Demand, size: int, supplies: Iterable[LeaseSupply]) -> list[int]:
    """Return how many nodes each domain has for a claim's whole time."""
    return [room_in(demand, size, domain) for domain in free_in(demand, size, supplies)]


def spread_sizes(demand: Demand, size: int, supplies: Sequence[LeaseSupply]) -> Iterable[int]:
    """Yield smaller numbers of nodes that there may be room for without giving a landlord too much, largest first."""
    placement, wanted = demand.claim.spec.placement, Wanted(size, demand.memory_mib)
    at_once = Millis(demand.start_ms + 1)  # an open-ended claim may end with another lease
    rooms = _by_provider((s, s.nodes_for(wanted, size, demand.start_ms, at_once)) for s in supplies)
    percent = placement.max_share_per_provider_percent
    for nodes in range(min(rooms.total(), MAX_NODES), placement.least_nodes - 1, -1):
        if _within_shares(rooms, most_nodes(nodes, percent)) >= nodes:
            yield nodes


def _gap(demand: Demand, shape: Shape, supplies: Sequence[LeaseSupply]) -> Gap | None:
    if shape.nodes > 1 and must_have_domain(demand):
        return _domain_gap(demand, shape, supplies)
    if demand.claim.spec.placement.is_spread:
        return _clusters_gap(demand, shape, supplies) or _share_gap(demand, shape, supplies)
    return None


def _domain_gap(demand: Demand, shape: Shape, supplies: Sequence[LeaseSupply]) -> Gap | None:
    known = largest(known_in(demand, shape.gpus, supplies))
    if not known:
        return Gap("none of these nodes says in which NVLink domain it is", for_good=True)
    if known < shape.nodes:
        return Gap(
            f"no NVLink domain has {how_many(shape.nodes, 'node')}; the largest has {known}",
            for_good=True,
        )
    free = sorted(free_in(demand, shape.gpus, supplies), key=lambda d: -d.nodes)
    most = 0
    for domain in free:
        if domain.nodes <= most:
            break
        most = max(most, room_in(demand, shape.gpus, domain))
    if most >= shape.nodes:
        return None
    return Gap(
        f"no NVLink domain has {how_many(shape.nodes, 'node')} free; the largest has {most}",
        for_good=False,
    )


def _clusters_gap(demand: Demand, shape: Shape, supplies: Sequence[LeaseSupply]) -> Gap | None:
    least = demand.claim.spec.placement.min_clusters
    wanted = Wanted(shape.gpus, demand.memory_mib)
    known = {s.cluster for s in supplies if s.pools.suiting(wanted)}
    if len(known) < least:
        text = f"minClusters is {least}, and the GPUs that match are in {len(known)}"
        return Gap(text, for_good=True)
    free = {s.cluster for s in supplies if s.free_at(wanted, demand.start_ms)}
    if len(free) < least:
        return Gap(f"minClusters is {least}, and nodes are free in {len(free)}", for_good=False)
    return None


def _share_gap(demand: Demand, shape: Shape, supplies: Sequence[LeaseSupply]) -> Gap | None:
    percent = demand.claim.spec.placement.max_share_per_provider_percent
    most, wanted = most_nodes(shape.nodes, percent), Wanted(shape.gpus, demand.memory_mib)
    rule = f"one provider may have {most} of its {how_many(shape.nodes, 'node')}"
    known = _by_provider(
        (s, sum(n for pool, n in s.pools.nodes.items() if wanted.has(pool))) for s in supplies
    )
    if (nodes := _within_shares(known, most)) < shape.nodes:
        return Gap(f"{rule}, and all providers together have {nodes} so", for_good=True)
    free = _by_provider(
        (s, s.nodes_for(wanted, wanted.size, demand.start_ms, demand.until_on(s.ends_ms)))
        for s in supplies
    )
    if (nodes := _within_shares(free, most)) < shape.nodes:
        return Gap(f"{rule}, and {nodes} are free so", for_good=False)
    return None


def _by_provider(rooms: Iterable[tuple[LeaseSupply, int]]) -> Counter[str]:
    found: Counter[str] = Counter()
    for supply, nodes in rooms:
        found[supply.lease.spec.provider] += nodes
    return found


def _within_shares(by_provider: Counter[str], most: int) -> int:
    return sum(min(most, nodes) for nodes in by_provider.values())
