"""Maintenance windows: capacity that a lease has and doesn't sell. Pure.

A window concerns what is sold after it was announced. Claims that are in, and promises, keep what they have: the GPUs
in a window are the commitment less what is away, and what is held counts against that. A claim without a duration of
its own is placed up to a window only where no lease has room beyond it (`stops`); it is told that end, and waits again
after it.
"""

from collections.abc import Iterable
from itertools import pairwise

from sublet.api.gpulease import GpuLease
from sublet.api.lease_terms import Maintenance
from sublet.api.relocation import ReleaseCause
from sublet.api.times import Millis, format_instant
from sublet.book.contract import commitment_changes, committed_at


def away_at(lease: GpuLease, at_ms: Millis, missing: int = 0) -> int:
    """Return the committed GPUs that aren't for sale at an instant because of maintenance.

    `missing`: GPUs that are committed and weren't delivered; those that go away are of the others.
    """
    windows = [w for w in lease.spec.maintenance if w.start_time <= at_ms < w.end_time]
    if not windows:
        return 0
    committed = committed_at(lease, at_ms)
    if any(w.gpus is None for w in windows):
        return committed
    return min(committed, missing + sum(w.gpus or 0 for w in windows))


def taken_away(lease: GpuLease, missing: int = 0) -> list[tuple[Millis, Millis, int]]:
    """Return (from, until, GPUs) of all that maintenance takes out of sale, in order and disjoint."""
    if not lease.spec.maintenance:
        return []
    edges = {at for w in lease.spec.maintenance for at in (w.start_time, w.end_time)}
    edges |= {at for at, _ in commitment_changes(lease)}
    found = ((begin, end, away_at(lease, begin, missing)) for begin, end in pairwise(sorted(edges)))
    return [each for each in found if each[2]]


def end_cause(leases: Iterable[GpuLease], at_ms: Millis) -> ReleaseCause:
    """Return what keeps a claim from going on at an instant: maintenance, or else the end of its lease's capacity."""
    stops = any(_at(lease, at_ms) for lease in leases)
    return ReleaseCause.MAINTENANCE if stops else ReleaseCause.LEASE_ENDED


def windows_text(leases: Iterable[GpuLease], from_ms: Millis, until_ms: Millis) -> str:
    """Return the first window that overlaps a time, for a refusal's message; empty if none does."""
    windows = (w for lease in leases for w in lease.spec.maintenance)
    overlapping = [w for w in windows if w.start_time < until_ms and from_ms < w.end_time]
    if not overlapping:
        return ""
    first = min(overlapping, key=lambda w: (w.start_time, w.end_time))
    span = f"from {format_instant(first.start_time)} to {format_instant(first.end_time)}"
    return f"; maintenance takes GPUs away {span}"


def _at(lease: GpuLease, at_ms: Millis) -> Maintenance | None:
    windows = lease.spec.maintenance
    return next((w for w in windows if w.start_time <= at_ms < w.end_time), None)
