"""Inventories and views for the book's tests: leases with so many nodes, held or not."""

from collections.abc import Iterable
from typing import Any

from sublet.api import claim_status
from sublet.api.gpuclaim import Allocation, GpuClaim
from sublet.api.gpuclass import GpuClass
from sublet.api.gpulease import GpuLease, NodeSharing
from sublet.api.gputenant import GpuTenant
from sublet.api.ids import ClaimUID, LeaseUID, NodeName, NodeUID
from sublet.api.times import Millis
from sublet.book.decisions import Plan, Refuse, Reserve
from sublet.book.inventory import Holding, LeaseInventory, NodeState, Reach, Unfit
from sublet.book.view import View
from sublet.ledger.terms import PriceTerms
from tests.builders.api import NOW, as_class, as_tenant, uid_of


def nodes(
    lease: GpuLease,
    count: int,
    *,
    gpus: int = 8,
    zones: tuple[str, ...] = ("a",),
    unfit: Unfit | None = None,
    held_by: str | None = None,
    prefix: str = "",
) -> list[NodeState]:
    """Return nodes of a lease, spread over zones in turn."""
    stem = prefix or lease.metadata.name
    holding = (Holding(ClaimUID(held_by), gpus),) if held_by else ()
    return [
        NodeState(
            name=NodeName(f"{stem}-{i:04d}"),
            uid=NodeUID(uid_of(f"{stem}-{i}")),
            product=lease.spec.product,
            gpus=gpus,
            zone=zones[i % len(zones)],
            sharing=NodeSharing(lease.spec.node_sharing),
            unfit=unfit,
            holdings=holding,
        )
        for i in range(count)
    ]


def inventory(lease: GpuLease, all_nodes: Iterable[NodeState], **fields: Any) -> LeaseInventory:
    """Return a reachable, proven, synced inventory."""
    base: dict[str, Any] = {
        "reach": Reach.REACHABLE,
        "synced": True,
        "isolation_ready": True,
        "generation": 1,
    }
    return LeaseInventory(
        lease_uid=LeaseUID(lease.metadata.uid),
        nodes={n.name: n for n in all_nodes},
        **(base | fields),
    )


def view(
    claims: Iterable[GpuClaim],
    fleet: Iterable[tuple[GpuLease, LeaseInventory]],
    *,
    classes: tuple[GpuClass, ...] | None = None,
    tenants: tuple[GpuTenant, ...] | None = None,
    now_ms: Millis = NOW,
    **fields: Any,
) -> View:
    """Return the book's input; class h100 and tenant acme are there by default."""
    pairs = tuple(fleet)
    return View(
        now_ms=now_ms,
        claims=tuple(claims),
        leases=tuple(lease for lease, _ in pairs),
        classes=classes if classes is not None else (as_class(),),
        tenants=tenants if tenants is not None else (as_tenant(),),
        inventories={LeaseUID(lease.metadata.uid): found for lease, found in pairs},
        **fields,
    )


def reserve_of(made: Plan, claim: GpuClaim) -> Reserve:
    """Return a claim's reservation; fails with what was decided instead."""
    found = next(d for d in made.decisions if d.claim_uid == claim.metadata.uid)
    assert isinstance(found, Reserve), found
    return found


def refusal_of(made: Plan, claim: GpuClaim) -> Refuse:
    """Return a claim's refusal; fails with what was decided instead."""
    found = next(d for d in made.decisions if d.claim_uid == claim.metadata.uid)
    assert isinstance(found, Refuse), found
    return found


def carried_out(claim: GpuClaim, decision: Reserve, now_ms: Millis = NOW) -> GpuClaim:
    """Return the claim as it is once a reservation is written."""
    allocation = Allocation(
        sequence=decision.sequence,
        tenant=decision.tenant,
        tenant_uid=decision.tenant_uid,
        price_per_gpu_hour=decision.price_per_gpu_hour,
        currency=decision.currency,
        price_hash=PriceTerms(decision.price_per_gpu_hour, decision.currency).hash,
        decided_time=decision.decided_ms,
        until_time=decision.until_ms,
        until_cause=decision.until_cause,
        placements=decision.placements,
    )
    return claim.model_copy(update={"status": claim_status.reserved(claim, allocation, now_ms)})
