"""An object in each state of the table of Ready and kstatus, as the hub stores it, with what kstatus says of it."""

from dataclasses import dataclass, replace
from typing import Any, Final

from sublet.api import bound_status, claim_status, move_status
from sublet.api.gpuclaim import Access, Booking, ClaimStatus, ClusterAccess, GpuClaim, Release
from sublet.api.gpulease import GpuLease
from sublet.api.kinds import CLAIMS
from sublet.api.pending import Pending, PendingReason
from sublet.api.relocation import Move, MoveCause, ReleaseCause
from sublet.api.times import Millis
from sublet.book.inventory import Reach
from sublet.book.plan import plan
from sublet.crdgen.crd import custom_resource_definition
from sublet.fleet.conditions import Held, lease_status
from sublet.fleet.facts import LeaseFacts
from tests.builders.api import API, NOW, as_claim, as_lease, claim, lease
from tests.builders.fleet import carried_out, inventory, nodes, reserve_of, view

LATER: Final = Millis(NOW + 60_000)
CURRENT: Final = "Current"
IN_PROGRESS: Final = "InProgress"
FAILED: Final = "Failed"
TERMINATING: Final = "Terminating"
_PASSING: Final = {
    PendingReason.WAITING_FOR_CAPACITY,
    PendingReason.LEASE_UNREACHABLE,
    PendingReason.RELEASING,
}


@dataclass(frozen=True, slots=True)
class State:
    """An object and what kstatus says of it."""

    name: str
    body: dict[str, Any]
    kstatus: str


def states() -> list[State]:
    """Return every state of claims, and those of leases that differ."""
    bound = _bound()
    return [*_held(bound), *_waiting(), *_released(bound), *_leases()]


def _reserved() -> GpuClaim:
    new, west = as_claim(), as_lease()
    made = plan(view([new], [(west, inventory(west, nodes(west, 1)))]))
    return carried_out(new, reserve_of(made, new))


def _bound() -> GpuClaim:
    reserved = _reserved()
    cluster = ClusterAccess(alias="west", namespace="n", expiration_time=LATER)
    access = Access(secret_name="s", clusters=(cluster,))
    return _with(reserved, claim_status.bound(reserved, NOW, access, NOW))


def _held(bound: GpuClaim) -> list[State]:
    reserved, allocation = _reserved(), bound.status.allocation
    assert allocation is not None
    booking = Booking(lease="west", lease_uid="w", product="p", nodes=1, gpus_per_node=8)
    ahead = allocation.model_copy(update={"bookings": (booking,), "placements": ()})
    later = as_claim(claim(schedule={"startTime": "2026-11-22T12:00:00Z"}))
    move = Move(
        sequence=2,
        cause=MoveCause.LEASE_ENDS,
        decided_time=NOW,
        placements=allocation.placements,
    )
    told = {
        "promised ahead": (_with(later, claim_status.booked(later, ahead, NOW)), CURRENT),
        "new": (as_claim(), IN_PROGRESS),
        "reserved": (reserved, IN_PROGRESS),
        "bound": (bound, CURRENT),
        "bound, a node is ill": (
            _with(bound, bound_status.degraded(bound, "NodeFailed", "m", NOW)),
            CURRENT,
        ),
        "bound, its lease ends": (
            _with(bound, bound_status.expiring(bound, "LeaseEnds", "m", NOW)),
            CURRENT,
        ),
        "bound, its cluster is silent": (
            _with(bound, bound_status.reached(bound, "Unreachable", "m", (), NOW)),
            CURRENT,
        ),
        "bound, comes to other nodes": (
            _with(bound, move_status.moving(bound, move, NOW)),
            IN_PROGRESS,
        ),
        "bound, then changed": (_meta(bound, generation=2), IN_PROGRESS),
        "bound, then deleted": (_meta(bound, deletion_timestamp=NOW), TERMINATING),
    }
    return [State(f"claim {name}", _stored(each), said) for name, (each, said) in told.items()]


def _waiting() -> list[State]:
    found = []
    for reason in PendingReason:
        quote = reason is PendingReason.SUSPENDED
        each = as_claim(claim(suspended=quote))
        pending = Pending(reason=reason, message="m")
        waits = _with(each, claim_status.waiting(each, pending, NOW))
        said = CURRENT if quote else IN_PROGRESS if reason in _PASSING else FAILED
        found.append(State(f"claim waits: {reason}", _stored(waits), said))
    each = as_claim()
    pending = Pending(reason=PendingReason.SUSPENDED, message="m")
    waits = _with(each, claim_status.waiting(each, pending, NOW))
    return [*found, State("claim of a suspended tenant", _stored(waits), FAILED)]


def _released(bound: GpuClaim) -> list[State]:
    found = []
    for cause in ReleaseCause:
        release = Release(cause=cause, release_time=NOW, sequence=1)
        going = _with(bound, claim_status.releasing(bound, release, NOW))
        done = _with(going, claim_status.released(going, LATER))
        rests = cause.is_final or cause is ReleaseCause.SUSPENDED
        found.append(State(f"claim being released: {cause}", _stored(going), IN_PROGRESS))
        said = CURRENT if rests else IN_PROGRESS
        found.append(State(f"claim released: {cause}", _stored(done), said))
    return found


def _leases() -> list[State]:
    west = as_lease(lease(committed=8))
    good = LeaseFacts(
        reach=Reach.REACHABLE,
        synced=True,
        credentials_checked=True,
        cluster_uid=None,
        isolation_ready=True,
    )
    facts = {
        "that nobody has looked at": (LeaseFacts(), IN_PROGRESS),
        "without isolation": (replace(good, isolation_ready=False), IN_PROGRESS),
        "that is silent": (replace(good, reach=Reach.UNKNOWN), IN_PROGRESS),
    }
    found = [State("lease new", _stored(west), IN_PROGRESS)]
    for name, (each, said) in facts.items():
        status = lease_status(west, each, inventory(west, nodes(west, 1)), Held(), NOW)
        seen = west.model_copy(update={"status": status})
        found.append(State(f"lease {name}", _stored(seen), said))
    return found


def _with(each: GpuClaim, status: ClaimStatus) -> GpuClaim:
    return each.model_copy(update={"status": status})


def _meta(each: GpuClaim, **changed: Any) -> GpuClaim:
    return each.model_copy(update={"metadata": each.metadata.model_copy(update=changed)})


def _stored(each: GpuClaim | GpuLease) -> dict[str, Any]:
    """Return an object as the hub shows it, with the status that the CRD gives a new one."""
    body = each.model_dump(mode="json", by_alias=True, exclude_none=True)
    if not body["status"].get("conditions"):
        schema = custom_resource_definition(CLAIMS)["spec"]["versions"][0]["schema"]
        body["status"] = schema["openAPIV3Schema"]["properties"]["status"]["default"]
    return {"apiVersion": API, "kind": type(each).__name__, **body}
