"""What of two versions of an object planning reads: if that is the same, nothing that was decided changes.

Fields that are known not to be read are named; of whatever else there is, or comes, each difference counts. Statuses of
leases, classes and tenants are told by us and not read by the book, but for what a lease's says of a cluster that is
silent or lost.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import fields, replace
from typing import Final

from sublet.api.common import Status, find_condition, is_true
from sublet.api.gpuclaim import Allocation, ClaimStatus, GpuClaim
from sublet.api.gpuclass import GpuClass
from sublet.api.gpulease import GpuLease
from sublet.api.gputenant import GpuTenant
from sublet.api.ids import NodeName
from sublet.api.schema import ApiModel
from sublet.api.times import Millis
from sublet.book.agreed import agreed_before
from sublet.book.decisions import Reserve
from sublet.book.holdings import HoldingsAt
from sublet.book.inventory import LeaseInventory, NodeState
from sublet.book.view import View

_BOOKKEEPING: Final = frozenset({"resource_version", "generation", "finalizers"})
"""Of metadata."""
_TOLD: Final = frozenset(
    {
        "observed_generation",
        "conditions",
        "pending",
        "offers",
        "access",
        "allocation",
        "outages",
        "downtimes",
    }
)
"""Of a claim's status; conditions and allocation are looked at more closely."""
_OF_THE_BILL: Final = frozenset({"bound_time", "price_hash", "tags", "requested_by", "tenant"})
"""Of an allocation."""
_HOLDS: Final = "Reserved"
"""The condition by which a claim holds GPUs; since when doesn't matter: a reservation is assumed before it is written."""
_OVER: Final = ("Releasing", "Ended")
"""Conditions by which a claim leaves, or is over, and since when."""
_SAYINGS: Final = ("Degraded",)
"""Conditions by whose words, too, something is decided."""
_MOVING: Final = frozenset({"now_ms", "claims", "inventories", "busy"})
"""Of a view: what differs from pass to pass."""
_SHELVES: Final = ("leases", "classes", "tenants")

Kind = GpuLease | GpuClass | GpuTenant


def same_rules(before: View, after: View) -> bool:
    """Say whether two views differ in claims, nodes and time at most."""
    others = (f.name for f in fields(View) if f.name not in {*_MOVING, *_SHELVES})
    return all(getattr(before, name) == getattr(after, name) for name in others) and all(
        _same_shelf(getattr(before, name), getattr(after, name)) for name in _SHELVES
    )


def same_ask(before: GpuClaim, after: GpuClaim) -> bool:
    """Say whether a claim asks for the same, and has used as much of it."""
    return (
        before.spec == after.spec
        and _equal(before.metadata, after.metadata, _BOOKKEEPING)
        and before.status.used_milliseconds == after.status.used_milliseconds
    )


def same_standing(before: GpuClaim, after: GpuClaim) -> bool:
    """Say whether a claim asks for, holds or leaves the same as before."""
    if not same_ask(before, after) or not _equal(before.status, after.status, _TOLD):
        return False
    said = [find_condition(before.status.conditions, x) for x in _SAYINGS]
    if said != [find_condition(after.status.conditions, x) for x in _SAYINGS]:
        return False
    states = (_states(before.status), _states(after.status))
    old, new = before.status.allocation, after.status.allocation
    if old is None or new is None:
        return old is new and states[0] == states[1]
    return states[0] == states[1] and _equal(old, new, _OF_THE_BILL)


def is_carried_out(decision: Reserve, after: GpuClaim) -> bool:
    """Say whether a claim holds exactly what was decided."""
    found, conditions = after.status.allocation, after.status.conditions
    if found is None or is_true(conditions, "Releasing"):
        return False
    return is_true(conditions, "Reserved") and _terms(decision, found)


def same_nodes(before: LeaseInventory, after: LeaseInventory, holdings: HoldingsAt) -> bool:
    """Say whether nothing of a lease's nodes changed but what their books say of holdings that are counted."""
    if before is after:
        return True
    names = (f.name for f in fields(LeaseInventory) if f.name not in {"generation", "nodes"})
    if any(getattr(before, name) != getattr(after, name) for name in names):
        return False
    return len(before.nodes) == len(after.nodes) and all(
        old is not None and _same_node(old, new, holdings)
        for old, new in _changed(before.nodes, after.nodes)
    )


def _changed(
    before: Mapping[NodeName, NodeState], after: Mapping[NodeName, NodeState]
) -> Iterator[tuple[NodeState | None, NodeState]]:
    known = before.get
    for name, node in after.items():
        if (old := known(name)) is not node:
            yield old, node


def _same_node(before: NodeState, after: NodeState, holdings: HoldingsAt) -> bool:
    if before == after:
        return True
    booked = replace(after, holdings=before.holdings, tenant_uid=before.tenant_uid)
    return booked == before and holdings.knows(before) and holdings.knows(after)


def _same_shelf(before: tuple[Kind, ...], after: tuple[Kind, ...]) -> bool:
    return len(before) == len(after) and all(
        old is new
        or (
            old.spec == new.spec
            and _equal(old.metadata, new.metadata, _BOOKKEEPING)
            and _silence(old) == _silence(new)
        )
        for old, new in zip(before, after, strict=True)
    )


def _silence(each: Kind) -> object:
    """Return what the book reads of a lease's status."""
    if not isinstance(each, GpuLease):
        return None
    return (each.status.last_seen_time, each.status.lost)


def _terms(decision: Reserve, found: Allocation) -> bool:
    return (
        decision.sequence,
        decision.tenant_uid,
        decision.price_per_gpu_hour,
        decision.currency,
        decision.priority,
        decision.decided_ms,
        decision.until_ms,
        decision.until_cause,
        decision.placements,
        decision.bookings,
        decision.cancellation,
        decision.given_up,
        decision.agreed,
    ) == (
        found.sequence,
        found.tenant_uid,
        found.price_per_gpu_hour,
        found.currency,
        found.priority,
        found.decided_time,
        found.until_time,
        found.until_cause,
        found.placements,
        found.bookings,
        found.cancellation,
        found.given_up,
        agreed_before(found),
    )


def _states(status: ClaimStatus) -> tuple[bool, list[Millis | None]]:
    """Return whether the claim holds GPUs, and since when each other state is true."""
    found = (find_condition(status.conditions, type_) for type_ in _OVER)
    since = [
        c.last_transition_time if c is not None and c.status is Status.TRUE else None for c in found
    ]
    return is_true(status.conditions, _HOLDS), since


def _equal(before: ApiModel, after: ApiModel, ignored: Collection[str]) -> bool:
    """Say whether two objects are equal in all fields but these."""
    return all(
        getattr(before, name) == getattr(after, name)
        for name in type(before).model_fields
        if name not in ignored
    )
