"""Claims that hold GPUs and must give them back, or end at another time than written. Fixed points otherwise."""

from collections.abc import Mapping

from sublet.api.common import is_true
from sublet.api.gpuclaim import Allocation, GpuClaim, ReleaseCause
from sublet.api.gpulease import GpuLease
from sublet.api.ids import ClaimUID, LeaseUID
from sublet.api.times import MS_PER_SECOND, Millis
from sublet.book.decisions import Extend, Take
from sublet.book.holdings import FOREVER


def review(
    claim: GpuClaim, allocation: Allocation, leases: Mapping[LeaseUID, GpuLease], now_ms: Millis
) -> Take | Extend | None:
    """Return what a claim that holds GPUs needs: its release, another end, or nothing."""
    if is_true(claim.status.conditions, "Releasing"):
        return None
    uid = ClaimUID(claim.metadata.uid)
    until, cause = end_of_held(claim, allocation, leases)
    endings: list[tuple[Millis, ReleaseCause]] = []
    if until is not None and cause is not None and until <= now_ms:
        endings.append((until, cause))
    if claim.metadata.deletion_timestamp is not None:
        endings.append((claim.metadata.deletion_timestamp, ReleaseCause.DELETED))
    if claim.spec.suspended:
        endings.append((now_ms, ReleaseCause.SUSPENDED))
    if endings:
        at_ms, why = min(endings, key=lambda e: e[0])
        # a deletionTimestamp has whole seconds and may lie before boundTime: an interval is never negative
        begun = (
            allocation.bound_time if allocation.bound_time is not None else allocation.decided_time
        )
        return Take(uid, why, Millis(max(at_ms, begun)))
    if (until, cause) != (allocation.until_time, allocation.until_cause):
        return Extend(uid, until, cause)
    return None


def end_of_held(
    claim: GpuClaim, allocation: Allocation, leases: Mapping[LeaseUID, GpuLease]
) -> tuple[Millis | None, ReleaseCause | None]:
    """Return when a claim ends by what spec and leases say now; never past a lease, never past the class's limit."""
    duration = claim.spec.schedule.duration_seconds
    if duration is not None:
        own = Millis(allocation.decided_time + duration * MS_PER_SECOND)
    elif allocation.until_cause is ReleaseCause.COMPLETED and allocation.until_time is not None:
        own = allocation.until_time
    else:
        own = FOREVER
    ends = [_lease_end(leases.get(LeaseUID(p.lease_uid))) for p in allocation.placements]
    lease_end = min((e for e in ends if e is not None), default=FOREVER)
    end = min(own, lease_end)
    if end == FOREVER:
        return None, None
    return end, ReleaseCause.COMPLETED if own <= lease_end else ReleaseCause.LEASE_ENDED


def _lease_end(lease: GpuLease | None) -> Millis | None:
    return lease.spec.term.last_usable_ms() if lease is not None else None
