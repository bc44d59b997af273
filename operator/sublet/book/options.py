"""Options of a lease to commit more GPUs: which are open, which lapsed, which were exercised and when that was seen. Pure.

An exercised option is commitment like any phase. One that isn't is no supply, only something to be told of while it can
still be exercised. Nobody but the operator knows when `exercised` was set, so it keeps when it first saw that.
"""

from collections.abc import Iterable

from sublet.api.gpuclaim import GpuClaim
from sublet.api.gpuclass import GpuClass
from sublet.api.gpulease import ExercisedOption, GpuLease
from sublet.api.lease_terms import Option
from sublet.api.pending import PendingReason
from sublet.api.times import Millis


def open_options(lease: GpuLease, at_ms: Millis) -> list[Option]:
    """Return what can still be exercised at an instant, what lapses first in front."""
    found = [o for o in lease.spec.commitment.options if not o.exercised]
    return sorted(
        (o for o in found if at_ms < o.exercise_by_time), key=lambda o: o.exercise_by_time
    )


def seen_exercised(lease: GpuLease, now_ms: Millis) -> tuple[ExercisedOption, ...]:
    """Return when each exercised option was first seen to be; of a lease that is new it is taken to be in time.

    The status has each instant once, or it could never be written.
    """
    known = {e.start_time: e for e in lease.status.exercised_options}
    is_new = lease.status.observed_generation == 0
    lapses: dict[Millis, Millis] = {}  # start -> when the first option with that start lapses
    for each in lease.spec.commitment.options:
        if each.exercised:
            lapse = each.exercise_by_time
            lapses[each.start_time] = min(lapse, lapses.get(each.start_time, lapse))
    return tuple(
        known.get(start)
        or ExercisedOption(start_time=start, seen_time=min(now_ms, lapse) if is_new else now_ms)
        for start, lapse in lapses.items()
    )


def exercised_late(lease: GpuLease, seen: Iterable[ExercisedOption]) -> list[Option]:
    """Return the options that were seen exercised only after they had lapsed."""
    by_start = {e.start_time: e.seen_time for e in seen}
    return [
        o
        for o in lease.spec.commitment.options
        if o.exercised and by_start.get(o.start_time, 0) > o.exercise_by_time
    ]


def next_lapse_ms(lease: GpuLease, now_ms: Millis) -> Millis | None:
    """Return when the next open option lapses."""
    found = open_options(lease, now_ms)
    return found[0].exercise_by_time if found else None


def waiting_gpus(lease: GpuLease, claims: Iterable[GpuClaim], classes: Iterable[GpuClass]) -> int:
    """Return the GPUs that waiting claims ask for and that this lease's product would serve."""
    names = {c.metadata.name for c in classes if set(c.spec.products) & set(lease.spec.products)}
    waits = PendingReason.WAITING_FOR_CAPACITY
    return sum(
        c.spec.gpus
        for c in claims
        if c.spec.class_name in names and c.status.pending and c.status.pending.reason is waits
    )
