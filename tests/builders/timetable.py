"""A second opinion on the book: an exhaustive search over small fleets, node by node and window by window.

It knows the rules of the book one at a time, tries every distribution over leases and every node for each promise, and
shares no code with it. Times are compared at every edge, so leases may have phases, ends and rests of any length; the
nodes of one lease have one size, and no more nodes come than are taken away later.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import combinations, product

from sublet.api.gpuclaim import GpuClaim
from sublet.api.gpulease import GpuLease, NodeSharing
from sublet.book.view import View

EVER = 10**15
STRICTEST_FIRST = list(NodeSharing)


@dataclass(frozen=True)
class Window:
    """Nodes of one lease that are needed in `[begin, end)`."""

    begin: int
    end: int
    nodes: int
    gpus: int
    """GPUs of each."""


@dataclass
class Stock:
    """One lease: its nodes by name with the instant from which each is wholly free, and what is sold of it."""

    lease: GpuLease
    cluster: str
    size: int
    free_from: dict[str, int]
    on_nodes: dict[str, list[tuple[str, int]]]
    """node -> (tenant, GPUs) of who is on it now"""
    sharing: dict[str, NodeSharing]
    sold: list[Window] = field(default_factory=list)
    """What holders have, nodes 1: it counts for the commitment only."""
    promised: list[Window] = field(default_factory=list)

    @property
    def rest(self) -> int:
        return self.lease.spec.term.quarantine_seconds * 1000

    @property
    def last(self) -> int:
        """Return the first instant at which no claim may run."""
        return self.lease.spec.term.last_usable_ms() or EVER

    def edges(self) -> set[int]:
        phases = {p.start_time for p in self.lease.spec.commitment.phases}
        ends = {w.end + d for w in (*self.sold, *self.promised) for d in (0, self.rest)}
        begins = {w.begin - d for w in self.promised for d in (0, self.rest)}
        return {*phases, *ends, *begins, *self.free_from.values(), self.last} | {
            self.lease.spec.term.start_time
        }

    def is_covered(self, more: Iterable[Window], now: int) -> bool:
        """Say whether no instant of these windows has more sold than is committed."""
        everything = [*self.sold, *self.promised, *more]
        return all(
            sum(w.nodes * w.gpus for w in everything if w.begin <= at < w.end)
            <= self.lease.spec.commitment.gpus_at(at)
            for window in more
            for at in {*self.edges(), now, *(w.begin for w in everything)}
            if window.begin <= at < window.end
        )

    def can_keep(self, more: Iterable[Window] = (), taken: dict[str, int] | None = None) -> bool:
        """Say whether there is a node for each window promised, and these, for its whole length; `taken`: node -> until."""
        free = {**self.free_from, **(taken or {})}
        units = [(w.begin, w.end) for w in (*self.promised, *more) for _ in range(w.nodes)]
        return _has_nodes(sorted(units), tuple(sorted(free.values())), self.rest)


def _has_nodes(units: list[tuple[int, int]], free: tuple[int, ...], rest: int) -> bool:
    if not units:
        return True
    (begin, end), others = units[0], units[1:]
    return any(
        _has_nodes(others, (*free[:i], end + rest, *free[i + 1 :]), rest)
        for i, at in enumerate(free)
        if at <= begin
    )


class Timetable:
    """The leases of a view that may serve its first claim, and what is held and promised of them."""

    def __init__(self, seen: View, asked: GpuClaim) -> None:
        self.now = seen.now_ms
        self.asked = asked
        self.tenant = next(t for t in seen.tenants if asked.metadata.namespace in t.spec.namespaces)
        self.quota = self.tenant.spec.quota_of(asked.spec.class_name)
        self.longest = next(
            c for c in seen.classes if c.metadata.name == asked.spec.class_name
        ).spec.max_duration_seconds
        self.stocks = [_stock(seen, each) for each in seen.leases]
        self.mine: list[Window] = []
        """What the claim's tenant has of its class."""
        for claim in seen.claims:
            if claim is not asked and claim.status.allocation is not None:
                self._add(claim)

    def _add(self, claim: GpuClaim) -> None:
        allocation = claim.status.allocation
        assert allocation is not None
        begin, end = int(self.now), int(allocation.until_time or EVER)
        if allocation.is_ahead:
            begin = int(claim.spec.schedule.start_time or begin)
        for stock in self.stocks:
            uid = stock.lease.metadata.uid
            for place in allocation.placements:
                if place.lease_uid == uid:
                    stock.sold.append(Window(begin, end, 1, place.gpus))
                    stock.on_nodes.setdefault(place.node, []).append(
                        (allocation.tenant_uid, place.gpus)
                    )
                    if place.node in stock.free_from:
                        until = max(stock.free_from[place.node], end + stock.rest)
                        stock.free_from[place.node] = until
            if allocation.is_ahead:
                stock.promised += [
                    Window(begin, end, b.nodes, b.gpus_per_node)
                    for b in allocation.bookings
                    if b.lease_uid == uid
                ]
        theirs = (allocation.tenant_uid, claim.spec.class_name)
        if theirs == (self.tenant.metadata.uid, self.asked.spec.class_name):
            self.mine.append(Window(begin, end, 1, allocation.gpus))

    def edges(self) -> list[int]:
        """Return the instants from now on at which anything changes."""
        found = {at for s in self.stocks for at in s.edges()} | {w.end for w in self.mine}
        return sorted(at for at in found if self.now <= at < EVER)

    def fits(self, gpus: int, begin: int, lasts: int | None, *, ahead: bool | None = None) -> bool:
        """Say whether a claim of so many GPUs has a place from an instant on; promises are kept as whole nodes."""
        return bool(self.clusters(gpus, begin, lasts, ahead=ahead))

    def clusters(
        self, gpus: int, begin: int, lasts: int | None, *, ahead: bool | None = None
    ) -> set[tuple[int, int]]:
        """Return (clusters, nodes) of every place; `ahead`: as a promise, by default if it begins later than now."""
        as_promise = begin > self.now if ahead is None else ahead
        return {
            (len({s.cluster for s, _ in chosen}), sum(n for _, n in chosen))
            for chosen, per_node in self._distributions(gpus)
            if self._is_place(chosen, per_node, begin, lasts, as_promise)
        }

    def earliest(self, gpus: int, lasts: int | None) -> int | None:
        """Return the first instant after now from which there is a place, None if there never is."""
        found = (at for at in self.edges() if at > self.now and self.fits(gpus, at, lasts))
        return next(found, None)

    def _distributions(self, gpus: int) -> Iterator[tuple[list[tuple[Stock, int]], int]]:
        """Yield every way to take whole nodes of leases that may join, or a part of one node."""
        per_node = self.asked.spec.gpus_per_node
        one_node = self.asked.spec.topology.scope == "Node" and self.asked.spec.topology.required
        for size in {s.size for s in self.stocks}:
            stocks = [s for s in self.stocks if s.size == size]
            if gpus < size and (per_node or gpus) == gpus:
                yield from (([(s, 1)], gpus) for s in stocks)
            nodes, over = divmod(gpus, size)
            if over or (one_node and nodes > 1) or (per_node or size) != size:
                continue
            for counts in product(range(nodes + 1), repeat=len(stocks)):
                chosen = [(s, n) for s, n in zip(stocks, counts, strict=True) if n]
                if sum(counts) == nodes and self._may_join([s for s, _ in chosen]):
                    yield chosen, size

    def _may_join(self, stocks: list[Stock]) -> bool:
        topology = self.asked.spec.topology
        clusters = {s.cluster for s in stocks}
        if topology.scope == "Cluster" and topology.required and len(clusters) > 1:
            return False
        return all(
            a.lease.spec.tenant_access == b.lease.spec.tenant_access
            if a.cluster == b.cluster
            else a.lease.spec.tenant_alias != b.lease.spec.tenant_alias
            for a, b in combinations(stocks, 2)
        )

    def _is_place(
        self,
        chosen: list[tuple[Stock, int]],
        gpus: int,
        begin: int,
        lasts: int | None,
        as_promise: bool,
    ) -> bool:
        last = min(s.last for s, _ in chosen)
        longest = self.longest * 1000 if self.longest is not None else EVER
        # a quota must be enough for an open-ended claim's own time, whichever lease ends it sooner
        own = min(begin + (lasts if lasts is not None else longest), EVER)
        end = own if lasts is not None else min(own, last)
        if (
            begin >= end
            or end > last
            or begin < max(s.lease.spec.term.start_time for s, _ in chosen)
        ):
            return False
        total = sum(n for _, n in chosen) * gpus
        return self.is_within_quota(total, begin, own) and all(
            self._has_room(s, Window(begin, end, n, gpus), as_promise) for s, n in chosen
        )

    def is_within_quota(self, gpus: int, begin: int, end: int) -> bool:
        """Say whether the tenant may have so many GPUs more from one instant to another."""
        if self.quota is None:
            return True
        instants = {begin, *(w.begin for w in self.mine if begin <= w.begin < end)}
        return all(
            gpus + sum(w.gpus for w in self.mine if w.begin <= at < w.end) <= self.quota
            for at in instants
        )

    def _has_room(self, stock: Stock, window: Window, as_promise: bool) -> bool:
        if not stock.is_covered([window], self.now):
            return False
        if as_promise:
            return stock.can_keep([window])
        able = [n for n in stock.sharing if self._may_share(stock, n, window.gpus)]
        return any(
            stock.can_keep(
                taken={n: max(stock.free_from[n], window.end + stock.rest) for n in nodes}
            )
            for nodes in combinations(able, window.nodes)
        )

    def _may_share(self, stock: Stock, node: str, gpus: int) -> bool:
        on_it = stock.on_nodes.get(node, [])
        if not on_it:
            return True
        rule = min(stock.sharing[node], stock.lease.spec.node_sharing, key=STRICTEST_FIRST.index)
        alone = all(tenant == self.tenant.metadata.uid for tenant, _ in on_it)
        allowed = rule == "AnyTenant" or (rule == "SameTenant" and alone)
        return allowed and gpus <= stock.size - sum(g for _, g in on_it)


def _stock(seen: View, lease: GpuLease) -> Stock:
    found = seen.inventories[lease.metadata.uid]
    nodes = [n for n in found.nodes.values() if n.unfit is None]
    size = next((n.gpus for n in found.nodes.values()), 8)
    free_from: dict[str, int] = {n.name: seen.now_ms for n in nodes}
    delivered = sum(n.gpus for n in found.nodes.values())
    commitment = lease.spec.commitment
    known = max(delivered, commitment.gpus_at(seen.now_ms) if _runs(lease, seen.now_ms) else 0)
    for phase in sorted(commitment.phases, key=lambda p: p.start_time):
        begins = max(phase.start_time, lease.spec.term.start_time)
        for more in range(max(0, phase.gpus - known) // size):
            if begins > seen.now_ms:
                free_from.setdefault(f"to come {more}", begins)
    return Stock(
        lease=lease,
        cluster=found.cluster_uid or lease.metadata.uid,
        size=size,
        free_from=free_from,
        on_nodes={},
        sharing={n.name: n.sharing for n in nodes},
    )


def _runs(lease: GpuLease, at: int) -> bool:
    return lease.spec.term.start_time <= at
