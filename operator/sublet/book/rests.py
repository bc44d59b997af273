"""From when nodes that are given back should be free: while they rest as their leases ask for it, nothing hangs."""

from collections.abc import Callable, Iterable

from sublet.api.gpulease import GpuLease
from sublet.api.ids import LeaseUID
from sublet.api.relocation import PlacedNode
from sublet.api.times import MS_PER_SECOND, Millis


def rested_ms(
    places: Iterable[PlacedNode],
    began_ms: Millis,
    vacated_ms: Millis | None,
    lease_of: Callable[[LeaseUID], GpuLease | None],
) -> Millis:
    """Return when their rest is over, the longest of their leases for all; when it all began while pods may be there."""
    if vacated_ms is None:
        return began_ms
    leases = (lease_of(uid) for uid in {LeaseUID(p.lease_uid) for p in places})
    seconds = max((x.spec.term.quarantine_seconds for x in leases if x is not None), default=0)
    return Millis(vacated_ms + seconds * MS_PER_SECOND)
