"""Whole nodes over several leases: for claims that no lease has room for alone, or that must not be in one place.

Which leases may join in one claim: one cluster is one namespace of the claim with one set of rights, and an alias names
one cluster in the tenant's kubeconfig. Of a claim that is to be spread no landlord has more than its share, and at
least so many clusters have a part. The search is greedy for few leases and few clusters and goes back where that leads
nowhere, so that a claim is refused only if no leases that may join have room for it; it gives up after many turns.

Whether a set of leases suffices is exact: nodes may be taken of each lease up to its room and of each landlord up to
its share, so any choice of one node in each of enough clusters can be filled up to the most that the set has.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from sublet.api.lease_terms import TenantAccess
from sublet.api.times import Millis
from sublet.book.demand import Demand
from sublet.book.pools import Wanted
from sublet.book.shape import Shape
from sublet.book.supply import LeaseSupply

_TURNS: Final = 2_000
"""How often one search takes another lease before it gives up."""


@dataclass(frozen=True, slots=True)
class Room:
    """How many nodes of one lease a claim may have until an instant."""

    supply: LeaseSupply
    nodes: int
    wanted: Wanted
    until_ms: Millis

    @property
    def cluster(self) -> str:
        """Return the cluster that they are in."""
        return self.supply.cluster

    @property
    def provider(self) -> str:
        """Return the landlord who bills us for them."""
        return self.supply.lease.spec.provider

    def of(self, nodes: int) -> "Room":
        """Return so many of these nodes."""
        return Room(self.supply, nodes, self.wanted, self.until_ms)


def rooms_for(
    demand: Demand, shape: Shape, supplies: Sequence[LeaseSupply], domain: str | None = None
) -> list[list[Room]]:
    """Return the ways to have whole nodes: of each lease alone, or over several if none has room alone.

    `domain`: of one NVLink domain only.
    """
    wanted = Wanted(shape.gpus, demand.memory_mib, domain)
    rooms = [_room(s, wanted, demand.start_ms, demand.until_on(s.ends_ms)) for s in supplies]
    if not demand.claim.spec.placement.is_spread:
        alone = [[room.of(shape.nodes)] for room in rooms if room.nodes >= shape.nodes]
        if alone:
            return alone
    if demand.asked_until_ms is not None and sum(r.nodes for r in rooms) < shape.nodes:
        return []
    found = _over_several(demand, shape, supplies, wanted)
    return [found] if found else []


def most_nodes(nodes: int, percent: int) -> int:
    """Return how many of so many nodes one landlord may provide."""
    return nodes * percent // 100


def _room(supply: LeaseSupply, wanted: Wanted, from_ms: Millis, until_ms: Millis) -> Room:
    """Return how many whole nodes a lease has free within its commitment for a window."""
    nodes = supply.nodes_for(wanted, wanted.size, from_ms, until_ms)
    return Room(supply, nodes, wanted, until_ms)


def _over_several(
    demand: Demand, shape: Shape, supplies: Sequence[LeaseSupply], wanted: Wanted
) -> list[Room]:
    """Return how many nodes to take of which leases, [] if they don't have enough.

    An open-ended claim ends with the first of its leases, so one that ends sooner may give it room on another whose
    commitment steps down later: each end that it can have is tried, the latest first.
    """
    placement = demand.claim.spec.placement
    most = most_nodes(shape.nodes, placement.max_share_per_provider_percent)
    search = _Search(shape.nodes, most, placement.min_clusters)
    ends = {s.uid: demand.until_on(s.ends_ms) for s in supplies}  # lease -> end of the claim on it
    for end in sorted(set(ends.values()), reverse=True):
        begin = demand.start_ms
        found = (_room(s, wanted, begin, end) for s in supplies if ends[s.uid] >= end)
        rooms = [room for room in found if room.nodes]
        # one of them must end then, or the claim would end later than was looked at
        for first in _in_order(r for r in rooms if ends[r.supply.uid] == end):
            if not search.may_suffice(rooms):
                break
            rooms.remove(first)
            if chosen := search.with_more([first], rooms):
                return chosen
    return []


class _Search:
    """Looks for leases that have so many nodes together, at most so many of one landlord, in enough clusters."""

    def __init__(self, want: int, most: int, clusters: int) -> None:
        self._want = want
        self._most = most
        """Of one landlord."""
        self._clusters = clusters
        self._turns = _TURNS

    def with_more(self, chosen: list[Room], others: Iterable[Room]) -> list[Room]:
        """Return nodes of these leases and of others that may join them, [] if there aren't enough; of the first always."""
        cover = self._cover(chosen)
        missing = self._want - self._within_shares(chosen)
        if missing <= 0 and len(cover) >= self._clusters:
            return self._shared_out(chosen, cover)
        rest = [other for other in others if may_join(other.supply, chosen[-1].supply)]
        used = {room.cluster for room in chosen}
        new = len(used) < self._clusters
        while rest and self._turns > 0 and self.may_suffice([*chosen, *rest]):
            self._turns -= 1
            best = min(rest, key=lambda r: _rank(r, missing, used, to_new=new))
            rest.remove(best)
            if found := self.with_more([*chosen, best], rest):
                return found
        return []

    def may_suffice(self, rooms: Sequence[Room]) -> bool:
        """Say no if these leases, or any of them that may join, certainly have too little."""
        return (
            min(_at_most(rooms), self._within_shares(rooms)) >= self._want
            and len({room.cluster for room in rooms}) >= self._clusters
        )

    def _within_shares(self, rooms: Iterable[Room]) -> int:
        """Return the nodes of these leases, of each landlord no more than its share."""
        by_provider: Counter[str] = Counter()
        for room in rooms:
            by_provider[room.provider] += room.nodes
        return sum(min(self._most, nodes) for nodes in by_provider.values())

    def _cover(self, chosen: Sequence[Room]) -> dict[str, Room]:
        """Return cluster -> a lease in it, for as many clusters as landlords' shares allow; the first one stays."""
        found = {chosen[0].cluster: chosen[0]}
        by_cluster: dict[str, list[Room]] = defaultdict(list)
        for room in chosen:
            by_cluster[room.cluster].append(room)

        def covers(cluster: str, tried: set[str]) -> bool:
            for room in by_cluster[cluster]:
                if room.provider in tried:
                    continue
                tried.add(room.provider)
                users = [c for c, r in found.items() if r.provider == room.provider]
                movable = (c for c in users if c != chosen[0].cluster)
                if len(users) < self._most or any(covers(c, tried) for c in movable):
                    found[cluster] = room
                    return True
            return False

        for cluster in by_cluster:
            if len(found) < self._clusters and cluster not in found:
                covers(cluster, set())
        return found

    def _shared_out(self, chosen: Sequence[Room], cover: dict[str, Room]) -> list[Room]:
        """Return how many nodes to take of each lease: one in each cluster that is needed, then in their order."""
        taken = {room.supply.uid: 1 for room in cover.values()}  # lease -> nodes
        by_provider = Counter(room.provider for room in cover.values())
        for room in chosen:
            here = taken.get(room.supply.uid, 0)
            left = min(self._want - by_provider.total(), self._most - by_provider[room.provider])
            more = min(room.nodes - here, left)
            taken[room.supply.uid] = here + more
            by_provider[room.provider] += more
        return [room.of(nodes) for room in chosen if (nodes := taken[room.supply.uid])]


def _in_order(rooms: Iterable[Room]) -> list[Room]:
    return sorted(rooms, key=lambda r: (-r.nodes, r.supply.marginal_price, *_name(r.supply)))


def _rank(
    room: Room, want: int, used: set[str], *, to_new: bool
) -> tuple[bool, bool, Decimal | int, Decimal | int, Millis, str, str]:
    """Smallest first: the cheapest that suffices, else the largest; in a cluster that is used anyway, or in a new one."""
    enough, price = room.nodes >= want, room.supply.marginal_price
    first, second = (price, room.nodes) if enough else (-room.nodes, price)
    return (not enough, (room.cluster in used) is to_new, first, second, *_name(room.supply))


def may_join(one: LeaseSupply, other: LeaseSupply) -> bool:
    """Say whether a claim may span these leases."""
    if one.cluster == other.cluster:
        return one.lease.spec.tenant_access == other.lease.spec.tenant_access
    return one.alias != other.alias


def _at_most(rooms: Iterable[Room]) -> int:
    """Return a number of nodes that no leases which may join exceed: of those that exclude each other, the most count."""
    by_cluster: dict[str, Counter[TenantAccess]] = defaultdict(Counter)
    by_alias: dict[str, Counter[str]] = defaultdict(Counter)
    for room in rooms:
        supply = room.supply
        by_cluster[supply.cluster][supply.lease.spec.tenant_access] += room.nodes
        by_alias[supply.alias][supply.cluster] += room.nodes
    return min(
        sum(max(each.values()) for each in groups.values()) for groups in (by_cluster, by_alias)
    )


def _name(supply: LeaseSupply) -> tuple[Millis, str, str]:
    return (supply.ends_ms, supply.alias, supply.uid)
