"""Finding a place: hard constraints first, then the best of what is left.

Order of choice (20-book): fewest failure domains (a cluster is the widest, then its zones), lowest marginal cost to
us, least fragmentation, the lease that ends soonest after the claim, then names, so that the same input gives the
same place.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial

from sublet.api.gpuclaim import Booking, Scope
from sublet.api.relocation import PlacedNode, ReleaseCause
from sublet.api.times import Millis
from sublet.book.demand import Demand
from sublet.book.inventory import NodeState
from sublet.book.shape import Shape, shapes_on, would_like_one_node
from sublet.book.spread import Room, over_several, room_on
from sublet.book.steps import FOREVER
from sublet.book.supply import LeaseSupply


@dataclass(frozen=True, slots=True)
class Place:
    """Nodes of a lease, and how many GPUs of each: one known node, or a number of them that is promised ahead."""

    supply: LeaseSupply
    gpus: int
    node: NodeState | None
    nodes: int = 1
    size: int = 0
    """GPUs that a promised node has in all."""

    def as_placement(self) -> PlacedNode:
        """Return a known node as the claim's status says it."""
        if self.node is None:
            raise ValueError("a promise has no node yet")
        return PlacedNode(
            lease=self.supply.alias,
            lease_uid=self.supply.uid,
            product=self.node.product,
            gpus=self.gpus,
            node=self.node.name,
            node_uid=self.node.uid,
        )

    def as_booking(self) -> Booking:
        """Return promised nodes as the claim's status says them."""
        return Booking(
            lease=self.supply.alias,
            lease_uid=self.supply.uid,
            product=self.supply.lease.spec.product,
            nodes=self.nodes,
            gpus_per_node=self.gpus,
        )

    @property
    def zone(self) -> tuple[str, str]:
        """Return its failure domain; of a promise only the cluster is known."""
        zone = self.supply.zone_of(self.node) if self.node is not None else ""
        return (self.supply.cluster, zone)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A feasible set of places."""

    places: tuple[Place, ...]
    breaks: bool = False
    """It takes a part of a node that was whole."""
    left: int = 0
    """GPUs of a broken node that stay free."""
    stops_ms: Millis = FOREVER
    """Before which maintenance it ends, if it has no end of its own."""

    @property
    def nodes(self) -> int:
        """Return the number of nodes."""
        return sum(p.nodes for p in self.places)

    @property
    def supplies(self) -> tuple[LeaseSupply, ...]:
        """Return the leases it uses, each once."""
        return tuple({p.supply.uid: p.supply for p in self.places}.values())

    @property
    def rank(self) -> tuple[int, int, Decimal, bool, int, Millis, tuple[tuple[str, str], ...]]:
        """Return the key by which the smallest candidate wins."""
        supplies = self.supplies
        return (
            len({s.cluster for s in supplies}),
            len({p.zone for p in self.places}),
            sum((p.supply.marginal_price * p.gpus * p.nodes for p in self.places), Decimal(0)),
            self.breaks,
            self.left,
            min(s.ends_ms for s in supplies),
            tuple(sorted((s.alias, s.uid) for s in supplies)),
        )


def find_place(demand: Demand, supplies: Iterable[LeaseSupply]) -> Candidate | None:
    """Return the best place on these leases, None if there is none. Hard constraints were seen to before."""
    by_shape: dict[Shape, list[LeaseSupply]] = {}
    for supply in supplies:
        for shape in shapes_on(demand.claim, supply.sizes_at(demand.start_ms)):
            by_shape.setdefault(shape, []).append(supply)
    found: list[Candidate] = []
    for shape, fitting in by_shape.items():
        find = _parts if shape.is_part else _whole_nodes
        found += find(demand, shape, fitting)
    if would_like_one_node(demand.claim):
        found = [c for c in found if c.nodes == 1] or found
    return min(found, key=lambda c: c.rank, default=None)


def end_of(
    demand: Demand, supplies: Sequence[LeaseSupply]
) -> tuple[Millis | None, ReleaseCause | None]:
    """Return when a claim on these leases ends and why: its own duration, the class's longest, or a lease."""
    lease_end = min(s.ends_ms for s in supplies)
    end = demand.until_on(lease_end)
    if end == FOREVER:
        return None, None
    if end == demand.stops_ms < min(demand.own_end_ms, lease_end):
        return end, ReleaseCause.MAINTENANCE
    completed = demand.own_end_ms <= lease_end
    return end, ReleaseCause.COMPLETED if completed else ReleaseCause.LEASE_ENDED


def _parts(demand: Demand, shape: Shape, supplies: Sequence[LeaseSupply]) -> list[Candidate]:
    """Return each lease's best node for a part; a part that is promised ahead keeps a whole node free."""
    found = []
    for supply in supplies:
        until_ms = demand.until_on(supply.ends_ms)
        if demand.is_ahead:
            slot = supply.slot_for(shape.gpus, 1, demand.start_ms, until_ms)
            if slot is not None:
                place = Place(supply, shape.gpus, None, size=slot)
                found.append(Candidate((place,), breaks=True, left=slot - shape.gpus))
            continue
        if supply.headroom(demand.start_ms, until_ms) < shape.gpus:
            continue
        may_have = partial(supply.may_have, until_ms=until_ms)
        part = supply.free.part(shape.gpus, demand.uid, demand.tenant_uid, may_have)
        if part is not None:
            place = Place(supply, shape.gpus, part.node)
            found.append(Candidate((place,), breaks=part.breaks, left=part.left))
    return found


def _whole_nodes(demand: Demand, shape: Shape, supplies: Sequence[LeaseSupply]) -> list[Candidate]:
    """Return the best place of each lease alone; over several leases only if none has room alone."""
    rooms = [room_on(s, shape, demand.start_ms, demand.until_on(s.ends_ms)) for s in supplies]
    alone = [Room(r.supply, shape.nodes) for r in rooms if r.nodes >= shape.nodes]
    on_one = _promised if demand.is_ahead else _on_one
    if alone:
        return [Candidate(tuple(on_one(shape, room))) for room in alone]
    if demand.asked_until_ms is not None and sum(r.nodes for r in rooms) < shape.nodes:
        return []
    found = [
        tuple(place for room in over_several(demand, shape, group) for place in on_one(shape, room))
        for group in _groups(demand, supplies)
    ]
    return [Candidate(places) for places in found if places]


def _groups(demand: Demand, supplies: Sequence[LeaseSupply]) -> list[list[LeaseSupply]]:
    """Return the sets of leases that a claim may be spread over: those of one cluster, if it must stay in one."""
    topology = demand.claim.spec.topology
    if topology.scope is not Scope.CLUSTER:
        return [list(supplies)]
    groups: dict[str, list[LeaseSupply]] = {}
    for supply in supplies:
        groups.setdefault(supply.cluster, []).append(supply)
    # where it is a wish, the fewest clusters win by rank
    return [*groups.values()] if topology.required else [*groups.values(), list(supplies)]


def _promised(shape: Shape, room: Room) -> list[Place]:
    """Take nodes that are decided on later."""
    return [Place(room.supply, shape.gpus, None, room.nodes, shape.gpus)]


def _on_one(shape: Shape, room: Room) -> list[Place]:
    """Take whole nodes from as few zones as possible: the smallest zone that suffices, else the largest first."""
    free = room.supply.free
    zones = free.zones(shape.gpus)
    places: list[Place] = []
    while len(places) < room.nodes:
        want = room.nodes - len(places)
        enough = [z for z in zones if zones[z] >= want]
        zone = (
            min(enough, key=lambda z: (zones[z], z))
            if enough
            else min(zones, key=lambda z: (-zones[z], z))
        )
        nodes = free.whole_nodes(shape.gpus, zone, min(want, zones.pop(zone)))
        places += [Place(room.supply, shape.gpus, node) for node in nodes]
    return places
