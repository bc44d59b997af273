"""A lease's GPUs, counted for its status. Pure.

Of a lease whose nodes haven't been read since we started, what was counted last stands; but free is only what a claim could
be given now, so it is 0 of a lease that the book sells nothing of. The counts keep their changedTime while they stay, so
that nothing is written at rest.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Final

from sublet.api.gpulease import GpuLease, InventoryStatus, Unsellable
from sublet.api.times import Millis
from sublet.book.across import NEVER_SOLD
from sublet.book.contract import committed_at
from sublet.book.inventory import LeaseInventory, Reach
from sublet.book.maintenance import away_at

LOST: Final = "Lost"
"""Reason of all GPUs of a lease whose cluster is lost."""
RELEASE_FORCED: Final = "ReleaseForced"
"""Reason of GPUs that a person's word took from a claim and that nobody has seen free."""


@dataclass(frozen=True, slots=True)
class _Nodes:
    """What stands on a lease's nodes."""

    delivered: int
    free: int
    unsellable: Counter[str]
    """reason -> GPUs"""


def counted(
    lease: GpuLease,
    inventory: LeaseInventory,
    now_ms: Millis,
    *,
    reserved: int,
    bound: int,
    is_lost: bool,
    is_closed: bool = False,
) -> InventoryStatus:
    """Return the counts; the old ones if they are the same. `reserved` and `bound`: GPUs that the hub gave to claims.

    `is_closed`: it takes nothing new, whatever its spec says.
    """
    old = lease.status.inventory
    seen = _of_status(lease, old) if old and _is_unread(inventory) else _of_nodes(lease, inventory)
    if is_lost:
        seen = _Nodes(seen.delivered, 0, Counter({LOST: seen.delivered} if seen.delivered else {}))
    committed, forced = committed_at(lease, now_ms), seen.unsellable[RELEASE_FORCED]
    never_sold = sum(seen.unsellable[unfit.value] for unfit in NEVER_SOLD)
    missing = max(0, committed - seen.delivered + never_sold)
    spare = committed - away_at(lease, now_ms, missing) - reserved - bound - forced
    reasons = {reason: gpus for reason, gpus in sorted(seen.unsellable.items()) if gpus}
    sells = not is_closed and _sells(lease, inventory, now_ms)
    fields = {
        "delivered": seen.delivered,
        "healthy": max(0, seen.delivered - sum(reasons.values())),
        "unsellable": tuple(Unsellable(reason=r, gpus=g) for r, g in reasons.items()),
        "committed": committed,
        "reserved": reserved,
        "bound": bound,
        "free": max(0, min(seen.free, spare)) if sells else 0,
    }
    if old is not None and all(getattr(old, name) == value for name, value in fields.items()):
        return old
    generation = old.generation + 1 if old is not None else 1
    return InventoryStatus.model_validate(
        {**fields, "generation": generation, "changed_time": now_ms}
    )


def _sells(lease: GpuLease, inventory: LeaseInventory, now_ms: Millis) -> bool:
    """Say whether a claim that begins now may get a place on the lease, by the lease's side of `book.standing`."""
    term, last = lease.spec.term, lease.spec.term.last_usable_ms()
    runs = term.start_time <= now_ms and (last is None or now_ms < last)
    is_open = lease.spec.accepting_claims and lease.metadata.deletion_timestamp is None
    is_seen = inventory.reach is Reach.REACHABLE and inventory.synced
    return runs and is_open and is_seen and inventory.isolation_ready


def _is_unread(inventory: LeaseInventory) -> bool:
    return not inventory.synced and not inventory.nodes


def _of_status(lease: GpuLease, old: InventoryStatus) -> _Nodes:
    """Return what was counted last, with what was forced since."""
    reasons = Counter({u.reason: u.gpus for u in old.unsellable})
    reasons[RELEASE_FORCED] = sum(left.gpus for left in lease.status.leftovers)
    return _Nodes(old.delivered, 0, reasons)


def _of_nodes(lease: GpuLease, inventory: LeaseInventory) -> _Nodes:
    left = {each.claim_uid for each in lease.status.leftovers}
    reasons: Counter[str] = Counter()
    delivered = free = 0
    for node in inventory.nodes.values():
        delivered += node.gpus
        if node.unfit is not None:
            reasons[node.unfit.value] += node.gpus
            continue
        free += max(0, node.gpus - node.held)
        if left:
            reasons[RELEASE_FORCED] += sum(h.gpus for h in node.holdings if h.claim_uid in left)
    return _Nodes(delivered, free, reasons)
