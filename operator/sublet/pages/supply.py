"""Supply and demand in time, as the leases' own status says them: steps of each lease, and their sum. Pure.

The operator writes what is now (`inventory`) and the next steps (`outlook`, at most 64 of each lease). What lies after
the last known step is taken to stay as it is.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from sublet.api.common import find_condition
from sublet.api.gpuclaim import GpuClaim
from sublet.api.gpulease import GpuLease
from sublet.api.times import Millis


class Counts(NamedTuple):
    """GPUs from one instant on."""

    committed: int = 0
    """By the contract."""
    sellable: int = 0
    """Claims can hold them."""
    held: int = 0
    """By claims: promised, reserved or bound."""
    free: int = 0

    def plus(self, other: "Counts") -> "Counts":
        """Return the sum."""
        return Counts(*(mine + its for mine, its in zip(self, other, strict=True)))


@dataclass(frozen=True, slots=True)
class Step:
    """Counts that hold from an instant until the next step's."""

    at_ms: Millis
    counts: Counts


@dataclass(frozen=True, slots=True)
class Line:
    """One lease, or all of them, in time. The first step is now."""

    name: str
    steps: tuple[Step, ...]

    def at(self, at_ms: Millis) -> Counts:
        """Return the counts at an instant; none before the first step."""
        place = bisect_right(self.steps, at_ms, key=lambda step: step.at_ms)
        return self.steps[place - 1].counts if place else Counts()

    def tightest(self, from_ms: Millis, to_ms: Millis) -> Step:
        """Return when least is free in a stretch of time, the first such instant."""
        inside = [step for step in self.steps if from_ms < step.at_ms < to_ms]
        return min([Step(from_ms, self.at(from_ms)), *inside], key=lambda step: step.counts.free)

    def until(self, to_ms: Millis) -> "Line":
        """Return the same without later steps."""
        return replace(self, steps=tuple(step for step in self.steps if step.at_ms < to_ms))


@dataclass(frozen=True, slots=True)
class Book:
    """What is shown: each lease, all of them, who waits, and for which time."""

    from_ms: Millis
    to_ms: Millis
    leases: tuple[Line, ...]
    all: Line
    waiting: tuple[GpuClaim, ...]


def make_book(
    leases: Iterable[GpuLease], claims: Iterable[GpuClaim], now_ms: Millis, to_ms: Millis
) -> Book:
    """Return the book of a time from now on."""
    lines = tuple(line_of(x, now_ms).until(to_ms) for x in leases)
    return Book(now_ms, to_ms, lines, sum_of(lines), tuple(waiting(claims)))


def line_of(lease: GpuLease, now_ms: Millis) -> Line:
    """Return a lease's steps; a lease that nobody has counted yet has one of nothing."""
    now, steps = lease.status.inventory, lease.status.outlook
    first = Counts()
    if now is not None:
        held = now.bound + now.reserved
        first = Counts(now.committed, held + now.free, held, now.free)
    coming = [
        Step(s.time, Counts(s.committed, s.sellable, s.reserved, s.free))
        for s in steps
        if s.time > now_ms
    ]
    return Line(lease.metadata.name, (Step(now_ms, first), *coming))


def sum_of(lines: Sequence[Line]) -> Line:
    """Return all leases together."""
    edges = sorted({step.at_ms for line in lines for step in line.steps})
    return Line("all", tuple(Step(at, _sum(line.at(at) for line in lines)) for at in edges))


def waiting(claims: Iterable[GpuClaim]) -> list[GpuClaim]:
    """Return the claims that want GPUs and have none, those first that are expected first."""
    found = [
        c
        for c in claims
        if c.status.pending is not None and not c.spec.suspended and not _has_ended(c)
    ]
    return sorted(found, key=lambda claim: (_expected_ms(claim), claim.metadata.key))


def _expected_ms(claim: GpuClaim) -> float:
    """Return when a waiting claim could begin, by the book; after all others if nobody knows."""
    pending = claim.status.pending
    return (pending.estimated_start_time if pending is not None else None) or float("inf")


def _has_ended(claim: GpuClaim) -> bool:
    ended = find_condition(claim.status.conditions, "Ended")
    return ended is not None and ended.status == "True"


def _sum(counts: Iterable[Counts]) -> Counts:
    total = Counts()
    for each in counts:
        total = total.plus(each)
    return total
