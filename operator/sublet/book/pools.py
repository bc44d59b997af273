"""Pools: nodes of one lease that are alike to every claim, so that a number of them can be promised.

Nodes are alike if they have the same size, stand in the same NVLink domain, and satisfy the same classes with their
memory. In a lease without NVLink domains, under classes that ask for no memory, a pool is all nodes of one size.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Final, NamedTuple

from sublet.api.gpuclass import GpuClass
from sublet.api.ids import NodeUID
from sublet.book.holdings import Promise
from sublet.book.inventory import NodeState


class Pool(NamedTuple):
    """What nodes that are alike have in common."""

    size: int
    """GPUs of a node."""
    domain: str = ""
    """Their NVLink domain; empty is unknown, and never "the same"."""
    memory_mib: int = 0
    """The most that a class asks for and they have."""


NO_POOL: Final = Pool(0)


class Wanted(NamedTuple):
    """The pools that nodes may be taken of."""

    size: int
    memory_mib: int = 0
    domain: str | None = None
    """None: any."""

    def has(self, pool: Pool) -> bool:
        """Say whether nodes of a pool will do."""
        return (
            pool.size == self.size
            and pool.memory_mib >= self.memory_mib
            and self.domain in (None, pool.domain)
        )


class Pools:
    """The pools of one lease."""

    def __init__(self, nodes: Iterable[NodeState], tiers: Sequence[int] = ()) -> None:
        """Sort nodes into pools; `tiers`: what classes ask for of a GPU's memory, in order."""
        self._tiers = (0, *tiers)
        self.by_node: dict[NodeUID, Pool] = {}
        """node -> its pool"""
        known: dict[tuple[int, str | None, int | None], Pool] = {}  # what a node shows -> pool
        for node in nodes:
            shows = (node.gpus, node.clique, node.memory_mib)
            pool = known.get(shows)
            if pool is None:
                pool = Pool(node.gpus, node.clique or "", self.tier(node.memory_mib))
                known[shows] = pool
            self.by_node[node.uid] = pool
        self._suiting: dict[Wanted, tuple[Pool, ...]] = {}
        self.all: set[Pool] = set(known.values())
        """Every pool that there is or will be."""
        self._by_domain: dict[str, set[Pool]] = {}  # thousands of domains are asked one by one
        for pool in self.all:
            self._by_domain.setdefault(pool.domain, set()).add(pool)

    def of_coming(self, size: int) -> Pool:
        """Return the pool of nodes that aren't there yet: of unknown domain, with the memory that most have."""
        known = Counter[int]()
        for pool, nodes in self.nodes.items():
            known[pool.memory_mib] += nodes if pool.size == size else 0
        pool = Pool(size, "", max(known, key=lambda m: (known[m], m), default=0))
        self.all.add(pool)
        self._by_domain.setdefault(pool.domain, set()).add(pool)
        return pool

    @cached_property
    def nodes(self) -> Counter[Pool]:
        """Return pool -> nodes in it, free or not."""
        return Counter(self.by_node.values())

    def suiting(self, wanted: Wanted) -> tuple[Pool, ...]:
        """Return the pools of which nodes will do, those without an NVLink domain first."""
        found = self._suiting.get(wanted)
        if found is None:
            near = self.all if wanted.domain is None else self._by_domain.get(wanted.domain, ())
            some = sorted(pool for pool in near if wanted.has(pool))
            found = self._suiting[wanted] = tuple(some)
        return found

    def domains(self, size: int) -> frozenset[str]:
        """Return the NVLink domains with nodes of a size."""
        return frozenset(p.domain for p in self.suiting(Wanted(size)) if p.domain)

    def tier(self, memory_mib: int | None) -> int:
        """Return the most that a class asks for and this memory has; unknown memory has nothing."""
        return self._tiers[bisect_right(self._tiers, memory_mib or 0) - 1]


def tiers_of(
    classes: Iterable[GpuClass], products: Iterable[str], promises: Iterable[Promise] = ()
) -> tuple[int, ...]:
    """Return what classes of these products ask for of a GPU's memory, or did when windows were promised, in order."""
    sold = frozenset(products)
    found = {
        offer.spec.requires.memory_mi_b or 0
        for offer in classes
        if not sold.isdisjoint(offer.spec.products)
    }
    found |= {b.memory_mi_b or 0 for each in promises for b in each.allocation.bookings}
    return tuple(sorted(found - {0}))
