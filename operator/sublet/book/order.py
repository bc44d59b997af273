"""Who comes first: priority, then a tenant's protected GPUs, then its weighted fair share, then age.

A tenant's share is the largest part that it holds of what any class has (dominant resource fairness, Ghodsi et al.,
NSDI 2011), over its weight, at any instant of the time that it asks for, windows that it was promised included; what it
held in the past counts too, less and less. It rises with every GPU that the pass gives it, so the turn goes round. Nobody
waits for the one in front: a claim that finds no place is refused and the next one is served.
"""

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache

from sublet.api.gpuclaim import GpuClaim
from sublet.api.ids import LeaseUID, TenantUID
from sublet.book.demand import Demand
from sublet.book.steps import FOREVER
from sublet.book.tenant_holdings import TenantHoldings

Rank = tuple[int, int, str]
"""Smallest first."""
Turn = tuple[int, bool, int, int, str]
"""Smallest first, too."""
_PARTS = 1_000_000_000
"""A share is counted in so many parts of a class: whole numbers are the same on every machine."""
_MILLI = 1_000
"""GPUs held in the past are counted in thousandths."""


def rank(claim: GpuClaim, priority: int) -> Rank:
    """Return a claim's place among its tenant's own, by the value of its PriorityClass."""
    return (-priority, claim.metadata.creation_timestamp or 0, claim.metadata.uid)


def rank_of_holder(claim: GpuClaim) -> Rank:
    """Return the place of a claim that holds GPUs: its priority was fixed at reservation."""
    allocation = claim.status.allocation
    return rank(claim, allocation.priority if allocation is not None else 0)


class Shares:
    """What each tenant holds of each class in a time, or was promised for it, as a part of what there is."""

    def __init__(
        self,
        holdings: TenantHoldings,
        class_gpus: Callable[[str], int],
        classes_of: Callable[[LeaseUID], Iterable[str]],
        usage: Mapping[TenantUID, Mapping[LeaseUID, int]],
    ) -> None:
        """Read what the pass gives as it gives it.

        `class_gpus` returns how many GPUs there are of a class, `classes_of` the classes that a lease's GPUs stand for;
        `usage` is what tenants held of leases in the past, in thousandths of a GPU.
        """
        self._class_gpus = cache(class_gpus)
        self._classes_of = cache(classes_of)
        self._usage = usage
        self._past: dict[TenantUID, Mapping[str, int]] = {}
        """tenant -> class -> thousandths of GPUs held in the past, made when first asked for"""
        self._holdings = holdings

    def dominant(self, demand: Demand) -> int:
        """Return a tenant's largest share of any class over its weight while a demand would last, in billionths."""
        past = self._past_of(demand.tenant_uid)
        share = max(
            (
                self._part(name, self._held(demand, name) * _MILLI + past.get(name, 0))
                for name in {*self._holdings.classes_of(demand.tenant_uid), *past}
            ),
            default=0,
        )
        return share // demand.tenant.spec.weight

    def is_protected(self, demand: Demand) -> bool:
        """Say whether a tenant is within what is protected for it with a demand, while that would last."""
        name = demand.claim.spec.class_name
        protected = demand.tenant.spec.protected_of(name)
        return demand.gpus <= protected and self._held(demand, name) + demand.gpus <= protected

    def _held(self, demand: Demand, class_name: str) -> int:
        """Return the most GPUs of a class that a demand's tenant holds, or was promised, while that would last."""
        window = (demand.start_ms, demand.until_on(FOREVER))
        return self._holdings.most(demand.tenant_uid, class_name, *window)

    def _past_of(self, uid: TenantUID) -> Mapping[str, int]:
        past = self._past.get(uid)
        if past is None:
            found: dict[str, int] = defaultdict(int)
            for lease, thousandths in self._usage.get(uid, {}).items():
                for name in self._classes_of(lease):
                    found[name] += thousandths
            past = self._past[uid] = found
        return past

    def _part(self, class_name: str, thousandths: int) -> int:
        return thousandths * _PARTS // (_MILLI * max(1, self._class_gpus(class_name)))


def in_turn(demands: Iterable[Demand], shares: Shares) -> Iterator[Demand]:
    """Yield demands in order; whoever serves one counts it in the tenant's holdings before it asks for the next.

    A share only rises, so the queue whose key was right when it was put down is looked at again when its turn comes.
    """
    queues: dict[tuple[TenantUID, str], list[Demand]] = defaultdict(list)
    for demand in demands:
        queues[demand.tenant_uid, demand.claim.spec.class_name].append(demand)
    for queue in queues.values():
        queue.sort(key=lambda d: rank(d.claim, d.priority), reverse=True)
    turns = [(turn_of(queue[-1], shares), name) for name, queue in queues.items()]
    heapq.heapify(turns)
    while turns:
        key, name = heapq.heappop(turns)
        queue = queues[name]
        if (now := turn_of(queue[-1], shares)) != key:
            heapq.heappush(turns, (now, name))
            continue
        yield queue.pop()
        if queue:
            heapq.heappush(turns, (turn_of(queue[-1], shares), name))


def turn_of(demand: Demand, shares: Shares) -> Turn:
    """Return when a demand's turn comes among the heads of all queues."""
    first, created, uid = rank(demand.claim, demand.priority)
    return (first, not shares.is_protected(demand), shares.dominant(demand), created, uid)
