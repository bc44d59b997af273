"""Tenants that the platform team has suspended: whoever holds GPUs for them gives them back, promises too.

A switch and no limit, so there is no notice. The claims wait and come back when the tenant does.
"""

from collections.abc import Iterable, Iterator

from sublet.api.common import is_true
from sublet.api.gpuclaim import GpuClaim
from sublet.api.gputenant import GpuTenant
from sublet.api.relocation import ReleaseCause
from sublet.api.times import Millis
from sublet.book.decisions import Take
from sublet.book.expiry import outlived, promised_end, take_if_due


def stops(
    holders: Iterable[GpuClaim], tenants: Iterable[GpuTenant], now_ms: Millis
) -> Iterator[Take]:
    """Yield the releases of suspended tenants' claims; one that is over or deleted anyway has that cause."""
    suspended = {t.metadata.uid for t in tenants if t.spec.suspended}
    for claim in holders if suspended else ():
        allocation = claim.status.allocation
        if allocation is None or allocation.tenant_uid not in suspended:
            continue
        if not is_true(claim.status.conditions, "Releasing"):
            end = outlived(promised_end(allocation), claim.status.move)
            cause = ReleaseCause.TENANT_SUSPENDED
            taken = take_if_due(claim, allocation, end, now_ms, also=cause)
            if taken is not None:
                yield taken
