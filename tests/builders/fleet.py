"""Inventories and views for the book's tests: leases with so many nodes, held or not; plans carried out."""

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Any

from sublet.api import bound_status, claim_status, move_status
from sublet.api.gpuclaim import Access, Allocation, ClaimStatus, GpuClaim, Release
from sublet.api.gpuclass import GpuClass
from sublet.api.gpulease import GpuLease, NodeSharing
from sublet.api.gputenant import GpuTenant
from sublet.api.ids import ClaimUID, LeaseUID, NodeName, NodeUID, TenantName, TenantUID
from sublet.api.relocation import Move, PlacedNode, ReleaseCause
from sublet.api.times import Millis
from sublet.book.decisions import (
    CutOver,
    Dearer,
    Degrade,
    Extend,
    Fail,
    Notice,
    Plan,
    Refuse,
    Relocate,
    Reserve,
    Silence,
    Take,
    Warn,
)
from sublet.book.holdings import held_by
from sublet.book.inventory import Holding, LeaseInventory, NodeState, Reach, Unfit
from sublet.book.plan import plan
from sublet.book.view import View
from sublet.ledger.terms import PriceTerms
from tests.builders.api import NOW, as_class, as_tenant, tenant, uid_of


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
        class_name=decision.agreed.class_name,
        class_uid=decision.agreed.class_uid,
        pricing=decision.agreed.pricing,
        rounding=decision.agreed.rounding,
        sla=decision.agreed.sla,
        host_share=decision.agreed.host_share,
        host_share_noted=decision.agreed.host_share_noted,
        priority=decision.priority,
        decided_time=decision.decided_ms,
        until_time=decision.until_ms,
        until_cause=decision.until_cause,
        placements=decision.placements,
        bookings=decision.bookings,
        cancellation=decision.cancellation,
        given_up=decision.given_up,
    )
    write = claim_status.reserved if decision.placements else claim_status.booked
    return claim.model_copy(update={"status": write(claim, allocation, now_ms)})


def held(
    claim: GpuClaim,
    lease: GpuLease,
    places: Iterable[NodeState],
    *,
    gpus: int | None = None,
    until_ms: Millis | None = None,
    cause: ReleaseCause | None = None,
    decided_ms: Millis = NOW,
    tenant_name: str = "acme",
) -> GpuClaim:
    """Return a claim that holds these nodes of a lease, `gpus` of each (all of them by default)."""
    decision = Reserve(
        claim_uid=ClaimUID(claim.metadata.uid),
        sequence=1,
        tenant=TenantName(tenant_name),
        tenant_uid=TenantUID(as_tenant(tenant(tenant_name)).metadata.uid),
        price_per_gpu_hour=Decimal("3.99"),
        currency="USD",
        priority=0,
        decided_ms=decided_ms,
        until_ms=until_ms,
        until_cause=cause or (ReleaseCause.COMPLETED if until_ms is not None else None),
        placements=tuple(
            PlacedNode(
                lease=lease.spec.tenant_alias,
                lease_uid=lease.metadata.uid,
                product=node.product,
                gpus=gpus or node.gpus,
                node=node.name,
                node_uid=node.uid,
            )
            for node in places
        ),
    )
    return carried_out(claim, decision, decided_ms)


def after(seen: View, made: Plan, **changes: Any) -> View:
    """Return the view once every decision of its plan was carried out; what is released isn't free yet."""
    claims = {ClaimUID(c.metadata.uid): c for c in seen.claims}
    for decision in made.decisions:
        claim = claims[decision.claim_uid]
        if isinstance(decision, Reserve):
            claims[decision.claim_uid] = carried_out(claim, decision, seen.now_ms)
        elif isinstance(decision, Extend):
            status = claim_status.extended(
                claim,
                decision.until_ms,
                decision.until_cause,
                seen.now_ms,
                decision.given_up,
            )
            claims[decision.claim_uid] = claim.model_copy(update={"status": status})
        elif isinstance(decision, Warn):
            status = claim_status.late(claim, decision.message, seen.now_ms)
            claims[decision.claim_uid] = claim.model_copy(update={"status": status})
        elif isinstance(decision, Notice):
            status = bound_status.expiring(claim, decision.reason, decision.message, seen.now_ms)
            claims[decision.claim_uid] = claim.model_copy(update={"status": status})
        elif isinstance(decision, Take):
            claims[decision.claim_uid] = released(claim, decision, seen.now_ms, done=False)
        elif isinstance(decision, Fail):
            status = claim.status.model_copy(update={"downtimes": decision.downtimes})
            claims[decision.claim_uid] = claim.model_copy(update={"status": status})
        elif isinstance(decision, Dearer):
            status = bound_status.priced(claim, decision.reason, decision.message, seen.now_ms)
            claims[decision.claim_uid] = claim.model_copy(update={"status": status})
        elif isinstance(decision, Relocate | CutOver | Degrade | Silence):
            status = _relocated(claim, decision, seen.now_ms)
            claims[decision.claim_uid] = claim.model_copy(update={"status": status})
    return replace(seen, claims=tuple(claims.values()), **changes)


def with_notices(seen: View) -> View:
    """Return the view once its claims were told of their ends."""
    made = plan(seen)
    notices = tuple(d for d in made.decisions if isinstance(d, Notice))
    return after(seen, replace(made, decisions=notices))


def _relocated(
    claim: GpuClaim, decision: Relocate | CutOver | Degrade | Silence, now_ms: Millis
) -> ClaimStatus:
    """Return the status once a decision about a bound claim's nodes was carried out; other nodes are ready at once."""
    if isinstance(decision, Degrade):
        return bound_status.degraded(claim, decision.reason, decision.message, now_ms)
    if isinstance(decision, Silence):
        return bound_status.reached(
            claim, decision.reason, decision.message, decision.outages, now_ms
        )
    if isinstance(decision, CutOver):
        return move_status.cut_over(claim, decision.at_ms, now_ms, decision.left_ms)
    move = Move(
        sequence=decision.sequence,
        cause=decision.cause,
        decided_time=decision.decided_ms,
        cutover_time=decision.cutover_ms,
        until_time=decision.until_ms,
        until_cause=decision.until_cause,
        placements=decision.placements,
    )
    begun = claim.model_copy(update={"status": move_status.moving(claim, move, now_ms)})
    return move_status.ready_to_move(begun, None, now_ms)


def bound(claim: GpuClaim, now_ms: Millis = NOW) -> GpuClaim:
    """Return a reserved claim as it is once its nodes are handed over."""
    access = Access(secret_name=f"{claim.metadata.name}-kubeconfig", clusters=())
    status = claim_status.bound(claim, now_ms, access, now_ms)
    return claim.model_copy(update={"status": status})


def released(
    claim: GpuClaim, decision: Take, now_ms: Millis = NOW, *, done: bool = True
) -> GpuClaim:
    """Return the claim as it is while its GPUs are taken back, and once that is done."""
    allocation = claim.status.allocation
    assert allocation is not None
    release = Release(
        cause=decision.cause, release_time=decision.release_ms, sequence=allocation.sequence
    )
    going = claim.model_copy(
        update={"status": claim_status.releasing(claim, release, now_ms, decision.given_up)}
    )
    if not done:
        return going
    return going.model_copy(update={"status": claim_status.released(going, now_ms)})


def vacated(claim: GpuClaim, at_ms: Millis) -> GpuClaim:
    """Return a claim that is being released once its last pod is gone: its nodes rest from then on."""
    release = claim.status.release
    assert release is not None
    rests = release.model_copy(update={"vacated_time": at_ms})
    return claim.model_copy(update={"status": claim.status.model_copy(update={"release": rests})})


def with_books(seen: View) -> View:
    """Return the view with each node's own book as its claims' allocations are."""
    held = {
        (place.lease_uid, place.node_uid): (claim, allocation, place)
        for claim in seen.claims
        if (allocation := held_by(claim)) is not None
        for place in allocation.placements
    }
    return replace(
        seen,
        inventories={
            uid: replace(
                found,
                nodes={n.name: _booked(n, held.get((uid, n.uid))) for n in found.nodes.values()},
            )
            for uid, found in seen.inventories.items()
        },
    )


def _booked(node: NodeState, held: tuple[GpuClaim, Allocation, PlacedNode] | None) -> NodeState:
    if held is None:
        return node
    claim, allocation, place = held
    entry = Holding(ClaimUID(claim.metadata.uid), place.gpus)
    return replace(node, holdings=(entry,), tenant_uid=TenantUID(allocation.tenant_uid))
