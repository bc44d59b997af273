"""What one lease can sell, in time: its window, the committed GPUs that nobody holds, and its free nodes.

Built once per pass from the lease, its inventory and what is held; changed only as the pass hands out nodes. What
is sold never exceeds what is committed, at any instant that the buyer would see.
"""

from collections import Counter
from collections.abc import Collection
from decimal import Decimal
from typing import Final

from sublet.api.gpuclaim import GpuClaim
from sublet.api.gpulease import GpuLease
from sublet.api.ids import ClaimUID, LeaseUID, NodeUID, TenantUID
from sublet.api.lease_terms import Commitment, CommitmentMode
from sublet.api.times import Millis
from sublet.book.free import FreeNodes
from sublet.book.holdings import Holdings
from sublet.book.inventory import LeaseInventory, NodeState, Reach, Unfit
from sublet.book.shape import shapes_on
from sublet.book.steps import FOREVER, Steps

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
    ) -> None:
        """Index the lease's nodes; `disputed` ones stand in another lease's inventory too and are never sold."""
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
        self.waits_ms = max(0, spec.term.start_time - now_ms)
        """How long until its term begins."""
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

    def fits(self, claim: GpuClaim) -> bool:
        """Say whether the claim has a form on its nodes; unknown sizes rule nothing out."""
        return not self.sizes or bool(shapes_on(claim, self.sizes))

    def headroom(self, until_ms: Millis) -> int:
        """Return the committed GPUs that nobody holds at any instant from now to `until_ms`."""
        return max(0, self._spare.least(self._now_ms, until_ms))

    def covered_until(self, gpus: int, from_ms: Millis, until_ms: Millis) -> Millis:
        """Return until when `gpus` more GPUs would stay within the commitment, at most `until_ms`."""
        return self._spare.first_below(gpus, from_ms, until_ms)

    def prolong(self, gpus: int, from_ms: Millis, until_ms: Millis) -> None:
        """Hold GPUs longer."""
        self._spare.add(-gpus, from_ms, until_ms)

    def take(
        self,
        node: NodeState,
        gpus: int,
        *,
        claim_uid: ClaimUID,
        tenant_uid: TenantUID,
        class_name: str,
        until_ms: Millis,
    ) -> None:
        """Give GPUs of one node to a claim; what is left of the node may go to another."""
        self.free.remove(node)
        self._holdings.take(claim_uid, tenant_uid, class_name, node.uid, gpus)
        self.free.put_back(node)
        self._spare.add(-gpus, self._now_ms, until_ms)


def disputed_nodes(inventories: Collection[LeaseInventory]) -> set[NodeUID]:
    """Return nodes that stand sellable in more than one inventory: nobody can say whose they are."""
    seen: Counter[NodeUID] = Counter()
    for inventory in inventories:
        seen.update(n.uid for n in inventory.nodes.values() if n.unfit is None)
    return {uid for uid, count in seen.items() if count > 1}


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
