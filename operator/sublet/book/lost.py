"""Leases whose cluster counts as lost, by a person's word: their claims end, their meters at the last confirmed instant.

The word takes effect in the lease's status (`sublet.hub.writer`), written before anything follows from it. From then on
the lease is no supply: nothing is sold under it again, and what was promised on it is looked for elsewhere. A claim
ends although some of its nodes may be elsewhere: it was given all of them or nothing. One that has other nodes ready
beside the lost ones comes to those instead.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from sublet.api.common import is_true
from sublet.api.gpuclaim import Allocation, GpuClaim
from sublet.api.gpulease import GpuLease
from sublet.api.ids import ClaimUID
from sublet.api.relocation import Move, PlacedNode, ReleaseCause
from sublet.api.times import Millis
from sublet.book.decisions import CutOver, Decision, Take
from sublet.book.expiry import is_lost_move, promised_end, take_if_due
from sublet.book.suspension import stops
from sublet.book.view import View


def living(leases: Iterable[GpuLease]) -> list[GpuLease]:
    """Return the leases that are not lost."""
    return [lease for lease in leases if not lease.is_lost]


def lost_uids(leases: Iterable[GpuLease]) -> frozenset[str]:
    """Return the UIDs of the leases that are lost; one that is merely not there isn't."""
    return frozenset(lease.metadata.uid for lease in leases if lease.is_lost)


def astray(holders: Iterable[GpuClaim], leases: Iterable[GpuLease]) -> set[ClaimUID]:
    """Return the claims on their way to a lost lease: they come nowhere until that is given up."""
    lost = lost_uids(leases)
    moving = ((c.metadata.uid, c.status.move) for c in holders) if lost else ()
    return {ClaimUID(uid) for uid, move in moving if move is not None and is_lost_move(move, lost)}


def meter_ends(leases: Iterable[GpuLease]) -> dict[str, Millis]:
    """Return the leases that are lost, by UID, and until when GPUs of each are known to have worked."""
    return {x.metadata.uid: x.status.lost.meter_time for x in leases if x.status.lost is not None}


def last_words(holders: Sequence[GpuClaim], view: View) -> Iterator[Decision]:
    """Yield what persons' words decide before all else: suspended tenants' claims, and those on lost leases."""
    stopped = list(stops(holders, view.tenants, view.now_ms))
    over = list(ends(holders, view.leases, view.now_ms))
    # of two words about one claim the one that stops its meter first counts; lost nodes are billed no longer for a stop
    ended: dict[ClaimUID, Take | CutOver] = {d.claim_uid: d for d in over}
    for decision in stopped:
        other = ended.get(decision.claim_uid)
        if other is None or (isinstance(other, Take) and decision.release_ms <= other.release_ms):
            ended[decision.claim_uid] = decision
    yield from ended.values()


def ends(
    holders: Iterable[GpuClaim], leases: Iterable[GpuLease], now_ms: Millis
) -> Iterator[Take | CutOver]:
    """Yield the ends of bound claims on lost leases, and cutovers to nodes that are ready elsewhere."""
    lost = meter_ends(leases)
    for claim in holders if lost else ():
        allocation = claim.status.allocation
        if allocation is None or allocation.bound_time is None:
            continue  # nothing was handed over: what is promised or being bound is looked for elsewhere
        stopped = _lost_at(allocation.placements, lost)
        if stopped is None or is_true(claim.status.conditions, "Releasing"):
            continue
        yield _saved(claim, claim.status.move, lost, stopped) or _taken(
            claim, allocation, stopped, now_ms
        )


def _lost_at(places: Iterable[PlacedNode], lost: dict[str, Millis]) -> Millis | None:
    """Return the first instant at which one of these nodes was lost, None if none is."""
    return min((lost[p.lease_uid] for p in places if p.lease_uid in lost), default=None)


def _saved(
    claim: GpuClaim, move: Move | None, lost: dict[str, Millis], stopped: Millis
) -> CutOver | None:
    """Return the cutover of a claim that has other nodes ready; the lost ones are billed no longer than they worked."""
    if claim.metadata.deletion_timestamp is not None or claim.spec.suspended:
        return None
    if move is None or move.abandoned or move.ready_time is None or is_lost_move(move, lost):
        return None
    uid = ClaimUID(claim.metadata.uid)
    return CutOver(uid, Millis(max(stopped, move.ready_time)), left_ms=stopped)


def _taken(claim: GpuClaim, allocation: Allocation, stopped: Millis, now_ms: Millis) -> Take:
    """Return the claim's end: by the loss, or by what ended it before; a person has said that nothing runs there, so nobody is told first."""
    before = take_if_due(claim, allocation, promised_end(allocation), now_ms)
    at_ms = Millis(max(stopped, allocation.bound_time or stopped))
    if before is not None and before.release_ms <= at_ms:
        return replace(before, told_ms=None)
    return Take(ClaimUID(claim.metadata.uid), ReleaseCause.LEASE_LOST, at_ms)
