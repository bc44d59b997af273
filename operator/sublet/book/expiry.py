"""Claims that hold GPUs: when they must give them back, and when they end by what spec and leases say now.

Fixed points otherwise. What was promised is never shortened by a class or a commitment, only by the claim's own
spec or by the end of a lease; nothing is concluded from a lease or class that isn't there.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Final, NamedTuple

from sublet.api.common import is_true
from sublet.api.gpuclaim import Allocation, GpuClaim
from sublet.api.gpuclass import GpuClass
from sublet.api.ids import ClaimUID, LeaseUID
from sublet.api.move_status import fresh_nodes, held_nodes, metered
from sublet.api.relocation import MOVED_FROM, Move, ReleaseCause
from sublet.api.times import MS_PER_SECOND, Millis
from sublet.book.cancellation import given_up, may_shorten
from sublet.book.contract import committed_at
from sublet.book.decisions import Extend, Take
from sublet.book.demand import left_of
from sublet.book.maintenance import end_cause
from sublet.book.steps import FOREVER
from sublet.book.supply import LeaseSupply
from sublet.book.told import needs_notice

_CHOSEN: Final = (ReleaseCause.DELETED, ReleaseCause.SUSPENDED, ReleaseCause.COMPLETED)
"""Causes by the tenant's own will."""
_TOLD: Final = frozenset({ReleaseCause.MAINTENANCE, ReleaseCause.BUDGET_EXHAUSTED})


class End(NamedTuple):
    """When a claim ends, and what ends it."""

    at_ms: Millis
    cause: ReleaseCause | None


Grants = Callable[[GpuClaim, Allocation, End], End]
"""Returns a claim's later end as far as its tenant has the means for it."""
GrantsAll = Callable[[GpuClaim, Allocation, End], bool]
"""Says whether a claim's tenant has the means for all of a later end; else nothing counts."""


def review(
    claim: GpuClaim,
    offer: GpuClass | None,
    supplies: Mapping[LeaseUID, LeaseSupply],
    now_ms: Millis,
    grants: Grants = lambda _claim, _allocation, end: end,
    lost: Collection[str] = (),
) -> Take | Extend | None:
    """Return what a claim that holds nodes needs: its release, another end, or nothing; `lost`: UIDs of lost leases."""
    allocation = claim.status.allocation
    if allocation is None or is_true(claim.status.conditions, "Releasing"):
        return None
    promised = promised_end(allocation)
    end = _end(claim, allocation, promised, offer, supplies, now_ms)
    held = granted = allocation
    move = claim.status.move
    if move is not None and not is_lost_move(move, lost):
        if end.at_ms > promised.at_ms and move.end == allocation.end:
            held = allocation.model_copy(update={"placements": held_nodes(claim)})
            asked = _end(claim, held, promised, offer, supplies, now_ms)
            end = max(asked, promised, key=lambda each: each.at_ms)
        elif not _is_overdue(move, promised, now_ms):
            end = min(end, promised, key=lambda each: each.at_ms)
        if end.at_ms <= promised.at_ms:
            return _while_moving(claim, allocation, move, end, now_ms)
        granted = _granted_before(allocation, move)
    end = granted_end(claim, granted, end, grants)
    taken = take_if_due(claim, allocation, end, now_ms)
    if taken is not None or _is_same(end, promised):
        return taken
    if end.at_ms > promised.at_ms:
        for lease in _leases(held):
            supplies[lease].move_end(ClaimUID(claim.metadata.uid), held, end.at_ms)
    return moved(claim, allocation, end, now_ms)


def _while_moving(
    claim: GpuClaim, allocation: Allocation, move: Move, end: End, now_ms: Millis
) -> Take | Extend | None:
    """Return what a claim on its way to other nodes needs where its end comes no later before the cutover.

    With nodes that are ready it outlives its lease; whoever isn't ready in time ends as it was told.
    """
    promised = promised_end(allocation)
    saved = outlived(end, move)
    taken = take_if_due(claim, allocation, saved, now_ms)
    if taken is not None or saved is not end or _is_same(end, promised):
        return taken
    return moved(claim, allocation, end, now_ms)


def _is_overdue(move: Move, promised: End, now_ms: Millis) -> bool:
    """Say whether a claim's lease, as it was, ends it now and its new nodes aren't ready: nothing but its lease can keep it."""
    is_due = promised.cause in MOVED_FROM and promised.at_ms <= now_ms
    return is_due and move.ready_time is None


def _granted_before(allocation: Allocation, move: Move) -> Allocation:
    """Return an allocation with the end that it has the means for: its move's, if that is later."""
    ends_ms = move.until_time if move.until_time is not None else FOREVER
    if ends_ms <= promised_end(allocation).at_ms:
        return allocation
    return allocation.model_copy(update={"until_time": move.until_time})


def outlived(end: End, move: Move | None) -> End:
    """Return an end, or none if it is that of a lease which a claim outlives on other nodes that are ready."""
    is_saved = move is not None and move.awaits_lease_end
    return End(FOREVER, None) if is_saved and end.cause in MOVED_FROM else end


def is_lost_move(move: Move, lost: Collection[str]) -> bool:
    """Say whether a move leads to a lease that is lost: it can't be gone through with, and saves nobody."""
    return any(p.lease_uid in lost for p in move.placements)


def _is_same(end: End, promised: End) -> bool:
    """Say whether nothing needs to be written: a claim is told, too, if it is maintenance or the budget that ends it."""
    told = _TOLD & {end.cause, promised.cause}
    return end.at_ms == promised.at_ms and (end.cause is promised.cause or not told)


def prolonged(
    claim: GpuClaim,
    offer: GpuClass | None,
    supplies: Mapping[LeaseUID, LeaseSupply],
    now_ms: Millis,
    grants: Grants,
    grants_all: GrantsAll,
) -> Extend | None:
    """Return the later end that a claim gets whose notice is taken back, None if it gets none.

    What the time after its notice costs may have been given to others meanwhile, or was never paid for.
    """
    allocation = claim.status.allocation
    if allocation is None:
        return None
    # it was in before its notice, so that a lease that sells no more keeps it
    noticed = End(promised_end(allocation).at_ms, ReleaseCause.LEASE_ENDED)
    end = _end(claim, allocation, noticed, offer, supplies, now_ms)
    if claim.status.move is not None:
        return _prolonged_moving(
            claim, allocation, claim.status.move, end, supplies, now_ms, grants_all
        )
    end = granted_end(claim, allocation, end, grants)
    if end.at_ms <= noticed.at_ms:
        return None
    if _is_cut(allocation, end, supplies):
        # whoever it still gives way to isn't seen by a look at its end alone, which would prolong it again
        end = End(end.at_ms, ReleaseCause.PREEMPTED)
    for lease in _leases(allocation):
        supplies[lease].move_end(ClaimUID(claim.metadata.uid), allocation, end.at_ms)
    return moved(claim, allocation, end, now_ms)


def _prolonged_moving(
    claim: GpuClaim,
    allocation: Allocation,
    move: Move,
    end: End,
    supplies: Mapping[LeaseUID, LeaseSupply],
    now_ms: Millis,
    grants_all: GrantsAll,
) -> Extend | None:
    """Return the later end of a claim on its way to other nodes, if it may have all of it, there too; None if not.

    From the end of its notice on those nodes, and what they cost, were anybody's. The cutover stays where it was announced.
    """
    uid, promised = ClaimUID(claim.metadata.uid), promised_end(allocation)
    cutover_ms = move.cutover_time if move.awaits_lease_end else None
    if cutover_ms is not None and end.at_ms >= cutover_ms:
        end = end if end.at_ms == cutover_ms else End(cutover_ms, ReleaseCause.LEASE_ENDED)
    elif end.at_ms <= promised.at_ms or _is_cut(allocation, end, supplies):
        return None
    there = end
    if move.end != allocation.end:
        there = End(move.until_time if move.until_time is not None else FOREVER, move.until_cause)
    last = max(end, there, key=lambda each: each.at_ms)
    coming = allocation.model_copy(update={"placements": fresh_nodes(allocation, move)})
    held_on = [supplies[lease] for lease in _leases(allocation)]
    beside = [supplies[lease] for lease in _leases(coming) if lease in supplies]
    for supply in held_on:
        supply.move_end(uid, allocation, end.at_ms)
    has_room = all(
        not s.has_unread and s.stays_until(uid, coming, there.at_ms) >= there.at_ms for s in beside
    )
    if not has_room or not grants_all(claim, allocation, last):
        for supply in held_on:
            supply.move_end(uid, allocation, promised.at_ms)
        return None
    for supply in beside:
        supply.move_end(uid, coming, there.at_ms)
    return moved(claim, allocation, end, now_ms)


def _is_cut(allocation: Allocation, end: End, supplies: Mapping[LeaseUID, LeaseSupply]) -> bool:
    """Say whether a later end comes before that of its leases, though it is said to be theirs: somebody else needs the nodes then.

    Nobody does where maintenance, or the end of a phase, leaves less than the claim has, whoever else is there.
    """
    held_on = [supplies[lease] for lease in _leases(allocation)]
    if end.cause not in MOVED_FROM or end.at_ms >= min(s.ends_ms for s in held_on):
        return False
    mine = {each.lease_uid: each.gpus for each in metered(allocation)}
    return all(_sold_at(supply, end.at_ms) >= mine[supply.uid] for supply in held_on)


def _sold_at(supply: LeaseSupply, at_ms: Millis) -> int:
    """Return how many GPUs a lease sells at an instant."""
    away = next((gpus for begin, until, gpus in supply.away if begin <= at_ms < until), 0)
    return committed_at(supply.lease, at_ms) - away


def promised_end(allocation: Allocation) -> End:
    """Return the end that a claim's status shows."""
    return End(allocation.until_time or FOREVER, allocation.until_cause)


def granted_end(claim: GpuClaim, allocation: Allocation, end: End, grants: Grants) -> End:
    """Return an end as far as there are means for it; what was promised already is never asked about."""
    return grants(claim, allocation, end) if end.at_ms > promised_end(allocation).at_ms else end


def moved(claim: GpuClaim, allocation: Allocation, end: End, now_ms: Millis) -> Extend:
    """Return the decision that moves a claim's end."""
    until = end.at_ms if end.at_ms < FOREVER else None
    cause = end.cause if until is not None else None
    chosen = cause is ReleaseCause.COMPLETED
    charged = given_up(claim, allocation, end.at_ms, now_ms) if chosen else ()
    return Extend(ClaimUID(claim.metadata.uid), until, cause, charged)


def take_if_due(
    claim: GpuClaim,
    allocation: Allocation,
    end: End,
    now_ms: Millis,
    also: ReleaseCause | None = None,
) -> Take | None:
    """Return the release whose cause came first, None while there is none; `also`: one that holds from now on."""
    promised = promised_end(allocation)
    causes: list[
        tuple[Millis, ReleaseCause, Millis | None]
    ] = []  # from when, why, what is to be told
    if end.at_ms <= now_ms:
        # a claim cut short ends now and not before: what ran is paid for
        over, over_ms = (promised, promised.at_ms) if promised.at_ms <= now_ms else (end, now_ms)
        cause = over.cause or ReleaseCause.COMPLETED
        causes.append((over_ms, cause, over.at_ms if needs_notice(cause) else None))
    if claim.metadata.deletion_timestamp is not None:
        # the hub's clock may be ahead of ours, and no meter stops in the future
        causes.append((min(claim.metadata.deletion_timestamp, now_ms), ReleaseCause.DELETED, None))
    if claim.spec.suspended:
        causes.append((now_ms, ReleaseCause.SUSPENDED, None))
    if also is not None:
        causes.append((now_ms, also, None))
    if not causes:
        return None
    at_ms, cause, told_ms = min(causes, key=lambda c: c[0])
    # a deletionTimestamp has whole seconds and may lie before boundTime: an interval is never negative
    begun = allocation.bound_time if allocation.bound_time is not None else allocation.decided_time
    release_ms = Millis(max(at_ms, begun))
    charged = given_up(claim, allocation, release_ms, release_ms) if cause in _CHOSEN else ()
    return Take(ClaimUID(claim.metadata.uid), cause, release_ms, charged, told_ms)


def asked_end_ms(claim: GpuClaim, allocation: Allocation) -> Millis:
    """Return when a claim would end by its own duration alone; FOREVER if it is open-ended."""
    left_ms = left_of(claim)
    return _after(claim, allocation, left_ms) if left_ms is not None else FOREVER


def own_end_ms(claim: GpuClaim, allocation: Allocation, offer: GpuClass | None) -> Millis:
    """Return when a claim ends by its own duration and its class, whatever its leases say."""
    asked = asked_end_ms(claim, allocation)
    promised = promised_end(allocation)
    if not may_shorten(claim, allocation):
        asked = max(asked, promised.at_ms)
    return min(asked, max(promised.at_ms, _class_end(claim, allocation, promised, offer)))


def _end(
    claim: GpuClaim,
    allocation: Allocation,
    promised: End,
    offer: GpuClass | None,
    supplies: Mapping[LeaseUID, LeaseSupply],
    now_ms: Millis,
) -> End:
    """Return the end by what everything says now; later than promised only as far as class, lease and commitment go.

    A claim whose notice runs ends with it, or before.
    """
    if promised.cause is ReleaseCause.PREEMPTED:
        asked = asked_end_ms(claim, allocation)
        return promised if promised.at_ms <= asked else End(asked, ReleaseCause.COMPLETED)
    own, leases = own_end_ms(claim, allocation, offer), _leases(allocation)
    lease_end = min(_lease_end(supplies.get(uid), promised) for uid in leases)
    if own <= lease_end:
        end = End(own, ReleaseCause.COMPLETED)
    else:
        end = End(lease_end, ReleaseCause.LEASE_ENDED)
    if end.at_ms <= promised.at_ms:
        is_now = end.at_ms == promised.at_ms and end.cause is ReleaseCause.LEASE_ENDED
        return promised if is_now else end
    uid = ClaimUID(claim.metadata.uid)
    stays = min(supplies[lease].stays_until(uid, allocation, end.at_ms) for lease in leases)
    if stays >= end.at_ms:
        return end
    at_ms = stays if stays > max(promised.at_ms, now_ms) else promised.at_ms
    cause = end_cause([supplies[lease].lease for lease in leases], at_ms)
    longer = at_ms > promised.at_ms or cause is ReleaseCause.MAINTENANCE
    return End(at_ms, cause) if longer else promised


def _class_end(
    claim: GpuClaim, allocation: Allocation, promised: End, offer: GpuClass | None
) -> Millis:
    """Return the latest end that the class allows; one that is gone or going allows no more than was promised."""
    if offer is None or offer.metadata.deletion_timestamp is not None:
        return promised.at_ms
    longest = offer.spec.max_duration_seconds
    if longest is None:
        return FOREVER
    return _after(claim, allocation, longest * MS_PER_SECOND)


def _lease_end(supply: LeaseSupply | None, promised: End) -> Millis:
    """Return the latest end that a lease allows.

    One that isn't there, or sells no more, allows no more than was promised; but a claim that runs as long as its
    lease does stays in when the lease is prolonged, unless a claim that can't be read may have been promised that.
    """
    if supply is None:
        return promised.at_ms
    lasts = promised.cause in (ReleaseCause.LEASE_ENDED, ReleaseCause.MAINTENANCE)
    if supply.is_open or (lasts and not supply.has_unread):
        return supply.ends_ms
    return min(supply.ends_ms, promised.at_ms)


def _after(claim: GpuClaim, allocation: Allocation, milliseconds: int) -> Millis:
    """Return an instant so long after the claim's window, or this term of it, begins."""
    start = claim.spec.schedule.start_time
    return Millis((start if start is not None else allocation.decided_time) + milliseconds)


def _leases(allocation: Allocation) -> list[LeaseUID]:
    return [LeaseUID(uid) for uid in sorted(allocation.lease_uids)]
