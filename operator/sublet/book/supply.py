"""What a lease can sell, in time: a window, a step function of committed GPUs, and indexes of free nodes.

Built once per pass from the lease and its inventory; changed only as the pass hands out nodes. Free capacity is kept
by size so that no claim searches all nodes.
"""

from bisect import insort
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from sublet.api.gpulease import GpuLease, NodeSharing
from sublet.api.ids import LeaseUID, TenantUID
from sublet.api.lease_terms import CommitmentMode
from sublet.api.times import Millis
from sublet.book.holdings import FOREVER, Holdings
from sublet.book.inventory import LeaseInventory, NodeState


@dataclass(frozen=True, slots=True)
class Free:
    """The free part of one node."""

    node: NodeState
    gpus: int
    broken: bool
    """Another claim holds a part of it already."""


class LeaseSupply:
    """One lease's capacity during one pass."""

    def __init__(
        self, lease: GpuLease, inventory: LeaseInventory, holdings: Holdings, now_ms: Millis
    ) -> None:
        self.lease = lease
        self.uid = LeaseUID(lease.metadata.uid)
        self.alias = lease.spec.tenant_alias
        self.inventory = inventory
        self._holdings = holdings
        self._now_ms = now_ms
        self._whole: dict[int, dict[str, list[NodeState]]] = defaultdict(lambda: defaultdict(list))
        """size -> zone -> nodes that nobody holds, by name, last one first so that taking is cheap"""
        self._broken: list[Free] = []
        for node in inventory.nodes.values():
            self._index(node)
        for zones in self._whole.values():
            for nodes in zones.values():
                nodes.sort(key=lambda node: node.name, reverse=True)
        self._broken.sort(key=lambda free: (free.gpus, free.node.name))

    @property
    def ends_ms(self) -> Millis:
        """Return the first instant at which no claim may run."""
        last = self.lease.spec.term.last_usable_ms()
        return FOREVER if last is None else last

    @property
    def is_running(self) -> bool:
        """Say whether now lies in the lease's sellable window."""
        return self.lease.spec.term.start_time <= self._now_ms < self.ends_ms

    @property
    def sizes(self) -> set[int]:
        """Return how many GPUs its sellable nodes have."""
        return {n.gpus for n in self.inventory.nodes.values() if n.unfit is None and n.gpus > 0}

    @property
    def marginal_price(self) -> Decimal:
        """Return what one more GPU-hour costs us: nothing where it is paid for anyway."""
        spec = self.lease.spec
        if spec.commitment.mode is CommitmentMode.TAKE_OR_PAY:
            return Decimal(0)
        begun = [p for p in spec.prices if p.effective_time <= self._now_ms]
        return max(begun, key=lambda p: p.effective_time).per_gpu_hour if begun else Decimal(0)

    def headroom(self, until_ms: Millis) -> int:
        """Return the committed GPUs that nobody holds at any instant from now to `until_ms`."""
        steps = [self._now_ms]
        steps += [
            p.start_time
            for p in self.lease.spec.commitment.phases
            if self._now_ms < p.start_time < until_ms
        ]
        gpus_at = self.lease.spec.commitment.gpus_at
        return min(gpus_at(at) - self._holdings.of_lease(self.uid, at) for at in steps)

    def zones(self, size: int) -> dict[str, int]:
        """Return zone -> number of free whole nodes of a size."""
        return {zone: len(nodes) for zone, nodes in self._whole[size].items() if nodes}

    def whole_count(self, size: int) -> int:
        """Return the number of free whole nodes of a size."""
        return sum(len(nodes) for nodes in self._whole[size].values())

    def whole_nodes(self, size: int, zone: str, count: int) -> list[NodeState]:
        """Return the first free whole nodes of a zone, by name."""
        return self._whole[size][zone][: -count - 1 : -1]

    def parts(self, gpus: int, tenant_uid: TenantUID) -> Iterator[Free]:
        """Yield nodes with room for a part, best fit first: broken ones, then whole ones from the smallest."""
        for free in self._broken:
            if free.gpus >= gpus and self._may_share(free.node, tenant_uid):
                yield free
        for size in sorted(size for size in self._whole if size > gpus and self.whole_count(size)):
            zone = min(self.zones(size))
            yield Free(self._whole[size][zone][-1], size, broken=False)

    def free_gpus(self) -> int:
        """Return the GPUs that no claim holds, whole nodes and parts."""
        whole = sum(size * self.whole_count(size) for size in self._whole)
        return whole + sum(free.gpus for free in self._broken)

    def mark_taken(self, node: NodeState, gpus: int) -> None:
        """Take GPUs of a node out of the indexes; what is left of it may go to another claim."""
        broken = next((f for f in self._broken if f.node is node), None)
        if broken is not None:
            self._broken.remove(broken)
            left = broken.gpus - gpus
        else:
            nodes = self._whole[node.gpus][node.zone or ""]
            # the chosen node is nearly always the last one of its list
            del nodes[next(i for i in range(len(nodes) - 1, -1, -1) if nodes[i] is node)]
            left = node.gpus - gpus
        if left > 0 and node.sharing is not NodeSharing.NONE:
            insort(self._broken, Free(node, left, broken=True), key=lambda f: (f.gpus, f.node.name))

    def _index(self, node: NodeState) -> None:
        if node.unfit is not None or node.gpus <= 0:
            return
        hold = self._holdings.node(node.uid)
        if hold is None:
            self._whole[node.gpus][node.zone or ""].append(node)
        elif node.sharing is not NodeSharing.NONE and node.gpus > hold.gpus:
            self._broken.append(Free(node, node.gpus - hold.gpus, broken=True))

    def _may_share(self, node: NodeState, tenant_uid: TenantUID) -> bool:
        if node.sharing is NodeSharing.ANY_TENANT:
            return True
        hold = self._holdings.node(node.uid)
        return hold is not None and hold.tenants == {tenant_uid}
