"""What one lease can sell, in time: its window, the committed GPUs that nobody holds, and its free nodes.

Built once per pass from the lease, its inventory and what is held; changed only as the pass hands out nodes. What
is sold never exceeds what is committed, at any instant that the buyer would see.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence

from sublet.api.gpuclaim import Allocation, Booking, GpuClaim
from sublet.api.gpulease import GpuLease
from sublet.api.ids import ClaimUID, LeaseUID, NodeName, NodeUID, TenantUID
from sublet.api.relocation import PlacedNode
from sublet.api.times import MS_PER_SECOND, Millis
from sublet.book.across import NEVER_SOLD
from sublet.book.contract import (
    commitment_changes,
    committed_at,
    expected_nodes,
    marginal_price_at,
)
from sublet.book.free import FreeNodes
from sublet.book.holdings import Holdings, NodeHold, NodeKey, cluster_of
from sublet.book.inventory import LeaseInventory, NodeState, Reach
from sublet.book.maintenance import taken_away
from sublet.book.memo import Memo
from sublet.book.pools import Pool, Pools, Wanted
from sublet.book.shape import Shape, shapes_on
from sublet.book.steps import FOREVER, Steps
from sublet.book.whole import WholeNodes


class LeaseSupply:
    """One lease's capacity during one pass."""

    def __init__(
        self,
        lease: GpuLease,
        inventory: LeaseInventory,
        holdings: Holdings,
        now_ms: Millis,
        disputed: Collection[NodeKey] = (),
        usual_size: int | None = None,
        tiers: Sequence[int] = (),
    ) -> None:
        """Index the lease's nodes.

        `disputed` ones stand in another lease's inventory too and are never sold. `usual_size`: GPUs of a node of this
        product, for leases of which no node was delivered yet. `tiers`: what classes ask for of a GPU's memory.
        """
        spec = lease.spec
        self.lease = lease
        self.uid = LeaseUID(lease.metadata.uid)
        self.alias = spec.tenant_alias
        self.inventory = inventory
        self.cluster = cluster_of(inventory)
        """What fails together; a cluster that isn't known yet counts as one of its own."""
        self.products = frozenset(spec.products)
        last = spec.term.last_usable_ms()
        self.ends_ms = FOREVER if last is None else last
        """The first instant at which no claim may run."""
        self.begins_ms = max(spec.term.start_time, now_ms)
        """From when a claim may run: its term's start, or now."""
        self.is_over = now_ms >= self.ends_ms
        self.has_unread = self.uid in holdings.unread_leases
        """A claim that can't be read holds nobody knows how much of it: nothing is added to what is held."""
        # (who, booking) of such claims, and of those that wait to be adopted
        self.unread_bookings = tuple(holdings.unread_bookings.get(self.uid, ()))
        self.is_open = (
            spec.accepting_claims and not self.has_unread and not lease.metadata.deletion_timestamp
        )
        """It takes new claims."""
        self.is_silent = inventory.reach is not Reach.REACHABLE or not inventory.synced
        """What is known of it may be old."""
        self.marginal_price = marginal_price_at(lease, now_ms)
        """What one more GPU-hour costs us: nothing where it is paid for anyway."""
        self._holdings = holdings.at(self.uid)
        nodes = [n for n in inventory.nodes.values() if n.unfit not in NEVER_SOLD and n.gpus > 0]
        sellable = [n for n in nodes if n.unfit is None and (self.cluster, n.uid) not in disputed]
        self.sizes = frozenset(n.gpus for n in nodes)
        """How many GPUs its nodes have, also those that can't be sold just now."""
        self.gpus = sum(n.gpus for n in nodes)
        self.unsellable_gpus = self.gpus - sum(n.gpus for n in sellable)
        self.memo = Memo(0)
        """What was worked out since the lease's room changed last; page: from when on windows are open."""
        self.pools = Pools(nodes, tiers)
        self.free = FreeNodes(
            sellable,
            self._holdings,
            pools=self.pools,
            sharing=spec.node_sharing,
            zone=spec.location.zone or "",
        )
        size = _main_size(nodes) or usual_size
        expected = {}
        if size:
            expected[self.pools.of_coming(size)] = expected_nodes(lease, self.gpus, size, now_ms)
        self.whole = WholeNodes(
            now_ms,
            sellable,
            self._holdings,
            pools=self.pools,
            rest_ms=spec.term.quarantine_seconds * MS_PER_SECOND,
            expected=expected,
        )
        """Wholly free nodes in time, those not delivered yet included."""
        self.coming_sizes = self.sizes | self.whole.sizes
        """How many GPUs its nodes have or will have."""
        self._now_ms = now_ms
        terms = holdings.terms(self.uid)
        held = [(now_ms, -sum(t.gpus for t in terms)), *((t.until_ms, t.gpus) for t in terms)]
        self._spare = Steps(now_ms, [*commitment_changes(lease), *held])
        """Committed GPUs that nobody holds, in time; below 0 where the commitment was lowered."""
        self.away = taken_away(lease, max(0, committed_at(lease, now_ms) - self.gpus))
        """(from, until, GPUs) that maintenance takes away, in order."""

    def close_windows(self, sign: int = 1, from_ms: int = 0) -> None:
        """Sell nothing more that maintenance takes away from an instant on; -1 opens the windows again."""
        self.memo.turn_to(FOREVER if sign > 0 else from_ms)
        for begin_ms, until_ms, gpus in self.away:
            if begin_ms >= from_ms:
                self._spare.add(-sign * gpus, begin_ms, until_ms)

    def go_on(self, now_ms: Millis) -> None:
        """Go on with what was sold at a later instant, before which nothing begins or ends by itself."""
        self._now_ms = now_ms
        self.begins_ms = max(self.lease.spec.term.start_time, now_ms)
        self.memo.clear()

    def zone_of(self, node: NodeState) -> str:
        """Return a node's failure domain inside the cluster."""
        return node.zone or self.lease.spec.location.zone or ""

    def sizes_at(self, start_ms: Millis, memory_mib: int = 0) -> frozenset[int]:
        """Return the sizes of nodes with so much memory that a claim with this start may count on."""
        if memory_mib:
            return frozenset(p.size for p in self.pools.all if p.memory_mib >= memory_mib)
        return self.sizes if start_ms <= self._now_ms else self.coming_sizes

    def lacks(self, memory_mib: int) -> bool:
        """Say whether it has nodes and none with so much memory."""
        return bool(memory_mib and self.sizes and not self.sizes_at(self._now_ms, memory_mib))

    def gpus_with(self, memory_mib: int) -> int:
        """Return how many GPUs have so much memory, all if none has."""
        if not memory_mib or self.lacks(memory_mib):
            return self.gpus
        nodes = self.pools.nodes.items()
        return sum(p.size * count for p, count in nodes if p.memory_mib >= memory_mib)

    def fits(self, claim: GpuClaim, start_ms: Millis, memory_mib: int = 0) -> bool:
        """Say whether the claim has a form on its nodes; unknown sizes rule nothing out."""
        sizes = self.sizes_at(start_ms, memory_mib)
        return not sizes or bool(shapes_on(claim, sizes))

    def shapes(self, claim: GpuClaim, start_ms: Millis, memory_mib: int = 0) -> tuple[Shape, ...]:
        """Return the claim's forms on its nodes."""
        return shapes_on(claim, self.sizes_at(start_ms, memory_mib))

    def longest(self, wanted: Wanted, nodes: int, from_ms: Millis) -> Millis | None:
        """Return until when so many whole nodes are there from an instant on, None if they aren't."""
        rest = self.whole.rest_ms
        steps = [s for p in self.pools.suiting(wanted) if (s := self.whole.steps(p)) is not None]
        edges = {Millis(at - rest) for each in steps for at in each.edges}
        instants = {*edges, *self._spare.edges, self.ends_ms}
        ends = sorted(at for at in instants if from_ms < at <= self.ends_ms)
        short = bisect_left(
            ends, True, key=lambda at: self.nodes_for(wanted, wanted.size, from_ms, at) < nodes
        )
        end = ends[short - 1] if short else None
        return end if end is not None and end < FOREVER else None

    def edges(self) -> set[Millis]:
        """Return the instants at which its free nodes or its spare commitment change."""
        return {*self.whole.edges(), *self._spare.edges}

    def headroom(self, from_ms: Millis, until_ms: Millis) -> int:
        """Return the committed GPUs that nobody holds, or was promised, at any instant of a window."""
        return max(0, self._spare.least(from_ms, until_ms))

    def usable(
        self, wanted: Wanted, from_ms: Millis, until_ms: Millis
    ) -> tuple[tuple[Pool, int], ...]:
        """Return pools with nodes for a window, the commitment aside: without NVLink domain first, then the fullest."""
        return self.memo.of(
            ("usable", wanted, from_ms, until_ms), self._usable, wanted, from_ms, until_ms
        )

    def _usable(
        self, wanted: Wanted, from_ms: Millis, until_ms: Millis
    ) -> tuple[tuple[Pool, int], ...]:
        rooms = ((p, self._room_in(p, from_ms, until_ms)) for p in self.pools.suiting(wanted))
        found = [(pool, nodes) for pool, nodes in rooms if nodes > 0]
        return tuple(sorted(found, key=lambda each: (each[0].domain != "", each[1], each[0])))

    def free_at(self, wanted: Wanted, at_ms: Millis) -> list[tuple[Pool, int]]:
        """Return pools with nodes that are free at an instant, whoever was promised them for later."""
        now = at_ms <= self._now_ms
        found = (
            (pool, self.free.count(pool) if now else self.whole.at(pool, at_ms))
            for pool in self.pools.suiting(wanted)
        )
        return [(pool, nodes) for pool, nodes in found if nodes > 0]

    def nodes_for(self, wanted: Wanted, gpus: int, from_ms: Millis, until_ms: Millis) -> int:
        """Return how many whole nodes a claim of `gpus` GPUs of each may have for a window."""
        key = ("nodes", wanted, gpus, from_ms, until_ms)
        return self.memo.of(key, self._nodes_for, wanted, gpus, from_ms, until_ms)

    def _nodes_for(self, wanted: Wanted, gpus: int, from_ms: Millis, until_ms: Millis) -> int:
        nodes = sum(nodes for _, nodes in self.usable(wanted, from_ms, until_ms))
        return min(nodes, self.headroom(from_ms, until_ms) // gpus) if nodes else 0

    def _room_in(self, pool: Pool, from_ms: Millis, until_ms: Millis) -> int:
        """Return how many nodes of a pool are there for a window; below 0 where more were promised."""
        if from_ms > self._now_ms:
            return self.whole.least(pool, from_ms, until_ms)
        free = self.free.count(pool)
        if not free or not self.whole.is_promised(pool):
            return free  # nothing but promises takes a node that is free now
        return min(free, self.whole.least(pool, from_ms, until_ms))

    def may_have(self, node: NodeState, until_ms: Millis) -> bool:
        """Say whether a node may be held until then without taking it from a promise."""
        return self.whole.can_move(node, until_ms)

    def first_window(
        self,
        steps: Steps,
        nodes: int,
        gpus: int,
        from_ms: Millis,
        length_ms: int | None,
    ) -> Millis | None:
        """Return the first instant from which so many of these nodes are there for so long, or to the lease's end.

        Both step functions are swept in turns until they agree; each turn only moves the instant later.
        """
        found: Millis | None = max(from_ms, self.begins_ms)
        before: Millis | None = None
        while found is not None and found != before:
            before = found
            rest_ms = self.whole.rest_ms  # nodes rest afterwards, when the commitment may be over
            for each, level, more in ((steps, nodes, rest_ms), (self._spare, nodes * gpus, 0)):
                if found is not None and length_ms is not None:
                    found = each.first_for(level, found, length_ms + more)
                elif found is not None:
                    found = each.first_until(level, found, self.ends_ms)
        lasts = found is not None and found + (length_ms or 1) <= self.ends_ms
        return found if lasts else None

    def move_end(self, claim_uid: ClaimUID, allocation: Allocation, until_ms: Millis) -> None:
        """Move the end of what a claim holds here, forward or back: all that is free changes with it."""
        self.memo.clear()
        used_until = self._holdings.leaving.get(claim_uid, self._now_ms)
        for place, hold in self._holds_of(claim_uid, allocation):
            before = max(hold.ends[claim_uid], used_until)
            hold.ends[claim_uid] = until_ms
            after = max(until_ms, used_until)
            self._spare.add(-place.gpus, before, after)
            self._spare.add(place.gpus, after, before)
            if (node := self._node(place)) is not None:
                self.whole.move(node, hold.until_ms)

    def stays_until(self, claim_uid: ClaimUID, allocation: Allocation, until_ms: Millis) -> Millis:
        """Return until when a claim may stay on what it holds here, at most `until_ms`.

        Beyond its end it must stay within the commitment and take no node that was promised.
        """
        held = list(self._holds_of(claim_uid, allocation))
        before = max((hold.ends[claim_uid] for _, hold in held), default=FOREVER)
        if until_ms <= before:
            return until_ms
        used_until = max(before, self._holdings.leaving.get(claim_uid, before))
        gpus = sum(place.gpus for place, _ in held)
        until_ms = self._spare.first_below(gpus, used_until, until_ms)
        self.move_end(claim_uid, allocation, until_ms)
        pools = {
            pool for place, _ in held if (pool := self.pools.by_node.get(NodeUID(place.node_uid)))
        }
        short = (self.whole.first_short(pool, before, until_ms) for pool in pools)
        found = min((at for at in short if at is not None), default=until_ms)
        self.move_end(claim_uid, allocation, before)
        return found if found > used_until else allocation.until_time or FOREVER

    def _holds_of(
        self, claim_uid: ClaimUID, allocation: Allocation
    ) -> Iterator[tuple[PlacedNode, NodeHold]]:
        for place in allocation.placements:
            hold = self._holdings.node(NodeUID(place.node_uid))
            if place.lease_uid == self.uid and hold is not None and claim_uid in hold.ends:
                yield place, hold

    def _node(self, place: PlacedNode) -> NodeState | None:
        """Return a placement's node, None if it can't be seen."""
        node = self.inventory.nodes.get(NodeName(place.node))
        return node if node is not None and node.uid == place.node_uid else None

    def slot_for(
        self, gpus: int, from_ms: Millis, until_ms: Millis, memory_mib: int = 0
    ) -> Pool | None:
        """Return the pool of which the promise of a part keeps a node free: of the smallest nodes with room."""
        for size in sorted(size for size in self.whole.sizes if size >= gpus):
            for pool, _ in self.usable(Wanted(size, memory_mib), from_ms, until_ms):
                if self.can_keep(pool, 1, gpus, from_ms, until_ms):
                    return pool
        return None

    def booked(self, booking: Booking) -> list[Pool]:
        """Return the pools in which a promise may be kept as it was made, those of the smallest nodes and of the least memory first."""
        domain, memory_mib = booking.domain or "", self.pools.tier(booking.memory_mi_b)
        return [
            pool
            for pool in sorted(self.pools.all)
            if pool.size >= booking.gpus_per_node
            and pool.domain == domain
            and pool.memory_mib >= memory_mib
        ]

    def room_from(
        self, pool: Pool, gpus: int, nodes: int, from_ms: Millis, until_ms: Millis
    ) -> Millis | None:
        """Return the first instant from which a promise could be kept to its end, None if there is none."""
        steps = self.whole.steps(pool)
        if steps is None:
            return None
        free = steps.first_until(nodes, from_ms, self.whole.rested(until_ms))
        spare = self._spare.first_until(nodes * gpus, from_ms, until_ms)
        found = max(free, spare) if free is not None and spare is not None else None
        return found if found is not None and found < until_ms else None

    def can_keep(
        self, pool: Pool, nodes: int, gpus: int, from_ms: Millis, until_ms: Millis
    ) -> bool:
        """Say whether so many nodes, and `gpus` GPUs of each, can be kept free for a window."""
        return (
            self.whole.least(pool, from_ms, until_ms) >= nodes
            and self._spare.least(from_ms, until_ms) >= nodes * gpus
        )

    def keep(self, pool: Pool, nodes: int, gpus: int, from_ms: Millis, until_ms: Millis) -> None:
        """Keep so many nodes, and `gpus` GPUs of each, free for a window; a negative number lets them go again."""
        self.memo.clear()
        self.whole.hold(pool, nodes, from_ms, until_ms)
        self._spare.add(-nodes * gpus, from_ms, until_ms)

    def lend(self, gpus: int, until_ms: Millis) -> None:
        """Count GPUs that are being given up no more against the commitment from now on; a negative number takes it back."""
        self.memo.clear()
        self._spare.add(gpus, self._now_ms, until_ms)

    def runs_until(self, until_ms: Millis) -> bool:
        """Say whether it serves those who are in it, from now to an instant; who may claim it anew plays no part."""
        runs = self.begins_ms <= self._now_ms and until_ms <= self.ends_ms
        return runs and not self.is_silent and self.inventory.isolation_ready

    def lasts_until(
        self, nodes: Mapping[Pool, int], gpus: int, before_ms: Millis, until_ms: Millis
    ) -> Millis:
        """Return until when room that is kept to `before_ms` may be kept on, at most `until_ms`.

        `gpus`: of all these nodes together.
        """
        until_ms = self._spare.first_below(gpus, before_ms, min(until_ms, self.ends_ms))
        if until_ms <= before_ms:
            return before_ms
        for pool, count in nodes.items():
            steps, end_ms = self.whole.steps(pool), self.whole.rested(until_ms)
            if steps is None:
                return before_ms
            short = steps.first_below(count, self.whole.rested(before_ms), end_ms)
            until_ms = Millis(short - self.whole.rest_ms) if short < end_ms else until_ms
        return until_ms

    def take(
        self,
        node: NodeState,
        gpus: int,
        *,
        claim_uid: ClaimUID,
        tenant_uid: TenantUID,
        until_ms: Millis,
    ) -> None:
        """Give GPUs of one node to a claim; what is left of the node may go to another."""
        self.memo.clear()
        self.free.remove(node)
        self._holdings.take(claim_uid, tenant_uid, node.uid, gpus, until_ms)
        self.free.put_back(node)
        self._spare.add(-gpus, self._now_ms, until_ms)
        if (hold := self._holdings.node(node.uid)) is not None:
            self.whole.move(node, hold.until_ms)


def _main_size(nodes: Collection[NodeState]) -> int | None:
    """Return the size that most of a lease's nodes have: what undelivered ones are taken to have too."""
    sizes = Counter(node.gpus for node in nodes)
    return min(sizes, key=lambda size: (-sizes[size], size), default=None)
