"""Whole nodes over several leases: for claims that no lease has room for alone.

Which leases may join in one claim: one cluster is one namespace of the claim with one set of rights, and an alias names
one cluster in the tenant's kubeconfig. The search is greedy for few leases and few clusters and goes back where that
leads nowhere, so that a claim is refused only if no leases that may join have room for it.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from sublet.api.lease_terms import TenantAccess
from sublet.api.times import Millis
from sublet.book.demand import Demand
from sublet.book.shape import Shape
from sublet.book.supply import LeaseSupply


@dataclass(frozen=True, slots=True)
class Room:
    """How many nodes of one lease a claim may have."""

    supply: LeaseSupply
    nodes: int


def room_on(supply: LeaseSupply, shape: Shape, from_ms: Millis, until_ms: Millis) -> Room:
    """Return how many whole nodes a lease has free within its commitment for a window."""
    return Room(supply, supply.nodes_for(shape.gpus, shape.gpus, from_ms, until_ms))


def over_several(demand: Demand, shape: Shape, supplies: Sequence[LeaseSupply]) -> list[Room]:
    """Return how many nodes to take of which leases, [] if they don't have enough.

    An open-ended claim ends with the first of its leases, so one that ends sooner may give it room on another whose
    commitment steps down later: each end that it can have is tried, the latest first.
    """
    ends = {s.uid: demand.until_on(s.ends_ms) for s in supplies}  # lease -> end of the claim on it
    for end in sorted(set(ends.values()), reverse=True):
        begin = demand.start_ms
        found = (room_on(s, shape, begin, end) for s in supplies if ends[s.uid] >= end)
        rooms = [room for room in found if room.nodes]
        if _at_most(rooms) < shape.nodes:
            continue
        # one of them must end then, or the claim would end later than was looked at
        for first in _in_order(r for r in rooms if ends[r.supply.uid] == end):
            rooms.remove(first)
            if chosen := _from(first, rooms, shape.nodes):
                return chosen
    return []


def _from(
    room: Room, others: Iterable[Room], want: int, used: frozenset[str] = frozenset()
) -> list[Room]:
    """Return so many nodes of this lease and of others that may join it, [] if there aren't any."""
    if room.nodes >= want:
        return [Room(room.supply, want)]
    want -= room.nodes
    used |= {room.supply.cluster}
    rest = [other for other in others if may_join(other.supply, room.supply)]
    while _at_most(rest) >= want:
        best = min(rest, key=lambda r: _rank(r, want, used))
        rest.remove(best)
        if more := _from(best, rest, want, used):
            return [room, *more]
    return []


def _in_order(rooms: Iterable[Room]) -> list[Room]:
    return sorted(rooms, key=lambda r: (-r.nodes, r.supply.marginal_price, *_name(r.supply)))


def _rank(
    room: Room, want: int, used: frozenset[str]
) -> tuple[bool, bool, Decimal | int, Decimal | int, Millis, str, str]:
    """Smallest first: the cheapest that suffices, else the largest; in a cluster that is used anyway."""
    enough, price = room.nodes >= want, room.supply.marginal_price
    first, second = (price, room.nodes) if enough else (-room.nodes, price)
    return (not enough, room.supply.cluster not in used, first, second, *_name(room.supply))


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
