"""`sublet explain CLAIM`: what a claim asked for, what it got, and why it waits. Reads one object."""

from typing import Any

from sublet.api.access_status import RENEWED
from sublet.api.approval import approved_gpus, approver
from sublet.api.common import Condition, Status, find_condition
from sublet.api.gpuclaim import Allocation, GpuClaim
from sublet.api.gpuclass import Pricing
from sublet.api.move_status import fresh_nodes
from sublet.api.pending import Offer
from sublet.api.relocation import PlacedNode
from sublet.api.times import Millis, format_instant
from sublet.api.wording import how_many
from sublet.book.holdings import held_by
from sublet.cli.choices import Format
from sublet.cli.connect import Cluster
from sublet.cli.durations import duration
from sublet.cli.objects import with_claim
from sublet.cli.output import show_data, show_fields, show_table
from sublet.clock import SystemClock


def command(name: str, namespace: str | None, context: str | None, output: Format) -> None:
    """Read the claim and say what there is to say of it."""

    async def work(_: Cluster, raw: dict[str, Any]) -> None:
        if not show_data(as_data(raw), output):
            shown, now_ms = GpuClaim.model_validate(raw), SystemClock().now_ms()
            explain(shown, now_ms, wide=output is Format.WIDE)

    with_claim(work, name, namespace, context)


def explain(claim: GpuClaim, now_ms: Millis, *, wide: bool = False) -> None:
    """Print a claim's state for the person who wrote it; `wide` adds its conditions."""
    show_fields(
        {
            "Claim": claim.metadata.key,
            "Asked for": asked(claim),
            "State": _state(claim.status.conditions),
            "Because": _because(claim),
            "Silent": _silent(claim),
            "Disputed": "\n".join(_disputed(claim)),
            "Downtime": "\n".join(_down(claim)),
            "Approved": _approved(claim),
            **_outlook(claim),
            **_held(claim),
            **_way_in(claim),
            "Ends": _ends(claim, now_ms),
        }
    )
    if wide:
        print()
        rows = [
            (c.type, c.status, c.reason, format_instant(c.last_transition_time), c.message)
            for c in claim.status.conditions
        ]
        show_table(("condition", "status", "reason", "since", "message"), rows)


def asked(claim: GpuClaim) -> str:
    """Return what a claim asks for, in one line."""
    spec = claim.spec
    parts = [f"{how_many(spec.gpus, 'GPU')} of class {spec.class_name}"]
    if spec.gpus_per_node:
        parts.append(f"{spec.gpus_per_node} per node")
    if spec.max_price_per_gpu_hour is not None:
        parts.append(f"at most {spec.max_price_per_gpu_hour} per GPU-hour")
    if spec.schedule.duration_seconds:
        parts.append(f"for {duration(spec.schedule.duration_seconds)}")
    return ", ".join(parts)


def _state(conditions: tuple[Condition, ...]) -> str:
    for type_ in ("Ended", "Releasing", "Bound", "Reserved"):
        found = find_condition(conditions, type_)
        if found is not None and found.status == "True":
            return type_ if found.reason == type_ else f"{type_} ({found.reason})"
    ready = find_condition(conditions, "Ready")
    return f"Waiting ({ready.reason})" if ready else "Unknown (the operator hasn't seen it yet)"


def _because(claim: GpuClaim) -> str:
    if claim.status.pending is not None:
        return claim.status.pending.message
    ready = find_condition(claim.status.conditions, "Ready")
    return ready.message if ready and ready.status != "True" else ""


def _silent(claim: GpuClaim) -> str:
    """Say which clusters of a bound claim don't answer, and what follows."""
    found = find_condition(claim.status.conditions, "Reachable")
    return found.message if found is not None and found.status is Status.UNKNOWN else ""


def _disputed(claim: GpuClaim) -> list[str]:
    """Return the times that are billed though the cluster didn't answer."""
    places = claim.status.allocation.placements if claim.status.allocation is not None else ()
    names = {p.lease_uid: p.lease for p in places}
    return [
        f"{how_many(x.gpus, 'GPU')} at {names.get(x.lease_uid, 'nodes that it left')} from {format_instant(x.from_time)}"
        + (f" to {format_instant(x.until_time)}" if x.until_time is not None else " on")
        for x in claim.status.outages
    ]


def _down(claim: GpuClaim) -> list[str]:
    """Return the times in which GPUs of it are known not to have worked."""
    return [
        f"{how_many(x.gpus, 'GPU')} ({x.cause}) from {format_instant(x.from_time)}"
        + (f" to {format_instant(x.until_time)}" if x.until_time is not None else " on")
        for x in claim.status.downtimes
    ]


def _approved(claim: GpuClaim) -> str:
    gpus = approved_gpus(claim)
    return f"{how_many(gpus, 'GPU')}, by {approver(claim)}" if gpus else ""


def _outlook(claim: GpuClaim) -> dict[str, object]:
    """Return what a waiting claim may expect, and what would bind instead."""
    pending, offers = claim.status.pending, [_offer(each) for each in claim.status.offers]
    start = pending.estimated_start_time if pending is not None else None
    return {
        "Position": f"at most {pending.position}" if pending and pending.position else "",
        "Expected": f"{format_instant(start)}, as it looks now" if start is not None else "",
        "Would bind": "\n".join(offers),
    }


def _offer(offer: Offer) -> str:
    """Return an offer as one line."""
    size = f"{how_many(offer.gpus, 'GPU')} of class {offer.class_name}"
    parts = [f"{how_many(offer.claims, 'claim')} of {size}" if offer.claims > 1 else size]
    if offer.start_time is not None:
        parts.append(f"from {format_instant(offer.start_time)}")
    if offer.end_time is not None:
        parts.append(f"until {format_instant(offer.end_time)}")
    if offer.duration_seconds is not None:
        parts.append(f"for {how_many(offer.duration_seconds, 'second')}")
    if offer.jurisdictions:
        parts.append(f"in {', '.join(offer.jurisdictions)}")
    return f"{' '.join(parts)} at {offer.price_per_gpu_hour} {offer.currency}"


def _held(claim: GpuClaim) -> dict[str, object]:
    allocation = held_by(claim)
    if allocation is None:
        return {}
    nodes = [_named(place) for place in allocation.placements]
    if allocation.is_ahead:
        nodes = [
            f"{how_many(b.nodes, 'node')} with {b.gpus_per_node} x {b.product} each ({b.lease}), chosen at the start"
            for b in allocation.bookings
        ]
    return {
        "Nodes": "\n".join(nodes),
        "Coming": "\n".join(_coming(claim)),
        "Leaving": "\n".join(_named(p) for x in claim.status.leaving for p in x.placements),
        "Price": f"{allocation.price_per_gpu_hour} {allocation.currency} per GPU-hour{_floats(allocation)}",
        "Giving up": _giving_up(claim, allocation),
        "Billed": format_instant(allocation.bound_time) + " on" if allocation.bound_time else "",
    }


def _floats(held: Allocation) -> str:
    """Say that a price is the one at reservation only."""
    return " at reservation; it follows the class" if held.pricing is Pricing.FLOATING else ""


def _coming(claim: GpuClaim) -> list[str]:
    """Return the nodes that a claim is moving to."""
    allocation, move = claim.status.allocation, claim.status.move
    if allocation is None or move is None:
        return []
    state = "being made ready" if move.ready_time is None else "ready"
    return [f"{_named(place)}, {state}" for place in fresh_nodes(allocation, move)]


def _named(place: PlacedNode) -> str:
    return f"{place.gpus} x {place.product} on {place.node} ({place.lease})"


def _giving_up(claim: GpuClaim, allocation: Allocation) -> str:
    """Say what giving up the window costs, as agreed."""
    terms, start = allocation.cancellation, claim.spec.schedule.start_time
    if terms is None or start is None:
        return ""
    free = format_instant(Millis(start - terms.free_before_start_seconds * 1_000))
    return f"free until {free}, then {terms.charge_percent}% of the price of what is given up"


def _way_in(claim: GpuClaim) -> dict[str, object]:
    access = claim.status.access
    if access is None or not access.clusters:
        return {}
    places = ", ".join(f"{c.namespace} at {c.alias}" for c in access.clusters)
    name, namespace = claim.metadata.name, claim.metadata.namespace
    first = min(c.expiration_time for c in access.clusters)
    late = find_condition(claim.status.conditions, RENEWED)
    return {
        "Namespace": places,
        "Access": f"kubectl sublet kubeconfig {name} -n {namespace}",
        "Valid": late.message
        if late is not None and late.status == "False"
        else f"until {format_instant(first)}; renewed before that",
    }


def _ends(claim: GpuClaim, now_ms: Millis) -> str:
    allocation = held_by(claim)
    if allocation is None or allocation.until_time is None:
        return ""
    left = (allocation.until_time - now_ms) // 1_000
    when = format_instant(allocation.until_time)
    return f"{when} (in {duration(left)})" if left > 0 else when


def as_data(claim: dict[str, Any]) -> dict[str, Any]:
    """Return the claim without the bookkeeping of the API server."""
    meta = {k: v for k, v in claim["metadata"].items() if k != "managedFields"}
    return {**claim, "metadata": meta}
