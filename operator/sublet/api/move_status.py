"""A bound claim's next status while it comes to other nodes: the states of make before break.

Pure, like `claim_status`, of which it is a part: a claim and what happened in, a whole new status out. The claim stays
Bound throughout; Ready says that it is on the way, as kstatus must see it.
"""

from collections import Counter
from typing import Final

from sublet.api.bound_status import expiring
from sublet.api.claim_status import allocation_of, handed_over, next_status, standing_of
from sublet.api.common import Status
from sublet.api.gpuclaim import Access, Allocation, ClaimStatus, GpuClaim
from sublet.api.relocation import (
    MOVED_FROM,
    LeaseGpus,
    Leaving,
    Move,
    MoveCause,
    PlacedNode,
    ReleaseCause,
)
from sublet.api.times import Millis, format_instant
from sublet.api.wording import how_many

MOVING: Final = "Moving"


def moving(claim: GpuClaim, move: Move, now_ms: Millis) -> ClaimStatus:
    """Other nodes are held for it and are being made ready; nothing else changes yet.

    Those of a move whose place this one takes are left in the same write: so the claim is never without either.
    """
    update: dict[str, object] = {"move": move, "last_sequence": move.sequence}
    before = claim.status.move
    if before is not None:
        update |= _dropping(claim, now_ms)
    status = _on_the_way(claim, now_ms, _growing(claim, move), update=update)
    if before is None or before.ready_time is None:
        return status
    told = claim.model_copy(update={"status": status})
    return expiring(told, MOVING, _again(move), now_ms)


def _again(move: Move) -> str:
    """Say, in the place of the advice to use new nodes, that there will be others."""
    when = format_instant(move.cutover_time) if move.cutover_time is not None else "any moment"
    return f"its nodes go at {when}: the others that were ready can't be used, and more are being made ready"


def held_up(claim: GpuClaim, message: str, now_ms: Millis) -> ClaimStatus:
    """The new nodes can't be made ready yet, or can't take the old ones' place: say for what that waits."""
    move = move_of(claim)
    said = advice(move) if move.ready_time is not None else _growing(claim, move)
    return _on_the_way(claim, now_ms, f"{said}; {message}", update={})


def _growing(claim: GpuClaim, move: Move) -> str:
    fresh = len(fresh_nodes(allocation_of(claim), move))
    return f"{how_many(fresh, 'other node', 'is', 'are')} being made ready ({move.cause})"


def opened(claim: GpuClaim, now_ms: Millis) -> ClaimStatus:
    """Pods of the tenant may run on the new nodes from now on; written before the first of them can."""
    move = move_of(claim).model_copy(update={"opened_time": now_ms})
    return claim.status.model_copy(update={"move": move})


def ready_to_move(claim: GpuClaim, access: Access | None, now_ms: Millis) -> ClaimStatus:
    """The new nodes can be used beside the old ones, until the cutover."""
    move = move_of(claim).model_copy(update={"ready_time": now_ms})
    update: dict[str, object] = {"move": move}
    if access is not None:
        update["access"] = access
    return _on_the_way(claim, now_ms, advice(move), update=update)


def advice(move: Move) -> str:
    """Say what a tenant is to do while it has both the old nodes and the new ones."""
    return f"its nodes go: {at_hand(move)}"


def at_hand(move: Move) -> str:
    """Say that the new nodes are ready, and until when the old ones are there."""
    when = format_instant(move.cutover_time) if move.cutover_time is not None else "any moment"
    where = ", ".join(sorted({p.lease for p in move.placements}))
    return (
        f"others are ready at {where}; move your work there (read the kubeconfig again), "
        f"the old nodes are taken back at {when}"
    )


def given_up(claim: GpuClaim, message: str, now_ms: Millis) -> ClaimStatus:
    """The new nodes can't all be had; written before anything of them is given back."""
    if not move_of(claim).is_open:
        return abandoning(claim, message, now_ms)
    return dropped(claim, now_ms)


def abandoning(claim: GpuClaim, message: str, now_ms: Millis) -> ClaimStatus:
    """What was taken of the new nodes, on which no pod of the tenant can have run, is given back."""
    move = move_of(claim).model_copy(update={"abandoned": True, "ready_time": None})
    return _on_the_way(claim, now_ms, message, update={"move": move})


def dropped(claim: GpuClaim, now_ms: Millis) -> ClaimStatus:
    """It is where it was; the new nodes, which its pods may have used, are on their way out, billed for nothing."""
    update: dict[str, object] = {"move": None, **_dropping(claim, now_ms)}
    return _stays(claim, allocation_of(claim), now_ms, update=update)


def _dropping(claim: GpuClaim, now_ms: Millis) -> dict[str, object]:
    """Return what changes as the new nodes of the move that is under way are left."""
    allocation, move = allocation_of(claim), move_of(claim)
    left = Leaving(
        sequence=move.sequence,
        cause=move.cause,
        bound_time=now_ms,
        release_time=now_ms,
        metered=(),
        placements=tuple(
            p.model_copy(update={"home": p.home or move.sequence})
            for p in fresh_nodes(allocation, move)
        ),
    )
    update: dict[str, object] = {"leaving": (*claim.status.leaving, left)}
    access = claim.status.access
    if access is not None and move.ready_time is not None:
        # the kubeconfig is written anew at once, without what was left
        update["access"] = access.model_copy(update={"renewal_time": now_ms})
    return update


def unmoved(claim: GpuClaim, now_ms: Millis) -> ClaimStatus:
    """It is where it was; the book may find other nodes."""
    return _stays(claim, allocation_of(claim), now_ms, update={"move": None})


def cut_over(
    claim: GpuClaim, at_ms: Millis, now_ms: Millis, left_ms: Millis | None = None
) -> ClaimStatus:
    """The new nodes are the allocation, billed from `at_ms`; the old ones are on their way out, billed until then.

    `left_ms`: to when the old ones are billed, if they were lost before.
    """
    old, move = allocation_of(claim), move_of(claim)
    if old.bound_time is None:
        raise ValueError(f"claim {claim.metadata.key} was never bound")
    at_ms = Millis(max(at_ms, old.bound_time))
    end = end_there(old, move)
    allocation = old.model_copy(
        update={
            "sequence": move.sequence,
            "bound_time": at_ms,
            "since_time": old.since_time or old.bound_time,
            "until_time": end[0],
            "until_cause": end[1],
            "placements": move.placements,
        }
    )
    left = Leaving(
        sequence=old.sequence,
        cause=move.cause,
        bound_time=old.bound_time,
        release_time=Millis(max(left_ms if left_ms is not None else at_ms, old.bound_time)),
        metered=metered(old),
        placements=_without(old, move),
    )
    update: dict[str, object] = {
        "allocation": allocation,
        "move": None,
        "leaving": (*claim.status.leaving, left),
    }
    access = claim.status.access
    if access is not None:
        # the kubeconfig is written anew at once, without what was left
        update["access"] = access.model_copy(update={"renewal_time": now_ms})
    return _stays(claim, allocation, now_ms, update=update, degraded=False)


def changed(claim: GpuClaim, left: Leaving) -> ClaimStatus:
    """One entry of what it leaves is further: vacated, or free again."""
    entries = tuple(left if x.sequence == left.sequence else x for x in claim.status.leaving)
    return claim.status.model_copy(update={"leaving": entries})


def left_behind(claim: GpuClaim, sequence: int) -> ClaimStatus:
    """One entry of what it leaves is free, and its lines are in the ledger."""
    entries = tuple(x for x in claim.status.leaving if x.sequence != sequence)
    update = {
        "leaving": entries,
        "outages": tuple(x for x in claim.status.outages if x.sequence != sequence),
        "downtimes": tuple(x for x in claim.status.downtimes if x.sequence != sequence),
    }
    return claim.status.model_copy(update=update)


def move_of(claim: GpuClaim) -> Move:
    """Return the move that is under way; ValueError without one."""
    if claim.status.move is None:
        raise ValueError(f"claim {claim.metadata.key} isn't moving")
    return claim.status.move


def fresh_nodes(allocation: Allocation, move: Move) -> tuple[PlacedNode, ...]:
    """Return the nodes of a move that the claim doesn't have yet."""
    known = {p.key for p in allocation.placements}
    return tuple(p for p in move.placements if p.key not in known)


def end_there(allocation: Allocation, move: Move) -> tuple[Millis | None, ReleaseCause | None]:
    """Return when a claim ends on the nodes of its move, and what ends it: its own end, or one it has notice of, if that is first."""
    cause = allocation.until_cause
    if allocation.until_time is None or cause is None or cause in MOVED_FROM:
        return move.end
    return min(move.end, allocation.end, key=lambda end: (end[0] is None, end[0] or 0))


def is_outstayed(allocation: Allocation, move: Move) -> bool:
    """Say whether a claim may stay where it is past the instant at which its lease was to end and the move to take place."""
    if move.cause is not MoveCause.LEASE_ENDS or move.cutover_time is None:
        return False
    return allocation.until_time is None or allocation.until_time > move.cutover_time


def usable_nodes(claim: GpuClaim) -> tuple[PlacedNode, ...]:
    """Return the nodes that the tenant may use now: those that it has, and those of a move that are ready."""
    allocation, move = allocation_of(claim), claim.status.move
    if move is None or move.ready_time is None:
        return allocation.placements
    return (*allocation.placements, *fresh_nodes(allocation, move))


def open_nodes(claim: GpuClaim) -> tuple[PlacedNode, ...]:
    """Return the nodes that a quota is for: those that the claim has, and those of a move that is open."""
    if claim.status.move is None or not claim.status.move.is_open:
        return allocation_of(claim).placements
    return held_nodes(claim)


def held_nodes(claim: GpuClaim) -> tuple[PlacedNode, ...]:
    """Return the nodes that a claim has and those that it will have."""
    allocation, move = allocation_of(claim), claim.status.move
    return (*allocation.placements, *(fresh_nodes(allocation, move) if move is not None else ()))


def all_nodes(claim: GpuClaim) -> tuple[PlacedNode, ...]:
    """Return every node on which the claim may have an entry: those it has, will have, and leaves; each once."""
    allocation, move = claim.status.allocation, claim.status.move
    found = {p.key: p for x in claim.status.leaving if not x.freed_time for p in x.placements}
    found |= {p.key: p for p in (move.placements if move is not None else ())}
    found |= {p.key: p for p in (allocation.placements if allocation is not None else ())}
    return tuple(found.values())


def metered(allocation: Allocation) -> tuple[LeaseGpus, ...]:
    """Return the GPUs of an allocation by lease: what is billed."""
    gpus: Counter[str] = Counter()
    for place in allocation.placements:
        gpus[place.lease_uid] += place.gpus
    return tuple(LeaseGpus(lease_uid=uid, gpus=gpus[uid]) for uid in sorted(gpus))


def _without(old: Allocation, move: Move) -> tuple[PlacedNode, ...]:
    """Return the nodes that the claim leaves, each with the namespace that it was used from."""
    kept = {p.key for p in move.placements}
    return tuple(
        p.model_copy(update={"home": p.home or old.sequence})
        for p in old.placements
        if p.key not in kept
    )


def _on_the_way(
    claim: GpuClaim, now_ms: Millis, message: str, *, update: dict[str, object]
) -> ClaimStatus:
    degraded = standing_of(claim, "Degraded")
    return next_status(
        claim,
        now_ms,
        ready=(Status.FALSE, MOVING, message),
        progress="Reconciling",
        states={c.type: (c.status, c.reason) for c in degraded},
        messages={c.type: c.message for c in degraded},
        update=update,
    )


def _stays(
    claim: GpuClaim,
    allocation: Allocation,
    now_ms: Millis,
    *,
    update: dict[str, object],
    degraded: bool = True,
) -> ClaimStatus:
    standing = standing_of(claim, "Degraded") if degraded else ()
    return next_status(
        claim,
        now_ms,
        ready=handed_over(claim, allocation),
        progress=None,
        states={c.type: (c.status, c.reason) for c in standing},
        messages={c.type: c.message for c in standing},
        update=update,
    )
