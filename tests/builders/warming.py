"""Histories of views for a book that stays warm: claims come in small numbers, and mostly nothing is freed."""

from dataclasses import dataclass, replace
from typing import Any

from hypothesis import HealthCheck, settings, strategies as st

from sublet.api import claim_status
from sublet.api.gpuclaim import Access, ClusterAccess, GpuClaim
from sublet.api.ids import ClaimUID, TenantUID
from sublet.api.pending import Pending, PendingReason
from sublet.api.relocation import ReleaseCause
from sublet.api.times import Millis, format_instant
from sublet.book.decisions import Take
from sublet.book.holdings import holds
from sublet.book.inventory import Holding, NodeState, Unfit
from sublet.book.view import View
from tests.builders.api import (
    NOW,
    as_claim,
    as_class,
    as_lease,
    as_tenant,
    claim,
    gpu_class,
    lease,
    tenant,
)
from tests.builders.fleet import (
    inventory,
    nodes,
    released,
    view,
)

HOUR = 3_600_000
AWAY = {
    "startTime": format_instant(Millis(NOW + 2 * HOUR)),
    "endTime": format_instant(Millis(NOW + 4 * HOUR)),
    "gpus": 8,
}
QUIET = ("nothing", "bound", "told")
TENANTS = ("acme", "globex", "initech")
UNTIMED = settings(
    deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@dataclass(frozen=True)
class Step:
    """What happens before one pass."""

    milliseconds: int
    asked: tuple[dict[str, Any], ...]
    """Specs of new claims."""
    fate: str
    """What else happens: mostly nothing that frees anything."""
    index: int


specs = st.fixed_dictionaries(
    {
        "namespace": st.sampled_from((*TENANTS, "nobody")),
        "class_name": st.sampled_from(["h100", "h100", "h100", "spot"]),
        "gpus": st.sampled_from([1, 2, 4, 8, 8, 8, 16, 24, 40]),
    },
    optional={
        "schedule": st.sampled_from(
            [
                {"durationSeconds": 3_600},
                {"durationSeconds": 3_600},
                {"durationSeconds": 4 * 3_600},
                {"startTime": format_instant(Millis(NOW + 5 * HOUR)), "durationSeconds": 7_200},
            ]
        ),
        "minGpus": st.sampled_from([None, None, 1]),
        "priorityClassName": st.sampled_from(["high", *["low"] * 5]),
        "topology": st.sampled_from([*[{"scope": "Any"}] * 3, {"scope": "NVLinkDomain"}]),
        "suspended": st.sampled_from([*[False] * 9, True]),
        "maxPricePerGpuHour": st.sampled_from([*["3.99", "9"] * 5, "1"]),
    },
)
FATES = (
    *["nothing"] * 6,
    *["bound"] * 3,
    "told",
    "released",
    "deleted",
    "longer",
    "cordoned",
    "forgotten",
)
steps = st.lists(
    st.builds(
        Step,
        milliseconds=st.sampled_from([0, 100, 100, 900, 1_500, 60_000, HOUR // 2]),
        asked=st.lists(specs, max_size=2).map(tuple),
        fate=st.sampled_from(FATES),
        index=st.integers(0, 11),
    ),
    min_size=4,
    max_size=10,
)


@st.composite
def views(draw: st.DrawFn) -> View:
    """Return a fleet on which nobody has claimed anything yet."""
    fleet = []
    for index in range(draw(st.integers(1, 3))):
        ends = draw(st.sampled_from([None, None, 3, 12, 24 * 20]))
        each = as_lease(
            lease(
                f"l{index}",
                committed=draw(st.sampled_from([8, 16, 24, 400])),
                end=format_instant(Millis(NOW + ends * HOUR)) if ends else None,
                nodeSharing=draw(st.sampled_from(["None", "SameTenant", "AnyTenant"])),
                term={"quarantineSeconds": draw(st.sampled_from([0, 600]))},
                maintenance=draw(st.sampled_from([[], [], [AWAY]])),
            )
        )
        size = draw(st.sampled_from([8, 8, 4]))
        found = nodes(each, draw(st.integers(1, 6)), gpus=size, zones=("a", "b"))
        cliques = draw(st.sampled_from([(None,), (None,), ("x", "y"), ("x", None)]))
        found = [replace(n, clique=cliques[i % len(cliques)]) for i, n in enumerate(found)]
        fleet.append((each, inventory(each, found)))
    tenants = [
        as_tenant(
            tenant(
                name,
                namespaces=(name,),
                weight=draw(st.integers(1, 3)),
                quotas=draw(st.sampled_from([[], [], [{"className": "h100", "gpus": 16}]])),
                priorityClasses=["low", "high"],
            )
        )
        for name in TENANTS
    ]
    spot = gpu_class("spot", guarantee=draw(st.sampled_from([*["Guaranteed"] * 3, "Preemptible"])))
    longest = draw(st.sampled_from([None, None, 6 * 3_600]))
    return view(
        (),
        fleet,
        classes=(as_class(gpu_class(maxDurationSeconds=longest)), as_class(spot)),
        tenants=tuple(tenants),
        priorities={"low": 0, "high": 100},
    )


def newcomers(step: Step, seen: View, number: int) -> tuple[GpuClaim, ...]:
    return tuple(
        as_claim(
            claim(f"c{number}-{i}", **spec),
            creationTimestamp=format_instant(seen.now_ms),
        )
        for i, spec in enumerate(step.asked)
    )


def happens(step: Step, seen: View) -> View:
    """Return the view after what else happens."""
    found = list(seen.claims)
    at = step.index % len(found) if found else 0
    if step.fate == "bound":
        return bound(seen)
    if step.fate == "cordoned":
        return cordoned(seen)
    if not found:
        return seen
    if step.fate == "forgotten":
        del found[at]
    elif step.fate == "told":
        found = [said(c, seen.now_ms) for c in found]
    elif step.fate == "released" and holds(found[at]):
        found[at] = released(
            found[at],
            Take(ClaimUID(found[at].metadata.uid), ReleaseCause.COMPLETED, seen.now_ms),
            seen.now_ms,
        )
    elif step.fate == "deleted":
        meta = found[at].metadata.model_copy(update={"deletion_timestamp": seen.now_ms})
        found[at] = found[at].model_copy(update={"metadata": meta})
    elif step.fate == "longer":
        schedule = found[at].spec.schedule.model_copy(update={"duration_seconds": 9 * 3_600})
        spec = found[at].spec.model_copy(update={"schedule": schedule})
        found[at] = found[at].model_copy(update={"spec": spec})
    return replace(seen, claims=tuple(found))


def bound(seen: View) -> View:
    """Return the view when all that is reserved is bound: nodes' books and claims say so."""
    claims = tuple(_bound(c, seen.now_ms) for c in seen.claims)
    books: dict[str, list[tuple[ClaimUID, TenantUID, int]]] = {}
    for each in claims:
        if holds(each):
            held = each.status.allocation
            for place in held.placements:
                entry = (ClaimUID(each.metadata.uid), TenantUID(held.tenant_uid), place.gpus)
                books.setdefault(place.node_uid, []).append(entry)
    inventories = {
        uid: replace(
            found,
            generation=found.generation + 1,
            nodes={name: _booked(node, books) for name, node in found.nodes.items()},
        )
        for uid, found in seen.inventories.items()
    }
    return replace(seen, claims=claims, inventories=inventories)


def _bound(each: GpuClaim, now: Millis) -> GpuClaim:
    held = each.status.allocation
    if not holds(each) or held.is_ahead or held.bound_time or each.status.release:
        return each
    access = Access(
        secret_name="gpus",
        clusters=(ClusterAccess(alias="west", namespace="x", expiration_time=now),),
    )
    return each.model_copy(update={"status": claim_status.bound(each, now, access, now)})


def _booked(node: NodeState, books: dict[str, list[tuple[ClaimUID, TenantUID, int]]]) -> NodeState:
    entries = books.get(node.uid, [])
    tenants = {tenant for _, tenant, _ in entries}
    return replace(
        node,
        holdings=tuple(Holding(uid, gpus) for uid, _, gpus in entries),
        tenant_uid=next(iter(tenants)) if len(tenants) == 1 else None,
    )


def cordoned(seen: View) -> View:
    uid, found = next(iter(seen.inventories.items()))
    name, node = next(iter(found.nodes.items()))
    flipped = replace(node, unfit=None if node.unfit else Unfit.CORDONED)
    changed = replace(found, nodes={**found.nodes, name: flipped})
    return replace(seen, inventories={**seen.inventories, uid: changed})


def said(each: GpuClaim, now: Millis) -> GpuClaim:
    """Return a claim that was told that it waits, if it does."""
    if holds(each) or any(c.type == "Ended" for c in each.status.conditions):
        return each
    pending = Pending(reason=PendingReason.WAITING_FOR_CAPACITY, message="wait", position=1)
    meta = each.metadata.model_copy(update={"resource_version": str(now)})
    status = claim_status.waiting(each, pending, now)
    return each.model_copy(update={"status": status, "metadata": meta})
