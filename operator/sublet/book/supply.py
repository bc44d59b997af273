"""What one lease can sell, in time: its window, the committed GPUs that nobody holds, and its free nodes.

Built once per pass from the lease, its inventory and what is held; changed only as the pass hands out nodes. What
is sold never exceeds what is committed, at any instant that the buyer would see.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from decimal import Decimal
from typing import Final

from sublet.api.gpuclaim import Allocation, GpuClaim
from sublet.api.gpulease import GpuLease
from sublet.api.ids import ClaimUID, LeaseUID, NodeName, NodeUID, TenantUID
from sublet.api.lease_terms import Commitment, CommitmentMode
from sublet.api.times import MS_PER_SECOND, Millis
from sublet.book.free import FreeNodes
from sublet.book.holdings import Holdings
from sublet.book.inventory import LeaseInventory, NodeState, Reach, Unfit
from sublet.book.shape import Shape, shapes_on
from sublet.book.steps import FOREVER, Steps
from sublet.book.whole import WholeNodes

_NEVER_SOLD: Final = frozenset(
    {
        Unfit.NODE_OVERLAP,
        Unfit.WRONG_PRODUCT,
        Unfit.LABELS_MISSING,
        Unfit.MIG,
        Unfit.SHARING,
        Unfit.COUNT_MISMATCH,
    }
)
"""Nodes that aren't what was leased; the others come back by themselves."""


class LeaseSupply:
    """One lease's capacity during one pass."""

    def __init__(
        self,
        lease: GpuLease,
        inventory: LeaseInventory,
        holdings: Holdings,
        now_ms: Millis,
        disputed: Collection[NodeUID] = (),
        usual_size: int | None = None,
    ) -> None:
        """Index the lease's nodes.

        `disputed` ones stand in another lease's inventory too and are never sold. `usual_size`: GPUs of a node of this
        product, for leases of which no node was delivered yet.
        """
        spec = lease.spec
        self.lease = lease
        self.uid = LeaseUID(lease.metadata.uid)
        self.alias = spec.tenant_alias
        self.inventory = inventory
        self.cluster = inventory.cluster_uid or self.uid
        """What fails together; a cluster that isn't known yet counts as one of its own."""
        self.products = frozenset(spec.products)
        last = spec.term.last_usable_ms()
        self.ends_ms = FOREVER if last is None else last
        """The first instant at which no claim may run."""
        self.begins_ms = max(spec.term.start_time, now_ms)
        """From when a claim may run: its term's start, or now."""
        self.is_over = now_ms >= self.ends_ms
        self.is_open = spec.accepting_claims and lease.metadata.deletion_timestamp is None
        """It takes new claims."""
        self.is_silent = inventory.reach is not Reach.REACHABLE or not inventory.synced
        """What is known of it may be old."""
        self.marginal_price = _marginal_price(lease, now_ms)
        """What one more GPU-hour costs us: nothing where it is paid for anyway."""
        nodes = [n for n in inventory.nodes.values() if n.unfit not in _NEVER_SOLD and n.gpus > 0]
        sellable = [n for n in nodes if n.unfit is None and n.uid not in disputed]
        self.sizes = frozenset(n.gpus for n in nodes)
        """How many GPUs its nodes have, also those that can't be sold just now."""
        self.gpus = sum(n.gpus for n in nodes)
        self.unsellable_gpus = self.gpus - sum(n.gpus for n in sellable)
        self.free = FreeNodes(
            sellable, holdings, sharing=spec.node_sharing, zone=spec.location.zone or ""
        )
        size = _main_size(nodes) or usual_size
        expected = {size: _expected(spec.commitment, self.gpus, size, now_ms)} if size else {}
        self.whole = WholeNodes(
            now_ms,
            sellable,
            holdings,
            rest_ms=spec.term.quarantine_seconds * MS_PER_SECOND,
            expected=expected,
        )
        """Wholly free nodes in time, those not delivered yet included."""
        self.coming_sizes = self.sizes | self.whole.sizes
        """How many GPUs its nodes have or will have."""
        self._holdings = holdings
        self._now_ms = now_ms
        terms = holdings.terms(self.uid)
        held = sum(t.gpus for t in terms)
        self._spare = Steps(
            now_ms,
            [
                *_committed(spec.commitment),
                (now_ms, -held),
                *((t.until_ms, t.gpus) for t in terms),
            ],
        )
        """Committed GPUs that nobody holds, in time; below 0 where the commitment was lowered."""

    def zone_of(self, node: NodeState) -> str:
        """Return a node's failure domain inside the cluster."""
        return node.zone or self.lease.spec.location.zone or ""

    def sizes_at(self, start_ms: Millis) -> frozenset[int]:
        """Return the node sizes that a claim with this start may count on."""
        return self.sizes if start_ms <= self._now_ms else self.coming_sizes

    def fits(self, claim: GpuClaim, start_ms: Millis) -> bool:
        """Say whether the claim has a form on its nodes; unknown sizes rule nothing out."""
        sizes = self.sizes_at(start_ms)
        return not sizes or bool(shapes_on(claim, sizes))

    def shapes(self, claim: GpuClaim, start_ms: Millis) -> tuple[Shape, ...]:
        """Return the claim's forms on its nodes."""
        return shapes_on(claim, self.sizes_at(start_ms))

    def longest(self, size: int, nodes: int, from_ms: Millis) -> Millis | None:
        """Return until when so many whole nodes are there from an instant on, None if they aren't."""
        steps = self.whole.steps(size)
        if steps is None or self.nodes_for(size, size, from_ms, Millis(from_ms + 1)) < nodes:
            return None
        free = steps.first_below(nodes, from_ms, FOREVER)
        rested = Millis(free - self.whole.rest_ms) if free < FOREVER else FOREVER
        end = self._spare.first_below(nodes * size, from_ms, min(rested, self.ends_ms))
        return end if from_ms < end < FOREVER else None

    def headroom(self, from_ms: Millis, until_ms: Millis) -> int:
        """Return the committed GPUs that nobody holds, or was promised, at any instant of a window."""
        return max(0, self._spare.least(from_ms, until_ms))

    def nodes_for(self, size: int, gpus: int, from_ms: Millis, until_ms: Millis) -> int:
        """Return how many whole nodes of a size a claim of `gpus` GPUs of each may have for a window."""
        nodes = self.whole.least(size, from_ms, until_ms)
        if from_ms <= self._now_ms:
            nodes = min(nodes, self.free.whole_count(size))
        return max(0, min(nodes, self.headroom(from_ms, until_ms) // gpus)) if nodes > 0 else 0

    def may_have(self, node: NodeState, until_ms: Millis) -> bool:
        """Say whether a node may be held until then without taking it from a promise."""
        if self._holdings.node(node.uid) is None:
            return self.whole.least(node.gpus, self._now_ms, until_ms) > 0
        return self.whole.can_prolong(node.gpus, 1, self._held_until(node), until_ms)

    def first_window(
        self, size: int, nodes: int, gpus: int, from_ms: Millis, length_ms: int | None
    ) -> Millis | None:
        """Return the first instant from which so many nodes are there for so long, or to the lease's end.

        Both step functions are swept in turns until they agree; each turn only moves the instant later.
        """
        steps = self.whole.steps(size)
        found: Millis | None = max(from_ms, self.begins_ms)
        before: Millis | None = None
        while steps is not None and found is not None and found != before:
            before = found
            for each, level in ((steps, nodes), (self._spare, nodes * gpus)):
                if found is not None and length_ms is not None:
                    found = each.first_for(level, found, length_ms + self.whole.rest_ms)
                elif found is not None:
                    found = each.first_until(level, found, self.ends_ms)
        lasts = found is not None and found + (length_ms or 1) <= self.ends_ms
        return found if steps is not None and lasts else None

    def covered_until(
        self, gpus: int, nodes: Counter[int], from_ms: Millis, until_ms: Millis
    ) -> Millis:
        """Return until when GPUs that a claim has here from `from_ms` on would stay its own, at most `until_ms`.

        They must stay within the commitment, and its nodes (size -> number) must not be promised to others.
        """
        until_ms = self._spare.first_below(gpus, from_ms, until_ms)
        for size, count in nodes.items():
            until_ms = self.whole.free_until(size, count, from_ms, until_ms)
        return until_ms

    def prolong(self, gpus: int, nodes: Counter[int], from_ms: Millis, until_ms: Millis) -> None:
        """Hold GPUs longer, and the nodes (size -> number) that would have become free."""
        self._spare.add(-gpus, from_ms, until_ms)
        for size, count in nodes.items():
            self.whole.prolong(size, count, from_ms, until_ms)

    def hold_gpus(self, gpus: int, from_ms: Millis, until_ms: Millis) -> None:
        """Count GPUs of the commitment as held for a window; a negative number as free."""
        self._spare.add(-gpus, from_ms, until_ms)

    def nodes_free_at(self, allocation: Allocation, at_ms: Millis) -> Counter[int]:
        """Return node size -> number of a claim's nodes here that become free at its end, since it is the last on them."""
        found: Counter[int] = Counter()
        for place in allocation.placements:
            node = self.inventory.nodes.get(NodeName(place.node))
            if node is not None and node.uid == place.node_uid and place.lease_uid == self.uid:
                found[node.gpus] += self._held_until(node) <= at_ms
        if allocation.is_ahead:
            for booking in allocation.bookings:
                slot = self.whole.slot_for(booking.gpus_per_node)
                if booking.lease_uid == self.uid and slot is not None:
                    found[slot] += booking.nodes
        return +found

    def can_keep(self, size: int, nodes: int, gpus: int, from_ms: Millis, until_ms: Millis) -> bool:
        """Say whether so many nodes, and `gpus` GPUs of each, can be kept free for a window."""
        return (
            self.whole.least(size, from_ms, until_ms) >= nodes
            and self._spare.least(from_ms, until_ms) >= nodes * gpus
        )

    def keep(self, size: int, nodes: int, gpus: int, from_ms: Millis, until_ms: Millis) -> None:
        """Keep so many nodes, and `gpus` GPUs of each, free for a window; negative `nodes` lets them go again."""
        self.whole.hold(size, nodes, from_ms, until_ms)
        self._spare.add(-nodes * gpus, from_ms, until_ms)

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
        held_until = self._held_until(node)
        self.free.remove(node)
        self._holdings.take(claim_uid, tenant_uid, node.uid, gpus, until_ms)
        self.free.put_back(node)
        self._spare.add(-gpus, self._now_ms, until_ms)
        if held_until <= self._now_ms:
            self.whole.hold(node.gpus, 1, self._now_ms, until_ms)
        elif until_ms > held_until:
            self.whole.prolong(node.gpus, 1, held_until, until_ms)

    def _held_until(self, node: NodeState) -> Millis:
        """Return when the claims on a node end; now if it is free."""
        hold = self._holdings.node(node.uid)
        return self._now_ms if hold is None else hold.until_ms


def disputed_nodes(inventories: Collection[LeaseInventory]) -> set[NodeUID]:
    """Return nodes that stand sellable in more than one inventory: nobody can say whose they are."""
    seen: Counter[NodeUID] = Counter()
    for inventory in inventories:
        seen.update(n.uid for n in inventory.nodes.values() if n.unfit is None)
    return {uid for uid, count in seen.items() if count > 1}


def usual_sizes(
    leases: Iterable[GpuLease], inventories: Mapping[LeaseUID, LeaseInventory]
) -> dict[str, int]:
    """Return GPU product -> GPUs of most of its nodes, over all leases."""
    found: dict[str, Counter[int]] = {}
    for lease in leases:
        inventory = inventories.get(LeaseUID(lease.metadata.uid))
        nodes = inventory.nodes.values() if inventory is not None else ()
        sizes = found.setdefault(lease.spec.product, Counter())
        sizes.update(n.gpus for n in nodes if n.unfit not in _NEVER_SOLD and n.gpus > 0)
    return {p: min(c, key=lambda s: (-c[s], s)) for p, c in found.items() if c}


def _main_size(nodes: Collection[NodeState]) -> int | None:
    """Return the size that most of a lease's nodes have: what undelivered ones are taken to have too."""
    sizes = Counter(node.gpus for node in nodes)
    return min(sizes, key=lambda size: (-sizes[size], size), default=None)


def _expected(
    commitment: Commitment, delivered: int, size: int, now_ms: Millis
) -> list[tuple[Millis, int]]:
    """Return the changes by nodes that phases to come will bring, from what is there or due by now.

    What is late already isn't counted on: it comes when it is seen.
    """
    known = max(delivered, commitment.gpus_at(now_ms))
    changes: list[tuple[Millis, int]] = []
    level = nodes = 0
    for at_ms, delta in _committed(commitment):
        level += delta
        if at_ms > now_ms:
            more = max(0, level - known) // size
            changes.append((at_ms, more - nodes))
            nodes = more
    return changes


def _committed(commitment: Commitment) -> list[tuple[Millis, int]]:
    """Return the commitment's changes; of two phases with one start the first counts, as in `gpus_at`."""
    levels: dict[Millis, int] = {}
    for phase in commitment.phases:
        levels.setdefault(phase.start_time, phase.gpus)
    changes, before = [], 0
    for at_ms in sorted(levels):
        changes.append((at_ms, levels[at_ms] - before))
        before = levels[at_ms]
    return changes


def _marginal_price(lease: GpuLease, now_ms: Millis) -> Decimal:
    if lease.spec.commitment.mode is CommitmentMode.TAKE_OR_PAY:
        return Decimal(0)
    prices = sorted(lease.spec.prices, key=lambda p: p.effective_time)
    begun = [p for p in prices if p.effective_time <= now_ms]
    return (begun[-1] if begun else prices[0]).per_gpu_hour
