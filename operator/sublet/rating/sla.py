"""What a landlord owes for GPUs that weren't there or didn't work: incidents of a lease, from evidence in the ledger. Pure.

An incident is a stretch without a gap in which GPUs were lost: committed and not there by the marks of capacity, or
handed over and known to be down; one that is both is one. Maintenance that was agreed excuses what it takes away. One longer than
the contract's grace counts, from its beginning, at perGpuHour, whether the GPU was bound or not. Each month (of the lease's cut) bears its part
of an incident, and gives back at most maxPercent of its own bill; earlier incidents come first. Disputed time proves nothing by
itself: it is listed beside. What the contract promised when an incident began holds for all of it.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, NamedTuple

from sublet.api.billing import LeaseSla
from sublet.api.ids import LeaseUID
from sublet.api.times import MS_PER_SECOND, Millis
from sublet.rating.books import Books
from sublet.rating.calendar import Span, month_at, month_span
from sublet.rating.grid import Grid
from sublet.rating.money import owed
from sublet.rating.supply import Stretch, Supply, supply_of
from sublet.rating.uses import extras
from sublet.rating.wholesale import cells

MS_PER_DAY: Final = 86_400_000


class Share(NamedTuple):
    """One month's part of an incident."""

    month: str
    """Year and month."""
    gpu_milliseconds: int
    gross: Fraction
    """Lost GPU time x price x creditPercent."""
    amount: Fraction
    """What is owed of it: the gross amount, as far as the month's cap goes."""


@dataclass(slots=True)
class _Month:
    """What a month's incidents give back together."""

    bill: Fraction
    given: Fraction = Fraction(0)


@dataclass(frozen=True, slots=True)
class Incident:
    """Lost GPU time of one lease, and what the landlord owes for it."""

    lease_uid: LeaseUID
    from_ms: Millis
    to_ms: Millis
    """Where it ended; while it lasts, up to when it was looked at."""
    is_over: bool
    gpu_milliseconds: int
    disputed_gpu_milliseconds: int
    """GPU time within it in which the cluster didn't answer; not part of what is lost."""
    shares: tuple[Share, ...]
    """By month; they add up to the whole."""
    currency: str
    deadline_ms: Millis | None
    """When it must be claimed at the latest; None while it lasts, or if the contract promises nothing."""
    first_seq: int
    last_seq: int
    """The ledger's lines that show it lie between these."""
    head: str
    """The hash of the chain's last line when it was rated."""

    @property
    def amount(self) -> Fraction:
        """Return what the landlord owes; of one that lasts, so far."""
        return sum((s.amount for s in self.shares), Fraction(0))


@dataclass(frozen=True, slots=True)
class Dispute:
    """GPU time in which the cluster didn't answer: for people to argue about, never downtime by itself."""

    lease_uid: LeaseUID
    from_ms: Millis
    to_ms: Millis
    gpu_milliseconds: int
    first_seq: int
    last_seq: int


def incidents_of(books: Books, lease_uid: LeaseUID, span: Span, as_of_ms: Millis) -> list[Incident]:
    """Return the incidents of one lease that a span touches, in the order of time; NoTerms if it isn't known."""
    return incidents(supply_of(books, lease_uid), span, as_of_ms, books.head)


def incidents(supply: Supply, span: Span, as_of_ms: Millis, head: str) -> list[Incident]:
    """Return the incidents that a span touches; the whole past is read, since earlier ones use up a month's cap."""
    runs = [run for run in _runs(supply, as_of_ms) if _counts(supply, run, as_of_ms)]
    seqs = _lines(supply, runs)
    months: dict[str, _Month] = {}
    found = [
        _incident(supply, run, months, (as_of_ms, head), lines)
        for run, lines in zip(runs, seqs, strict=True)
    ]
    return [x for x in found if x.from_ms < span.to_ms and x.to_ms > span.from_ms]


def disputes_of(books: Books, lease_uid: LeaseUID, span: Span, as_of_ms: Millis) -> list[Dispute]:
    """Return the disputed time of one lease within a span, by line; NoTerms if the lease isn't known."""
    found = []
    for interval, first, last in supply_of(books, lease_uid).evidence.disputed:
        begin = max(interval.start_ms, span.from_ms)
        end = min(interval.end_ms or as_of_ms, span.to_ms, as_of_ms)
        if begin < end:
            gpu_milliseconds = interval.gpus * (end - begin)
            found.append(Dispute(lease_uid, begin, end, gpu_milliseconds, first, last))
    return sorted(found, key=lambda x: (x.from_ms, x.first_seq))


def _runs(supply: Supply, as_of_ms: Millis) -> Iterator[list[Stretch]]:
    """Yield the stretches of each incident; one that lasts ends one millisecond after `as_of_ms`."""
    run: list[Stretch] = []
    for each in supply.stretches(Span(supply.begins_ms, Millis(as_of_ms + 1))):
        if each.lost:
            run.append(each)
        elif run:
            yield run
            run = []
    if run:
        yield run


def _counts(supply: Supply, run: Sequence[Stretch], as_of_ms: Millis) -> bool:
    """Say whether a stretch in which GPUs were lost is longer than the grace."""
    sla = supply.sla.at(run[0].from_ms)
    grace_ms = sla.grace_seconds * MS_PER_SECOND if sla else 0
    return min(run[-1].to_ms, as_of_ms) - run[0].from_ms > grace_ms


def _incident(
    supply: Supply,
    run: Sequence[Stretch],
    months: dict[str, _Month],
    seen: tuple[Millis, str],
    lines: tuple[int, int],
) -> Incident:
    (as_of_ms, head), sla = seen, supply.sla.at(run[0].from_ms)
    is_over = run[-1].to_ms <= as_of_ms
    end = min(run[-1].to_ms, as_of_ms)
    within = Span(run[0].from_ms, end)
    stretches = list(supply.stretches(within, _months(supply, within)))
    deadline = Millis(end + sla.claim_within_days * MS_PER_DAY) if sla and is_over else None
    return Incident(
        lease_uid=supply.lease_uid,
        from_ms=within.from_ms,
        to_ms=end,
        is_over=is_over,
        gpu_milliseconds=sum(x.lost * x.milliseconds for x in stretches),
        disputed_gpu_milliseconds=sum(x.disputed * x.milliseconds for x in stretches),
        shares=tuple(_shares(supply, stretches, months, (sla, as_of_ms))),
        currency=supply.terms.currency,
        deadline_ms=deadline,
        first_seq=lines[0],
        last_seq=lines[1],
        head=head,
    )


def _shares(
    supply: Supply,
    stretches: Sequence[Stretch],
    months: dict[str, _Month],
    by: tuple[LeaseSla | None, Millis],
) -> Iterator[Share]:
    sla, as_of_ms = by
    percent, most = (sla.credit_percent, sla.max_percent) if sla else (0, 0)
    lost: dict[str, int] = defaultdict(int)  # month -> GPU-milliseconds
    gross: dict[str, Fraction] = defaultdict(Fraction)
    for each in stretches:
        month = month_at(supply.terms.billing, each.from_ms)
        quantity = each.lost * each.milliseconds
        lost[month] += quantity
        gross[month] += owed(quantity, each.price.per_gpu_hour) * Fraction(percent, 100)
    for month, quantity in lost.items():
        if month not in months:
            months[month] = _Month(_bill(supply, month, as_of_ms))
        cap = months[month].bill * Fraction(most, 100)
        amount = min(gross[month], max(cap - months[month].given, Fraction(0)))
        months[month].given += amount
        yield Share(month, quantity, gross[month], amount)


def _bill(supply: Supply, month: str, as_of_ms: Millis) -> Fraction:
    """Return what the landlord is owed for a month."""
    span = month_span(supply.terms.billing, month)
    bill = sum((c.amount for c in cells(supply, span, Grid.NONE, as_of_ms)), Fraction(0))
    return bill + sum((x.amount for x in extras(supply, span, as_of_ms)), Fraction(0))


def _months(supply: Supply, within: Span) -> list[Millis]:
    """Return where months begin within a span."""
    found, at = [], within.from_ms
    while at < within.to_ms:
        at = month_span(supply.terms.billing, month_at(supply.terms.billing, at)).to_ms
        found.append(at)
    return found


def _lines(supply: Supply, runs: Sequence[Sequence[Stretch]]) -> list[tuple[int, int]]:
    """Return for each of some incidents, in order and disjoint, the first and the last line that show it."""
    marks, downs = supply.marks, supply.evidence.down
    marked = [mark.at_ms for mark in marks]
    found: list[set[int]] = [
        {
            marks[bisect_right(marked, x.from_ms) - 1].seq
            for x in run
            if x.available is not None and x.available < x.committed
        }
        for run in runs
    ]
    ends = [run[-1].to_ms for run in runs]
    for interval, first, last in downs:
        index = bisect_right(ends, interval.start_ms)
        while index < len(runs) and _reaches(interval.end_ms, runs[index][0].from_ms):
            found[index] |= {first, last}
            index += 1
    return [(min(seqs), max(seqs)) for seqs in found]


def _reaches(end_ms: Millis | None, at_ms: Millis) -> bool:
    return end_ms is None or end_ms > at_ms
