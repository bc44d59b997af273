"""Index of one lease's free GPUs: whole nodes by pool and zone, the rest of broken nodes by who may have it.

Built once per pass and changed as the pass hands out nodes, so that no claim searches all nodes.
"""

from bisect import bisect_left, insort
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from operator import attrgetter
from typing import Final

from sublet.api.gpulease import NodeSharing
from sublet.api.ids import ClaimUID, TenantUID
from sublet.book.holdings import HoldingsAt, NodeHold
from sublet.book.inventory import NodeState
from sublet.book.pools import Pool, Pools

_NAME: Final = attrgetter("name")
_ANYONE: Final = TenantUID("*")
_NOBODY: Final = TenantUID("-")
_LOOSENESS: Final = {
    NodeSharing.NONE: 0,
    NodeSharing.SAME_TENANT: 1,
    NodeSharing.ANY_TENANT: 2,
}


@dataclass(frozen=True, slots=True)
class Part:
    """A node with room for a part of it."""

    node: NodeState
    left: int
    """GPUs of it that stay free afterwards."""
    breaks: bool
    """It was whole before."""


class FreeNodes:
    """The free GPUs of one lease during one pass; nodes come in order of their names."""

    def __init__(
        self,
        nodes: Iterable[NodeState],
        holdings: HoldingsAt,
        *,
        pools: Pools,
        sharing: NodeSharing,
        zone: str,
    ) -> None:
        self._holdings = holdings
        self._pools = pools
        self._sharing = sharing
        self._zone = zone
        """Where nodes are that don't say it themselves."""
        self._whole: dict[Pool, dict[str, list[NodeState]]] = {}  # pool -> zone -> nodes
        self._counts: Counter[Pool] = Counter()  # pool -> its free whole nodes
        self._parts: dict[TenantUID, dict[int, list[NodeState]]] = {}
        """who may have it -> free GPUs -> nodes"""
        for node in sorted(nodes, key=_NAME):
            hold = holdings.node(node.uid)
            if hold is not None:
                self._offer_rest(node, hold)
            else:
                pool = pools.by_node[node.uid]
                zones = self._whole.get(pool)
                if zones is None:
                    zones = self._whole[pool] = defaultdict(list)
                zones[node.zone or zone].append(node)
        for pool, zones in self._whole.items():
            self._counts[pool] = sum(map(len, zones.values()))

    def zones(self, pool: Pool) -> dict[str, int]:
        """Return zone -> number of free whole nodes of a pool."""
        return {zone: len(nodes) for zone, nodes in self._whole.get(pool, {}).items() if nodes}

    def count(self, pool: Pool) -> int:
        """Return the number of free whole nodes of a pool."""
        return self._counts[pool]

    def whole_nodes(self, pool: Pool, zone: str, count: int) -> list[NodeState]:
        """Return the first free whole nodes of a pool in a zone."""
        return self._whole[pool][zone][:count]

    def part(
        self,
        gpus: int,
        claim_uid: ClaimUID,
        tenant_uid: TenantUID,
        may_have: Callable[[NodeState], bool],
    ) -> Part | None:
        """Return the best fit: the fullest broken node with room that may be had, else the smallest whole one."""
        shelves = [self._parts[who] for who in (tenant_uid, _ANYONE) if who in self._parts]
        for free in sorted({free for shelf in shelves for free in shelf if free >= gpus}):
            found = [
                node
                for shelf in shelves
                for node in self._first(shelf.get(free, ()), claim_uid, may_have)
            ]
            if found:
                return Part(min(found, key=_NAME), free - gpus, breaks=False)
        larger = [pool for pool, count in self._counts.items() if count and pool.size > gpus]
        # claims on several nodes need whole NVLink domains: one that is broken anyway goes first
        for pool in sorted(larger, key=lambda p: (p.size, p.domain != "", self._counts[p], p)):
            zones = self.zones(pool)
            # the zone with fewest whole nodes: large claims need the others
            node = self._whole[pool][min(zones, key=lambda z: (zones[z], z))][0]
            if may_have(node):
                return Part(node, pool.size - gpus, breaks=True)
        return None

    def chunks(self, tenant_uid: TenantUID, memory_mib: int = 0) -> Counter[int]:
        """Return free GPUs on one node that a tenant may have -> number of such nodes with so much memory."""
        found: Counter[int] = Counter()
        for pool, count in self._counts.items():
            found[pool.size] += count if pool.memory_mib >= memory_mib else 0
        for who in (tenant_uid, _ANYONE):
            for free, nodes in self._parts.get(who, {}).items():
                enough = [n for n in nodes if not memory_mib or (n.memory_mib or 0) >= memory_mib]
                found[free] += len(enough)
        return +found

    def remove(self, node: NodeState) -> None:
        """Take a node out, before its hold changes."""
        hold = self._holdings.node(node.uid)
        if hold is None:
            pool = self._pools.by_node[node.uid]
            nodes = self._whole[pool][node.zone or self._zone]
            self._counts[pool] -= 1
        else:
            nodes = self._parts[self._heir(node, hold)][node.gpus - hold.gpus]
        del nodes[bisect_left(nodes, node.name, key=_NAME)]

    def put_back(self, node: NodeState) -> None:
        """Offer what is left of a node, after its hold has changed."""
        hold = self._holdings.node(node.uid)
        if hold is not None:
            self._offer_rest(node, hold)

    def _offer_rest(self, node: NodeState, hold: NodeHold) -> None:
        free, heir = node.gpus - hold.gpus, self._heir(node, hold)
        if free > 0 and heir != _NOBODY:
            shelf = self._parts.setdefault(heir, {})
            insort(shelf.setdefault(free, []), node, key=_NAME)

    def _heir(self, node: NodeState, hold: NodeHold) -> TenantUID:
        """Return who may have the rest of a broken node; the stricter of node and lease decides."""
        rule = min(node.sharing, self._sharing, key=_LOOSENESS.__getitem__)
        if rule is NodeSharing.NONE:
            return _NOBODY
        return _ANYONE if rule is NodeSharing.ANY_TENANT else hold.sole_tenant or _NOBODY

    def _first(
        self,
        nodes: Iterable[NodeState],
        claim_uid: ClaimUID,
        may_have: Callable[[NodeState], bool],
    ) -> list[NodeState]:
        """Return the first node in whose book the claim doesn't stand yet: a book names a claim once."""
        for node in nodes:
            hold = self._holdings.node(node.uid)
            if (hold is None or claim_uid not in hold.ends) and may_have(node):
                return [node]
        return []
