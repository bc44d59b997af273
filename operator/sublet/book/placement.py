"""Finding a place: hard constraints first, then the best of what is left.

Order of choice (20-book): fewest failure domains (a cluster is the widest, then its zones), lowest marginal cost to
us, least fragmentation (NVLink domains stay whole, then nodes), the lease that ends soonest after the claim, then names,
so that the same input gives the same place.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from sublet.api.gpuclaim import Booking
from sublet.api.ids import LeaseUID
from sublet.api.relocation import PlacedNode, ReleaseCause
from sublet.api.times import Millis
from sublet.api.topology import Scope
from sublet.book.demand import Demand
from sublet.book.domains import must_have_domain, rooms_in_one, would_like_domain
from sublet.book.inventory import NodeState
from sublet.book.pools import NO_POOL, Pool
from sublet.book.shape import Shape, shapes_on, would_like_one_node
from sublet.book.spread import Room, rooms_for
from sublet.book.steps import FOREVER
from sublet.book.supply import LeaseSupply


@dataclass(frozen=True, slots=True)
class Place:
    """Nodes of a lease, and how many GPUs of each: one known node, or a number of them that is promised ahead."""

    supply: LeaseSupply
    gpus: int
    node: NodeState | None
    nodes: int = 1
    pool: Pool = NO_POOL
    """What promised nodes have in common."""

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
            domain=self.pool.domain or None,
            memory_mi_b=self.pool.memory_mib or None,
        )

    @property
    def domain(self) -> str:
        """Return the NVLink domain, empty if it isn't known."""
        return (self.node.clique or "") if self.node is not None else self.pool.domain

    @property
    def zone(self) -> tuple[str, str]:
        """Return its failure domain; of a promise only the cluster is known."""
        zone = self.supply.zone_of(self.node) if self.node is not None else ""
        return (self.supply.cluster, zone)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A feasible set of places."""

    places: tuple[Place, ...]
    intrudes: int = 0
    """Free nodes of NVLink domains that it takes without needing a domain."""
    breaks: bool = False
    """It takes a part of a node that was whole."""
    left: int = 0
    """GPUs of a broken node, or of broken NVLink domains, that stay free."""
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
    def rank(self) -> tuple[int, int, Decimal, int, bool, int, Millis, tuple[tuple[str, str], ...]]:
        """Return the key by which the smallest candidate wins."""
        supplies = self.supplies
        return (
            len({s.cluster for s in supplies}),
            len({p.zone for p in self.places}),
            sum((p.supply.marginal_price * p.gpus * p.nodes for p in self.places), Decimal(0)),
            self.intrudes,
            self.breaks,
            self.left,
            min(s.ends_ms for s in supplies),
            tuple(sorted((s.alias, s.uid) for s in supplies)),
        )


def find_place(
    demand: Demand, supplies: Iterable[LeaseSupply], domain: str | None = None
) -> Candidate | None:
    """Return the best place on these leases, None if there is none. Hard constraints were seen to before.

    `domain`: whole nodes are looked for in this NVLink domain alone, and no parts.
    """
    by_shape: dict[Shape, list[LeaseSupply]] = {}
    for supply in supplies:
        sizes = supply.sizes_at(demand.start_ms, demand.memory_mib)
        for shape in shapes_on(demand.claim, sizes):
            by_shape.setdefault(shape, []).append(supply)
    found: list[Candidate] = []  # in one NVLink domain, before the wide ones are added
    wide: list[tuple[Shape, list[LeaseSupply]]] = []
    for shape, fitting in by_shape.items():
        if shape.is_part:
            takes_part = domain is None and demand.is_alone
            found += _parts(demand, shape, fitting) if takes_part else []
        elif domain is not None:
            found += _in_one_domain(demand, shape, fitting, domain)
        elif shape.nodes == 1:
            found += _whole_nodes(demand, shape, fitting)
        elif must_have_domain(demand):
            found += _in_one_domain(demand, shape, fitting)
        elif would_like_domain(demand):
            found += _in_one_domain(demand, shape, fitting)
            wide.append((shape, fitting))
        else:
            wide.append((shape, fitting))
    if not (found and would_like_domain(demand)):
        found += [c for each in wide for c in _whole_nodes(demand, *each)]
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
            slot = supply.slot_for(shape.gpus, demand.start_ms, until_ms, demand.memory_mib)
            if slot is not None:
                place = Place(supply, shape.gpus, None, pool=slot)
                found.append(_part(place, breaks=True, left=slot.size - shape.gpus))
            continue
        if supply.headroom(demand.start_ms, until_ms) < shape.gpus:
            continue

        def may_have(
            node: NodeState, supply: LeaseSupply = supply, until_ms: Millis = until_ms
        ) -> bool:
            return (node.memory_mib or 0) >= demand.memory_mib and supply.may_have(node, until_ms)

        part = supply.free.part(shape.gpus, demand.uid, demand.tenant_uid, may_have)
        if part is not None:
            place = Place(supply, shape.gpus, part.node)
            found.append(_part(place, breaks=part.breaks, left=part.left))
    return found


def _part(place: Place, *, breaks: bool, left: int) -> Candidate:
    return Candidate((place,), int(breaks and place.domain != ""), breaks=breaks, left=left)


def _whole_nodes(demand: Demand, shape: Shape, supplies: Sequence[LeaseSupply]) -> list[Candidate]:
    """Return the best places of whole nodes: on each lease alone, or over several if none has room alone."""
    found = [
        rooms for group in _groups(demand, supplies) for rooms in rooms_for(demand, shape, group)
    ]
    chosen = [rooms for rooms in found if len(rooms) == 1] or found
    return [_intruding(_taken(demand, shape, rooms)) for rooms in chosen]


def _in_one_domain(
    demand: Demand, shape: Shape, supplies: Sequence[LeaseSupply], name: str | None = None
) -> list[Candidate]:
    """Return places within one NVLink domain, each of the smallest that suffices."""
    return [
        Candidate(_taken(demand, shape, rooms), left=left * shape.gpus)
        for rooms, left in rooms_in_one(demand, shape, supplies, name)
    ]


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


def _taken(demand: Demand, shape: Shape, rooms: Iterable[Room]) -> tuple[Place, ...]:
    """Return the places in rooms: known nodes, or nodes that are decided on later."""
    take = _promised if demand.is_ahead else _on_one
    return tuple(place for room in rooms for place in take(demand, shape, room))


def _intruding(places: tuple[Place, ...]) -> Candidate:
    """Return a candidate that needs no NVLink domain, with what it takes of them and leaves in them."""
    taken: Counter[tuple[LeaseUID, Pool]] = Counter()
    by_uid = {place.supply.uid: place.supply for place in places}
    for place in places:
        if place.domain:
            pool = (
                place.supply.pools.by_node[place.node.uid] if place.node is not None else place.pool
            )
            taken[place.supply.uid, pool] += place.nodes
    left = sum(
        max(0, by_uid[uid].free.count(pool) - nodes) * pool.size
        for (uid, pool), nodes in taken.items()
    )
    return Candidate(places, intrudes=taken.total(), left=left)


def _promised(demand: Demand, shape: Shape, room: Room) -> list[Place]:
    """Take nodes that are decided on later, of as few NVLink domains that are whole as possible."""
    places: list[Place] = []
    want = room.nodes
    for pool, nodes in room.supply.usable(room.wanted, demand.start_ms, room.until_ms):
        if take := min(want, nodes):
            places.append(Place(room.supply, shape.gpus, None, take, pool))
            want -= take
    return places


def _on_one(demand: Demand, shape: Shape, room: Room) -> list[Place]:
    """Take whole nodes that are free now."""
    key = ("taken", room.wanted, room.nodes, demand.start_ms, room.until_ms)
    nodes = room.supply.memo.of(key, _nodes_of, room, demand.start_ms)
    return [Place(room.supply, shape.gpus, node) for node in nodes]


def _nodes_of(room: Room, start_ms: Millis) -> list[NodeState]:
    """Return nodes from as few zones as possible: of the smallest zone that suffices, else of the largest first.

    In a zone nodes without an NVLink domain go first, then those of the domain with the fewest.
    """
    free = room.supply.free
    usable = dict(room.supply.usable(room.wanted, start_ms, room.until_ms))
    in_zones = {pool: free.zones(pool) for pool in usable}  # pool -> zone -> nodes
    chosen: list[NodeState] = []
    done: set[str] = set()
    while len(chosen) < room.nodes:
        want = room.nodes - len(chosen)
        zones: Counter[str] = Counter()
        for pool, found in in_zones.items():
            zones.update({z: min(n, usable[pool]) for z, n in found.items() if z not in done})
        enough = [z for z in zones if zones[z] >= want]
        zone = (
            min(enough, key=lambda z: (zones[z], z))
            if enough
            else min(zones, key=lambda z: (-zones[z], z))
        )
        done.add(zone)
        for pool, found in in_zones.items():
            take = min(want, usable[pool], found.get(zone, 0))
            if take:
                chosen += free.whole_nodes(pool, zone, take)
                usable[pool] -= take
                want -= take
    return chosen
