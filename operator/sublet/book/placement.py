"""Finding a place: hard constraints first, then the best of what is left.

Order of choice (20-book): fewest failure domains (a cluster is the widest, then its zones), lowest marginal cost to
us, least fragmentation, the lease that ends soonest after the claim, then names, so that the same input gives the
same place.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from sublet.api.gpuclaim import PlacedNode, ReleaseCause
from sublet.api.times import Millis
from sublet.book.demand import Demand
from sublet.book.inventory import NodeState
from sublet.book.shape import Shape, shapes_on
from sublet.book.steps import FOREVER
from sublet.book.supply import LeaseSupply


@dataclass(frozen=True, slots=True)
class Place:
    """One node of a lease, and how many of its GPUs."""

    supply: LeaseSupply
    node: NodeState
    gpus: int

    def as_api(self) -> PlacedNode:
        """Return it as the claim's status says it."""
        return PlacedNode(
            lease=self.supply.alias,
            lease_uid=self.supply.uid,
            product=self.node.product,
            gpus=self.gpus,
            node=self.node.name,
            node_uid=self.node.uid,
        )


@dataclass(frozen=True, slots=True)
class Candidate:
    """A feasible set of places."""

    places: tuple[Place, ...]
    domains: int
    """Zones that it spreads over."""
    breaks: bool = False
    """It takes a part of a node that was whole."""
    left: int = 0
    """GPUs of a broken node that stay free."""

    @property
    def supplies(self) -> tuple[LeaseSupply, ...]:
        """Return the leases it uses, each once."""
        return tuple({p.supply.uid: p.supply for p in self.places}.values())

    @property
    def rank(self) -> tuple[int, int, Decimal, bool, int, Millis, tuple[tuple[str, str], ...]]:
        """Return the key by which the smallest candidate wins."""
        supplies = self.supplies
        return (
            len(supplies),
            self.domains,
            _cost(self.places),
            self.breaks,
            self.left,
            min(s.ends_ms for s in supplies),
            tuple(sorted((s.alias, s.uid) for s in supplies)),
        )


def find_place(demand: Demand, supplies: Iterable[LeaseSupply]) -> Candidate | None:
    """Return the best place on these leases, None if there is none. Hard constraints were seen to before."""
    by_shape: dict[Shape, list[tuple[LeaseSupply, int]]] = {}  # shape -> leases with their headroom
    for supply in supplies:
        headroom = supply.headroom(demand.until_on(supply.ends_ms))
        for shape in shapes_on(demand.claim, supply.sizes):
            by_shape.setdefault(shape, []).append((supply, headroom))
    found: list[Candidate] = []
    for shape, room in by_shape.items():
        found += _parts(demand, shape, room) if shape.is_part else _whole_nodes(shape, room)
    return min(found, key=lambda c: c.rank, default=None)


def end_of(
    demand: Demand, supplies: Sequence[LeaseSupply]
) -> tuple[Millis | None, ReleaseCause | None]:
    """Return when a claim on these leases ends and why: its own duration, the class's longest, or a lease."""
    lease_end = min(s.ends_ms for s in supplies)
    end = demand.until_on(lease_end)
    if end == FOREVER:
        return None, None
    own_end = demand.asked_until_ms if demand.asked_until_ms is not None else demand.latest_ms
    return end, ReleaseCause.COMPLETED if own_end <= lease_end else ReleaseCause.LEASE_ENDED


def _parts(
    demand: Demand, shape: Shape, room: Iterable[tuple[LeaseSupply, int]]
) -> list[Candidate]:
    """Return each lease's best node for a part."""
    found = []
    for supply, headroom in room:
        part = (
            supply.free.part(shape.gpus, demand.uid, demand.tenant_uid)
            if headroom >= shape.gpus
            else None
        )
        if part is not None:
            place = Place(supply, part.node, shape.gpus)
            found.append(Candidate((place,), domains=1, breaks=part.breaks, left=part.left))
    return found


def _whole_nodes(shape: Shape, room: Iterable[tuple[LeaseSupply, int]]) -> list[Candidate]:
    """Return the best place of each lease alone; over several leases only if none has room alone."""
    counts = [
        (min(supply.free.whole_count(shape.gpus), headroom // shape.gpus), supply)
        for supply, headroom in room
    ]
    alone = [
        _on_one(shape, supply, shape.nodes) for count, supply in counts if count >= shape.nodes
    ]
    if alone:
        return [Candidate(tuple(places), _domains(places)) for places in alone]
    if sum(count for count, _ in counts) < shape.nodes:
        return []
    places = _over_several(shape, [(count, supply) for count, supply in counts if count])
    return [Candidate(tuple(places), _domains(places))] if len(places) == shape.nodes else []


def _on_one(shape: Shape, supply: LeaseSupply, count: int) -> list[Place]:
    """Take whole nodes from as few zones as possible: the smallest zone that suffices, else the largest first."""
    zones = supply.free.zones(shape.gpus)
    places: list[Place] = []
    while len(places) < count:
        want = count - len(places)
        enough = [z for z in zones if zones[z] >= want]
        zone = (
            min(enough, key=lambda z: (zones[z], z))
            if enough
            else min(zones, key=lambda z: (-zones[z], z))
        )
        nodes = supply.free.whole_nodes(shape.gpus, zone, min(want, zones.pop(zone)))
        places += [Place(supply, node, shape.gpus) for node in nodes]
    return places


def _over_several(shape: Shape, room: list[tuple[int, LeaseSupply]]) -> list[Place]:
    """Take whole nodes from as few leases as possible: the largest first, the last one as the cheapest that suffices."""
    places: list[Place] = []
    chosen: list[LeaseSupply] = []
    while room and len(places) < shape.nodes:
        want = shape.nodes - len(places)
        enough = [r for r in room if r[0] >= want]
        count, supply = (
            min(enough, key=lambda r: (r[1].marginal_price, r[0], *_name(r[1])))
            if enough
            else min(room, key=lambda r: (-r[0], r[1].marginal_price, *_name(r[1])))
        )
        places += _on_one(shape, supply, min(want, count))
        chosen.append(supply)
        room = [r for r in room if r[1] is not supply and _may_join(r[1], chosen)]
    return places


def _may_join(supply: LeaseSupply, chosen: Iterable[LeaseSupply]) -> bool:
    """Say whether a claim may span these leases.

    One cluster is one namespace of the claim with one set of rights, and an alias names one cluster in the tenant's
    kubeconfig.
    """
    for other in chosen:
        same_cluster = supply.inventory.cluster_uid == other.inventory.cluster_uid is not None
        if same_cluster and supply.lease.spec.tenant_access != other.lease.spec.tenant_access:
            return False
        if not same_cluster and supply.alias == other.alias:
            return False
    return True


def _domains(places: Iterable[Place]) -> int:
    return len({(p.supply.uid, p.node.zone) for p in places})


def _cost(places: Iterable[Place]) -> Decimal:
    return sum((p.supply.marginal_price * p.gpus for p in places), Decimal(0))


def _name(supply: LeaseSupply) -> tuple[Millis, str, str]:
    return (supply.ends_ms, supply.alias, supply.uid)
