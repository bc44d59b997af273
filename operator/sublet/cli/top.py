"""`sublet top`: the pool at a glance: leases with their counts, claims with their state. Reads objects only."""

from collections.abc import Sequence
from typing import Any

from sublet.api.common import find_condition
from sublet.api.gpuclaim import GpuClaim
from sublet.api.gpulease import GpuLease
from sublet.api.kinds import CLAIMS, LEASES
from sublet.api.move_status import all_nodes
from sublet.api.times import Millis, format_instant
from sublet.book.holdings import held_by
from sublet.cli.choices import Format
from sublet.cli.connect import Cluster, connect, run
from sublet.cli.objects import list_all
from sublet.cli.output import show_data, show_table
from sublet.cli.problems import Problem
from sublet.cli.watching import Picture, watch
from sublet.clock import SystemClock

LEASE_COLUMNS = ("lease", "product", "committed", "delivered", "bound", "reserved", "free", "ready")
LEASE_WIDE = ("provider", "region", "price", "healthy", "ends", "kubernetes")
CLAIM_COLUMNS = ("namespace", "claim", "class", "gpus", "state", "where", "until")
CLAIM_WIDE = ("tenant", "price", "billed-since", "nodes")


def command(context: str | None, output: Format, every_seconds: float | None) -> None:
    """Read all leases and claims and show them, once or again and again."""
    wide = output is Format.WIDE

    async def work() -> None:
        if every_seconds is not None and output not in (Format.TABLE, Format.WIDE):
            raise Problem("--watch shows tables; leave it out, or give -o table or wide")
        async with connect(context) as hub:
            if every_seconds is not None:
                await watch(lambda: _picture(hub, wide=wide), every_seconds, what="the pool")
            leases, claims = await read(hub)
        if output.is_data:
            show_data(as_data(leases, claims), output)  # to dump a thousand models takes a while
        else:
            show(leases, claims, wide=wide)

    run(work, what="the pool")


async def read(hub: Cluster) -> tuple[list[GpuLease], list[GpuClaim]]:
    """Read all leases and claims."""
    return await list_all(hub, LEASES, GpuLease), await list_all(hub, CLAIMS, GpuClaim)


def show(leases: Sequence[GpuLease], claims: Sequence[GpuClaim], *, wide: bool) -> None:
    """Print both tables."""
    show_leases(leases, SystemClock().now_ms(), wide=wide)
    print()
    show_claims(claims, wide=wide)


async def _picture(hub: Cluster, *, wide: bool) -> Picture:
    leases, claims = await read(hub)
    return lambda: show(leases, claims, wide=wide)


def show_leases(leases: Sequence[GpuLease], now_ms: Millis, *, wide: bool = False) -> None:
    """Print one line per lease; `wide` adds what the contract says."""
    columns = (*LEASE_COLUMNS, *(LEASE_WIDE if wide else ()))
    show_table(
        columns, [(*_lease_row(x), *(_lease_wide(x, now_ms) if wide else ())) for x in leases]
    )


def show_claims(claims: Sequence[GpuClaim], *, wide: bool = False) -> None:
    """Print one line per claim; `wide` adds who pays how much for what."""
    columns = (*CLAIM_COLUMNS, *(CLAIM_WIDE if wide else ()))
    show_table(columns, [(*_claim_row(x), *(_claim_wide(x) if wide else ())) for x in claims])


def _lease_row(lease: GpuLease) -> tuple[object, ...]:
    counts = lease.status.inventory
    ready = find_condition(lease.status.conditions, "Ready")
    state = "Unknown" if ready is None else ready.status
    if ready is not None and ready.status != "True":
        state = f"{ready.status} ({ready.reason})"
    if counts is None:
        return (lease.metadata.name, lease.spec.product, *("?" for _ in range(5)), state)
    return (
        lease.metadata.name,
        lease.spec.product,
        counts.committed,
        counts.delivered,
        counts.bound,
        counts.reserved,
        counts.free,
        state,
    )


def _lease_wide(lease: GpuLease, now_ms: Millis) -> tuple[object, ...]:
    spec, counts = lease.spec, lease.status.inventory
    begun = [p for p in spec.prices if p.effective_time <= now_ms]
    price = max(begun, key=lambda p: p.effective_time).per_gpu_hour if begun else None
    return (
        spec.provider,
        spec.location.region,
        f"{price:f} {spec.currency}" if price is not None else "",
        counts.healthy if counts else "?",
        format_instant(spec.term.end_time) if spec.term.end_time else "",
        lease.status.kubernetes_version,
    )


def _claim_wide(claim: GpuClaim) -> tuple[object, ...]:
    allocation = held_by(claim)
    if allocation is None:
        return ("",) * len(CLAIM_WIDE)
    return (
        allocation.tenant,
        f"{allocation.price_per_gpu_hour:f} {allocation.currency}",
        format_instant(allocation.bound_time) if allocation.bound_time else "",
        ", ".join(p.node for p in all_nodes(claim)),
    )


def _claim_row(claim: GpuClaim) -> tuple[object, ...]:
    allocation = held_by(claim)
    places = (allocation.placements or allocation.bookings) if allocation else ()
    where = sorted({p.lease for p in places})
    until = format_instant(allocation.until_time) if allocation and allocation.until_time else ""
    return (
        claim.metadata.namespace,
        claim.metadata.name,
        claim.spec.class_name,
        claim.spec.gpus,
        state_of(claim),
        ", ".join(where),
        until,
    )


def state_of(claim: GpuClaim) -> str:
    """Return the one word that says where a claim stands."""
    for type_ in ("Ended", "Releasing", "Bound", "Reserved"):
        found = find_condition(claim.status.conditions, type_)
        if found is not None and found.status == "True":
            return type_
    return claim.status.pending.reason if claim.status.pending else "Waiting"


def as_data(leases: Sequence[GpuLease], claims: Sequence[GpuClaim]) -> dict[str, Any]:
    """Return the same for programs."""
    return {
        "leases": [
            lease.model_dump(mode="json", by_alias=True, exclude_none=True) for lease in leases
        ],
        "claims": [
            claim.model_dump(mode="json", by_alias=True, exclude_none=True) for claim in claims
        ],
    }
