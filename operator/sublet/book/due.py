"""When to look again if nothing happens: the next instant at which the same objects would be decided differently."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping

from sublet.api.common import is_true
from sublet.api.gpuclaim import Allocation, GpuClaim
from sublet.api.ids import ClaimUID
from sublet.api.times import MS_PER_SECOND, Millis
from sublet.book.budget import Budgets
from sublet.book.clocks import clock_due
from sublet.book.decisions import Decision, Extend, Refuse, Reserve, Warn
from sublet.book.demand import Demand
from sublet.book.holdings import RELEASE_MS
from sublet.book.notices import notice_dues
from sublet.book.relocation import relocation_dues
from sublet.book.silence import silence_dues, silent_since
from sublet.book.steps import FOREVER
from sublet.book.view import View


def next_due(
    view: View,
    holders: Iterable[GpuClaim],
    waiting: Iterable[Demand],
    decisions: Iterable[Decision],
    leaving: Mapping[ClaimUID, Millis],
    budgets: Budgets,
) -> Millis | None:
    """Return the first instant after now at which anything begins, ends, or becomes too short for a claim that waits."""
    dues = _Dues(view, leaving, {d.claim_uid for d in decisions if isinstance(d, Warn)})
    ends: list[Millis | None] = [at for claim in holders for at in dues.of(claim)]
    ends += [d.until_ms for d in decisions if isinstance(d, Reserve | Extend)]
    # quotes are answered anew in their own turn
    blocked = (d for d in decisions if isinstance(d, Refuse) and d.position is not None)
    ends += [offer.end_time for refuse in blocked for offer in refuse.offers]
    for demand in waiting:
        if demand.claim.spec.schedule.start_time is not None:
            ends += [demand.start_ms, demand.own_end_ms]
    ends += [each.until_ms for each in view.unread]
    steps = sorted({*_steps(view), *_taken_from(view, holders, decisions)})
    moving = _moving_ends(view.now_ms, waiting) | budgets.moving_ends
    instants = [*ends, *steps, *_crossings(view.now_ms, moving, steps), *budgets.due()]
    ahead = (at for at in instants if at is not None and view.now_ms < at < FOREVER)
    return min(ahead, default=None)


class _Dues:
    """The instants at which something is decided for a claim that holds GPUs; each is looked at once, since there are many."""

    def __init__(
        self, view: View, leaving: Mapping[ClaimUID, Millis], warned: set[ClaimUID]
    ) -> None:
        self._leaving, self._warned = leaving, warned
        self._inventories = view.inventories
        self._classes = {c.metadata.name: c for c in view.classes}
        self._silent_since = silent_since(view.leases)
        self._rests = {x.metadata.uid: x.spec.term.quarantine_seconds * MS_PER_SECOND for x in view.leases}  # fmt: skip
        """lease UID -> milliseconds that its nodes rest between claims"""

    def of(self, claim: GpuClaim) -> Iterator[Millis | None]:
        """Yield a claim's instants; None is none."""
        allocation = claim.status.allocation
        if allocation is None:
            return
        yield allocation.until_time
        yield clock_due(claim, allocation)
        yield from notice_dues(claim)
        yield from relocation_dues(claim, allocation, self._classes.get, self._inventories)
        if self._silent_since:
            yield from silence_dues(claim, self._silent_since)
        if (start := claim.spec.schedule.start_time) is not None:
            yield from self._around(start, ClaimUID(claim.metadata.uid), allocation)
        if is_true(claim.status.conditions, "Releasing"):
            yield self._leaving.get(ClaimUID(claim.metadata.uid))
        for left in claim.status.leaving:  # its nodes should be free, with the rest of their leases
            since = left.vacated_time or left.release_time
            for uid in {p.lease_uid for p in left.placements}:
                yield Millis(since + RELEASE_MS + self._rests.get(uid, 0))

    def _around(self, start: Millis, uid: ClaimUID, allocation: Allocation) -> Iterator[Millis]:
        yield start
        if uid in self._warned:  # shortly before it nothing more is said of a promise that is short
            yield Millis(start - RELEASE_MS)
        if allocation.is_ahead:  # and shortly after it nodes may still be left by others
            yield Millis(start + RELEASE_MS)


def _steps(view: View) -> list[Millis]:
    """Return the instants at which leases and classes change by themselves, in order."""
    found: set[Millis] = set()
    for lease in view.leases:
        term, last = lease.spec.term, lease.spec.term.last_usable_ms()
        found |= {term.start_time, *((last,) if last is not None else ())}
        found |= set(lease.spec.commitment.edges())
        found |= {p.effective_time for p in lease.spec.prices}
        found |= {at for w in lease.spec.maintenance for at in (w.start_time, w.end_time)}
    found |= {p.effective_time for c in view.classes for p in c.spec.prices}
    return sorted(found)


def _taken_from(
    view: View, holders: Iterable[GpuClaim], decisions: Iterable[Decision]
) -> Iterator[Millis]:
    """Yield the instants to come from which promises, and the shadows of blocked claims, take room, or count for a quota."""
    starts = [c.spec.schedule.start_time for c in holders]
    starts += [d.estimated_ms for d in decisions if isinstance(d, Refuse)]
    starts += [each.from_ms for each in view.unread]
    yield from (at for at in starts if at is not None and at > view.now_ms)


def _crossings(now_ms: Millis, moving: set[Millis], steps: list[Millis]) -> Iterator[Millis]:
    """Yield when an end that moves while a claim waits will pass a step: its lease is too short from then on."""
    for own_end in moving:
        index = bisect_left(steps, own_end)
        if index < len(steps):
            yield Millis(now_ms + steps[index] - own_end + 1)


def _moving_ends(now_ms: Millis, waiting: Iterable[Demand]) -> set[Millis]:
    """Return the ends of claims that would begin now; a window of its own doesn't move while a claim waits.

    A demand may have been read in an earlier pass: what it has is how long it lasts.
    """
    moving = (d for d in waiting if d.claim.spec.schedule.start_time is None)
    lasting = {d.own_end_ms - d.begin_ms for d in moving if d.own_end_ms < FOREVER}
    return {Millis(now_ms + milliseconds) for milliseconds in lasting}
