"""Windows to come and the fleet they are promised on: hours from NOW, leases west and east of two nodes each."""

from typing import Any

from sublet.api.gpuclaim import GpuClaim
from sublet.api.gpulease import GpuLease
from sublet.api.times import Millis, format_instant
from sublet.book.inventory import LeaseInventory
from sublet.book.plan import plan
from tests.builders.api import NOW, as_claim, as_lease, claim, lease
from tests.builders.fleet import carried_out, inventory, nodes, reserve_of, view

HOUR = 3_600_000
Fleet = list[tuple[GpuLease, LeaseInventory]]
WEST, EAST = as_lease(lease("west", committed=16)), as_lease(lease("east", committed=16))


def at(hour: float) -> Millis:
    """Return the instant so many hours after NOW."""
    return Millis(NOW + int(hour * HOUR))


def ahead(name: str, start: float, lasts: float | None, gpus: int = 16, **spec: Any) -> GpuClaim:
    """Return a claim for a window to come."""
    schedule: dict[str, object] = {"startTime": format_instant(at(start))}
    if lasts is not None:
        schedule["durationSeconds"] = int(lasts * 3600)
    return as_claim(claim(name, gpus=gpus, schedule=schedule, **spec))


def lasting(name: str, hours: float | None, gpus: int = 16, **spec: Any) -> GpuClaim:
    """Return a claim that begins as soon as it can."""
    schedule = {"durationSeconds": int(hours * 3600)} if hours is not None else {}
    return as_claim(claim(name, gpus=gpus, schedule=schedule, **spec))


def west(count: int = 2, **fields: Any) -> Fleet:
    """Return the lease west with so many nodes."""
    return [(WEST, inventory(WEST, nodes(WEST, count), **fields))]


def promised(each: GpuClaim, fleet: Fleet | None = None) -> GpuClaim:
    """Return a claim with the promise that the book makes it."""
    return carried_out(each, reserve_of(plan(view([each], fleet or west())), each))
