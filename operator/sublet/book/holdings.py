"""Who holds which GPUs now: the union of what nodes say and what the hub says.

Possession is the node's own book, intention is a claim's allocation; where they differ, capacity stays held. So a
claim's allocation counts even while its node can't be seen, and an entry of a node's book counts even if the hub
knows no such claim. Changed by the pass as it hands out GPUs; thrown away with it.
"""

from bisect import bisect_right, insort
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from sublet.api.common import is_true
from sublet.api.gpuclaim import Allocation, GpuClaim
from sublet.api.ids import ClaimUID, LeaseUID, NodeUID, TenantUID
from sublet.api.times import Millis
from sublet.book.inventory import LeaseInventory

FOREVER = Millis(2**62)
"""The end of a claim that has none."""


def holds(claim: GpuClaim) -> bool:
    """Say whether a claim holds GPUs: from its reservation until its release is done."""
    return claim.status.allocation is not None and is_true(claim.status.conditions, "Reserved")


@dataclass(slots=True)
class NodeHold:
    """What is held of one node."""

    claims: dict[ClaimUID, int] = field(default_factory=dict)
    """claim UID -> GPUs"""
    tenants: set[TenantUID] = field(default_factory=set)

    @property
    def gpus(self) -> int:
        """Return the GPUs held."""
        return sum(self.claims.values())


class Holdings:
    """The GPUs that are held, by node, by lease in time, and by tenant and class."""

    def __init__(self, claims: Iterable[GpuClaim], inventories: Iterable[LeaseInventory]) -> None:
        self._nodes: dict[NodeUID, NodeHold] = {}  # node UID -> what is held of it
        self._until: dict[LeaseUID, list[tuple[Millis, int]]] = defaultdict(
            list
        )  # lease UID -> (end, GPUs)
        self._quota: dict[tuple[TenantUID, str], int] = defaultdict(int)  # (tenant, class) -> GPUs
        known: set[tuple[ClaimUID, NodeUID]] = set()
        for claim in claims:
            if holds(claim) and claim.status.allocation is not None:
                self._add_claim(claim, claim.status.allocation, known)
        for inventory in inventories:
            self._add_books(inventory, known)
        for ends in self._until.values():
            ends.sort()

    def node(self, uid: NodeUID) -> NodeHold | None:
        """Return what is held of a node, None if it is free."""
        return self._nodes.get(uid)

    def of_lease(self, uid: LeaseUID, at_ms: Millis) -> int:
        """Return the GPUs of a lease that are held past an instant."""
        ends = self._until[uid]
        return sum(gpus for _, gpus in ends[bisect_right(ends, (at_ms, 2**62)) :])

    def of_tenant(self, uid: TenantUID, class_name: str) -> int:
        """Return the GPUs of a class that a tenant holds."""
        return self._quota[uid, class_name]

    def take(
        self,
        claim_uid: ClaimUID,
        tenant_uid: TenantUID,
        class_name: str,
        lease_uid: LeaseUID,
        node_uid: NodeUID,
        gpus: int,
        until_ms: Millis | None,
    ) -> None:
        """Add GPUs of one node to what a claim holds."""
        hold = self._nodes.setdefault(node_uid, NodeHold())
        hold.claims[claim_uid] = gpus
        hold.tenants.add(tenant_uid)
        insort(self._until[lease_uid], (until_ms or FOREVER, gpus))
        self._quota[tenant_uid, class_name] += gpus

    def _add_claim(
        self, claim: GpuClaim, allocation: Allocation, known: set[tuple[ClaimUID, NodeUID]]
    ) -> None:
        uid, tenant = ClaimUID(claim.metadata.uid), TenantUID(allocation.tenant_uid)
        until = allocation.until_time or FOREVER
        for place in allocation.placements:
            node_uid = NodeUID(place.node_uid)
            hold = self._nodes.setdefault(node_uid, NodeHold())
            hold.claims[uid] = place.gpus
            hold.tenants.add(tenant)
            self._until[LeaseUID(place.lease_uid)].append((until, place.gpus))
            self._quota[tenant, claim.spec.class_name] += place.gpus
            known.add((uid, node_uid))

    def _add_books(self, inventory: LeaseInventory, known: set[tuple[ClaimUID, NodeUID]]) -> None:
        for node in inventory.nodes.values():
            for entry in node.holdings:
                if (entry.claim_uid, node.uid) in known:
                    continue
                hold = self._nodes.setdefault(node.uid, NodeHold())
                hold.claims[entry.claim_uid] = entry.gpus
                if node.tenant_uid is not None:
                    hold.tenants.add(node.tenant_uid)
                self._until[inventory.lease_uid].append((FOREVER, entry.gpus))
