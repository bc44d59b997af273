"""Finding a place: hard constraints first, then the best of what is left.

Order of choice (20-book): fewest failure domains, lowest marginal cost to us, least fragmentation, the lease that
ends soonest after the claim, then names, so that the same input gives the same place.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from sublet.api.gpuclaim import PendingReason, PlacedNode, ReleaseCause
from sublet.api.times import Millis
from sublet.book.demand import Demand
from sublet.book.holdings import FOREVER
from sublet.book.inventory import NodeState, Reach
from sublet.book.shape import Shape, shape_on
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
    leftover: int
    """Free GPUs left on a node that was whole: what the choice breaks."""

    @property
    def rank(self) -> tuple[int, Decimal, int, int, tuple[str, ...]]:
        """Return the key by which the smallest candidate wins."""
        leases = {p.supply.uid: p.supply for p in self.places}
        domains = len({(p.supply.uid, p.node.zone) for p in self.places})
        cost = sum((s.marginal_price for s in leases.values()), Decimal(0))
        end = min(s.ends_ms for s in leases.values())
        return (domains, cost, self.leftover, end, tuple(sorted(s.alias for s in leases.values())))


@dataclass(slots=True)
class Search:
    """What a search found out, for the refusal if it finds no place."""

    causes: Counter[PendingReason] = field(default_factory=Counter)
    """cause -> GPUs of leases that it rules out"""
    sizes: set[int] = field(default_factory=set)
    fits: list[LeaseSupply] = field(default_factory=list)
    """Leases that only capacity keeps from serving the claim."""
    shaped: bool = False


def find_place(
    demand: Demand, supplies: Sequence[LeaseSupply], now_ms: Millis
) -> Candidate | Search:
    """Return the best place for a demand, or what stood in the way."""
    search = Search()
    for supply in supplies:
        cause = _hard_cause(demand, supply, now_ms)
        if cause is None:
            search.fits.append(supply)
            search.sizes |= supply.sizes
        else:
            search.causes[cause] += max(1, sum(n.gpus for n in supply.inventory.nodes.values()))
    candidates = []
    for size in sorted(search.sizes):
        shape = shape_on(demand.claim, size)
        if shape is not None:
            search.shaped = True
            candidates += _candidates(demand, shape, search.fits)
    return min(candidates, key=lambda c: c.rank) if candidates else search


def end_of(
    demand: Demand, leases: Sequence[LeaseSupply]
) -> tuple[Millis | None, ReleaseCause | None]:
    """Return when a claim on these leases ends and why: its own duration, the class's longest, or a lease."""
    if demand.asked_until_ms is not None:
        return demand.asked_until_ms, ReleaseCause.COMPLETED
    lease_end = min(s.ends_ms for s in leases)
    own_end = demand.latest_ms if demand.latest_ms is not None else FOREVER
    end = min(lease_end, own_end)
    if end == FOREVER:
        return None, None
    return end, ReleaseCause.COMPLETED if own_end <= lease_end else ReleaseCause.LEASE_ENDED


def _hard_cause(demand: Demand, supply: LeaseSupply, now_ms: Millis) -> PendingReason | None:
    """Return the first hard constraint that a lease breaks, None if only capacity decides."""
    spec, lease, inventory = demand.claim.spec, supply.lease.spec, supply.inventory
    where, place = lease.location, spec.placement
    silent = inventory.reach is not Reach.REACHABLE or not inventory.synced
    broken = (
        (
            set(lease.products).isdisjoint(demand.offer.spec.products),
            PendingReason.NO_MATCHING_LEASE,
        ),
        (not demand.tenant.spec.leases.admits(supply.alias), PendingReason.NO_MATCHING_LEASE),
        (not place.leases.admits(supply.alias), PendingReason.NO_MATCHING_LEASE),
        (
            place.jurisdictions and where.jurisdiction not in place.jurisdictions,
            PendingReason.RESIDENCY_UNMET,
        ),
        (place.regions and where.region not in place.regions, PendingReason.RESIDENCY_UNMET),
        (not supply.is_running, PendingReason.EXCEEDS_LEASE_TERM),
        ((demand.asked_until_ms or now_ms) > supply.ends_ms, PendingReason.EXCEEDS_LEASE_TERM),
        (not lease.accepting_claims, PendingReason.NO_MATCHING_LEASE),
        (silent, PendingReason.LEASE_UNREACHABLE),
        (not inventory.isolation_ready, PendingReason.NO_MATCHING_LEASE),
    )
    return next((cause for fails, cause in broken if fails), None)


def _candidates(demand: Demand, shape: Shape, supplies: Sequence[LeaseSupply]) -> list[Candidate]:
    """Return the feasible places of one shape: the best of each lease alone, else over several leases."""
    alone = []
    room: list[tuple[int, LeaseSupply]] = []
    for supply in supplies:
        until, _ = end_of(demand, [supply])
        headroom = supply.headroom(until or FOREVER)
        if shape.is_part:
            found = _part(demand, shape, supply) if headroom >= shape.gpus else None
        else:
            count = min(supply.whole_count(shape.size), headroom // shape.size)
            room.append((count, supply))
            found = _whole(shape, supply, shape.nodes) if count >= shape.nodes else None
        if found is not None:
            alone.append(found)
    if alone or shape.is_part:
        return alone
    return _spread(shape, room)


def _part(demand: Demand, shape: Shape, supply: LeaseSupply) -> Candidate | None:
    for free in supply.parts(shape.gpus, demand.tenant_uid):
        if free.node.gpus == shape.size:
            leftover = 0 if free.broken else free.gpus - shape.gpus
            return Candidate((Place(supply, free.node, shape.gpus),), leftover)
    return None


def _whole(shape: Shape, supply: LeaseSupply, count: int) -> Candidate:
    """Take whole nodes from as few zones as possible: the smallest zone that suffices, else the largest first."""
    zones = supply.zones(shape.size)
    enough = [z for z in zones if zones[z] >= count]
    if enough:
        order = [min(enough, key=lambda z: (zones[z], z))]
    else:
        order = sorted(zones, key=lambda z: (-zones[z], z))
    chosen: list[NodeState] = []
    for zone in order:
        chosen += supply.whole_nodes(shape.size, zone, count - len(chosen))
    return Candidate(tuple(Place(supply, n, shape.gpus) for n in chosen), 0)


def _spread(shape: Shape, room: list[tuple[int, LeaseSupply]]) -> list[Candidate]:
    """Take whole nodes over several leases, those with most room first, so that they are few."""
    places: list[Place] = []
    for count, supply in sorted(room, key=lambda r: (-r[0], r[1].alias)):
        want = min(count, shape.nodes - len(places))
        if want > 0:
            places += _whole(shape, supply, want).places
    return [Candidate(tuple(places), 0)] if len(places) == shape.nodes else []
