"""From recorded object state to the audit trail: every person's word and every binding decision. Level-triggered, pure.

The same state gives the same records, whose ids are the same too, so that a replay writes nothing. Where an object doesn't record when something was
said (an approval, `forceRelease`, `releaseOrphans`) the instant is that of the first look. What was withdrawn before anybody looked is in the
API server's own audit log only.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, Final

from sublet.api.approval import APPROVED, approved_gpus, approver
from sublet.api.common import Status, find_condition
from sublet.api.gpuclaim import GpuClaim
from sublet.api.gpulease import GpuLease
from sublet.api.gputenant import GpuTenant
from sublet.api.relocation import PlacedNode, ReleaseCause
from sublet.api.times import Millis, format_instant
from sublet.ledger.audit import OPERATOR, AuditRecord

_MOST_NODES: Final = 64
"""That one record names."""


def audit_of(claim: GpuClaim, now_ms: Millis) -> list[AuditRecord]:
    """Return every record that a claim's recorded state calls for."""
    return [
        *_claim_words(claim, now_ms),
        *_adopted("GpuClaim", claim),
        *_left(claim),
        *_bound(claim),
        *_preempted(claim),
        *_moves(claim),
        *_released(claim),
    ]


def lease_audit(lease: GpuLease, now_ms: Millis) -> list[AuditRecord]:
    """Return every record that a lease's recorded state calls for."""
    meta = lease.metadata
    its = {"lease_uid": meta.uid, "lease": lease.spec.tenant_alias}
    found = [_record("GpuLease", lease, "adopt", **its, **x) for x in _adoption(lease)]
    if (lost := lease.status.lost) is not None:
        said = find_condition(lease.status.conditions, "Lost")
        at_ms = said.last_transition_time if said and said.status is Status.TRUE else lost.time
        after = f"lost since {format_instant(lost.time)}; meters stop at {format_instant(lost.meter_time)}"
        found.append(
            _record("GpuLease", lease, "lost", who=lost.by, after=after, at_ms=at_ms, **its)
        )
    for uid in lease.spec.release_orphans:
        what = {"key": uid, "before": f"held by claim {uid}", "after": "taken back"}
        found.append(
            _record("GpuLease", lease, "releaseOrphans", who="", at_ms=now_ms, **its, **what)
        )
    return found


def tenant_audit(tenant: GpuTenant) -> list[AuditRecord]:
    """Return every record that a tenant's recorded state calls for."""
    return list(_adopted("GpuTenant", tenant))


def _claim_words(claim: GpuClaim, now_ms: Millis) -> Iterator[AuditRecord]:
    if gpus := approved_gpus(claim):
        what = {
            "key": claim.metadata.annotations[APPROVED],
            "after": f"up to {gpus} GPUs of {claim.spec.class_name}",
        }
        yield _record("GpuClaim", claim, "approve", who=approver(claim), at_ms=now_ms, **what)
    word = claim.spec.force_release
    if word is not None and word.claim_uid in (claim.metadata.uid, claim.metadata.own_uid):
        what = {"key": word.claim_uid, "after": "the release waits for no cluster any longer"}
        yield _record("GpuClaim", claim, "forceRelease", who=word.by or "", at_ms=now_ms, **what)


def _bound(claim: GpuClaim) -> Iterator[AuditRecord]:
    allocation = claim.status.allocation
    if allocation is None or allocation.bound_time is None:
        return
    asked = f"asked for by {allocation.requested_by}" if allocation.requested_by else ""
    for lease, nodes in _by_lease(allocation.placements).items():
        yield _decided(
            claim,
            "bind",
            lease,
            key=str(allocation.sequence),
            after=nodes,
            reason=asked,
            at_ms=allocation.bound_time,
        )


def _released(claim: GpuClaim) -> Iterator[AuditRecord]:
    allocation, release = claim.status.allocation, claim.status.release
    if allocation is None or release is None or release.sequence != allocation.sequence:
        return
    for lease, nodes in _by_lease(allocation.placements).items():
        yield _decided(
            claim,
            "release",
            lease,
            key=str(release.sequence),
            before=nodes,
            reason=release.cause.value,
            at_ms=release.release_time,
        )


def _preempted(claim: GpuClaim) -> Iterator[AuditRecord]:
    allocation = claim.status.allocation
    if allocation is None or allocation.until_cause is not ReleaseCause.PREEMPTED:
        return
    until, said = allocation.until_time, find_condition(claim.status.conditions, "Expiring")
    if until is None:
        return
    told = said.last_transition_time if said and said.status is Status.TRUE else until
    for lease, nodes in _by_lease(allocation.placements).items():
        yield _decided(
            claim,
            "preempt",
            lease,
            key=f"{allocation.sequence} {until}",
            before=nodes,
            after=f"taken back at {format_instant(until)}",
            reason="for a claim of higher priority",
            at_ms=told,
        )


def _moves(claim: GpuClaim) -> Iterator[AuditRecord]:
    allocation, move = claim.status.allocation, claim.status.move
    if allocation is None or move is None:
        return
    old, new = _by_lease(allocation.placements), _by_lease(move.placements)
    for lease in sorted({*old, *new}):
        yield _decided(
            claim,
            "move",
            lease,
            key=str(move.sequence),
            before=old.get(lease, ""),
            after=new.get(lease, ""),
            reason=move.cause.value,
            at_ms=move.decided_time,
        )


def _left(claim: GpuClaim) -> Iterator[AuditRecord]:
    for left in claim.status.leaving:
        for lease, nodes in _by_lease(left.placements).items():
            yield _decided(
                claim,
                "leave",
                lease,
                key=str(left.sequence),
                before=nodes,
                reason=left.cause.value,
                at_ms=left.release_time,
            )


def _adopted(kind: str, item: Any) -> Iterator[AuditRecord]:
    for fields in _adoption(item):
        yield _record(kind, item, "adopt", **fields)


def _adoption(item: Any) -> Iterator[dict[str, Any]]:
    origin = item.status.origin
    if origin is not None and origin.adopted_time is not None:
        yield {
            "who": origin.adopted_by or "",
            "key": item.metadata.own_uid,
            "before": f"uid {item.metadata.own_uid}",
            "after": f"uid {origin.uid}",
            "reason": f"restored from a backup of {format_instant(origin.backup_time)}",
            "at_ms": origin.adopted_time,
        }


def _decided(claim: GpuClaim, what: str, lease: tuple[str, str], **fields: Any) -> AuditRecord:
    where = {"lease_uid": lease[0], "lease": lease[1]}
    return _record("GpuClaim", claim, what, who=OPERATOR, **where, **fields)


def _record(kind: str, item: Any, what: str, **fields: Any) -> AuditRecord:
    """Return a record of an object; what isn't given is empty."""
    meta = item.metadata
    empty = dict.fromkeys(("lease_uid", "lease", "key", "before", "after", "reason"), "")
    its = {"kind": kind, "subject_uid": meta.uid, "subject": str(meta.key)}
    return AuditRecord(what=what, **{**its, **empty, **fields})


def _by_lease(placements: Iterable[PlacedNode]) -> dict[tuple[str, str], str]:
    """Return (lease UID, alias) -> the GPUs and nodes that are there."""
    found: dict[tuple[str, str], list[PlacedNode]] = defaultdict(list)
    for place in placements:
        found[place.lease_uid, place.lease].append(place)
    return {lease: _nodes(found[lease]) for lease in sorted(found)}


def _nodes(places: list[PlacedNode]) -> str:
    names = sorted(p.node for p in places)
    more = f" and {len(names) - _MOST_NODES} more" if len(names) > _MOST_NODES else ""
    return f"{sum(p.gpus for p in places)} GPUs on {', '.join(names[:_MOST_NODES])}{more}"
