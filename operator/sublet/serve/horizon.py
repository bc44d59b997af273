"""Up to when it is known that what the ledger holds open goes on. Pure.

A counter must not count what the ledger may yet end in the past: a silent cluster's claims may turn out to have ended when it
was last seen to work, a deleted claim's meter stops at its deletion. So an interval counts up to the last look at its
cluster that found it working, and never beyond the end that its claim already names.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from sublet.api.gpuclaim import GpuClaim
from sublet.api.ids import LeaseUID
from sublet.api.times import Millis
from sublet.ledger.entry import Fact
from sublet.serve.ports import Observed

_MARGIN_MS: Final = 2_000
"""Deletion counts in whole seconds, and is heard of a moment later."""


@dataclass(frozen=True, slots=True)
class Horizon:
    """How far everything may be counted now."""

    now_ms: Millis
    seen: dict[LeaseUID, Millis | None] = field(default_factory=dict)
    """When the cluster of each lease in memory was last seen to work; None: not yet, since this process began."""
    stops: dict[tuple[str, int], Millis] = field(default_factory=dict)
    """(claim UID, sequence) -> when its meter stopped, as the claim says"""

    def of_lease(self, uid: LeaseUID) -> Millis | None:
        """Return up to when a lease's GPUs are known; None if nobody knows yet. A lease that is gone changes no more."""
        latest = Millis(self.now_ms - _MARGIN_MS)
        seen = self.seen.get(uid, latest)
        return None if seen is None else min(seen, latest)

    def of_opening(self, fact: Fact) -> Millis | None:
        """Return up to when what a line opened is known to last; None if nobody knows yet.

        Of a lease that isn't in memory nobody does: one that is held and can't be read looks just like one that is gone.
        """
        seen = self.of_lease(fact.lease_uid) if fact.lease_uid in self.seen else None
        stop = self.stops.get((fact.claim_uid, fact.sequence))
        if seen is None or stop is None:
            return seen
        return min(seen, stop)


def horizon(observed: Observed, now_ms: Millis) -> Horizon:
    """Return how far everything may be counted, by what is in memory."""
    seen: dict[LeaseUID, Millis | None] = {}
    for lease in observed.leases():
        uid = LeaseUID(lease.metadata.uid)
        at_ms = observed.cluster(uid).seen_ms
        if lease.is_lost:
            at_ms = now_ms  # a person has said how it ended
        seen[uid] = at_ms if at_ms is not None else lease.status.last_seen_time
    return Horizon(now_ms, seen, _stops(observed.claims()))


def _stops(claims: Iterable[GpuClaim]) -> dict[tuple[str, int], Millis]:
    found: dict[tuple[str, int], Millis] = {}
    for claim in claims:
        uid, status = claim.metadata.uid, claim.status
        for left in status.leaving:
            found[uid, left.sequence] = left.release_time
        if status.release is not None:
            found[uid, status.release.sequence] = status.release.release_time
        elif claim.metadata.deletion_timestamp is not None and status.allocation is not None:
            found[uid, status.allocation.sequence] = claim.metadata.deletion_timestamp
    return found
