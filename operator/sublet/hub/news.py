"""From recorded object state to notices for the outbox: a claim's end that it didn't choose, a lease's end. Level-triggered, pure.

The conditions are what tenants and the platform team read; Events on them live for an hour, a notice for ever.
"""

from collections.abc import Mapping
from typing import Final

from sublet.api.common import Condition, Status, find_condition
from sublet.api.gpuclaim import GpuClaim
from sublet.api.gpulease import GpuLease
from sublet.api.times import Millis, format_instant
from sublet.book.notices import STAGES
from sublet.ledger.notice import News

_BEFORE: Final[Mapping[str, int]] = {reason: before for before, reason in STAGES}
"""reason of a stage -> milliseconds before the end"""


def claim_news(claim: GpuClaim) -> list[News]:
    """Return what a claim is told of its end, once per stage."""
    said, allocation = _expiring(claim.status.conditions), claim.status.allocation
    if said is None or allocation is None:
        return []
    meta, until = claim.metadata, allocation.until_time
    data = {"claim": str(meta.key), "reason": said.reason, "message": said.message}
    at_ms = said.last_transition_time
    if until is not None:
        data["untilTime"] = format_instant(until)
        # the condition keeps its instant from one stage to the next
        at_ms = Millis(max(at_ms, until - _BEFORE.get(said.reason, until)))
    return [News("claim.ending", meta.uid, at_ms, data)]


def lease_news(lease: GpuLease) -> list[News]:
    """Return that a lease ends soon, once for each end."""
    said, end = _expiring(lease.status.conditions), lease.spec.term.end_time
    if said is None or end is None:
        return []
    data = {"lease": lease.metadata.name, "endTime": format_instant(end), "message": said.message}
    return [News("lease.ending", lease.metadata.uid, said.last_transition_time, data)]


def _expiring(conditions: tuple[Condition, ...]) -> Condition | None:
    found = find_condition(conditions, "Expiring")
    return found if found is not None and found.status is Status.TRUE else None
