"""What one tenant's claims cost from now on, and what is left of its budget in a period. Exact, in fractions.

Spend is the ledger's up to the instant when it was read; after that it is what the tenant's claims cost: bound ones from
then on, those that are being bound from their decision, promises from their start, each to its end. So what is left
doesn't change while nothing happens: what was needed becomes what was spent.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction

from sublet.api.common import is_true
from sublet.api.gpuclaim import Allocation, GpuClaim
from sublet.api.gputenant import Budget
from sublet.api.periods import period_end, period_start
from sublet.api.times import MS_PER_HOUR, Millis
from sublet.book.account import Account
from sublet.book.holdings import holds
from sublet.book.steps import FOREVER


@dataclass(frozen=True, slots=True)
class Cost:
    """What one claim costs while it lasts."""

    from_ms: Millis
    until_ms: Millis
    per_ms: Fraction
    runs: bool
    """It is billed; what is reserved or promised isn't yet."""

    def inside(self, from_ms: Millis, until_ms: Millis) -> Fraction:
        """Return what it costs in `[from_ms, until_ms)`."""
        return self.per_ms * max(0, min(self.until_ms, until_ms) - max(self.from_ms, from_ms))


class Spending:
    """One tenant's money in the periods of its budget."""

    def __init__(self, budget: Budget, account: Account, claims: Iterable[GpuClaim]) -> None:
        """Read what the tenant's claims cost; those priced in another currency are no part of its budget."""
        self._budget = budget
        self._account = account
        self._costs = [
            cost
            for claim in claims
            for cost in _costs(claim)
            if claim.status.allocation is not None
            and claim.status.allocation.currency == budget.currency
        ]
        self._left: dict[Millis, Fraction] = {}
        """period's start -> what is left of it, after what this pass gave"""

    def end_of(self, at_ms: Millis) -> Millis:
        """Return when the period that holds an instant is over."""
        return period_end(self._budget.period, at_ms) or FOREVER

    def left(self, at_ms: Millis) -> Fraction:
        """Return what is neither spent nor needed in the period that holds an instant; below 0 where too much is."""
        start = period_start(self._budget.period, at_ms)
        if start not in self._left:
            from_ms = max(start, self._account.as_of_ms)
            costs = (c.inside(from_ms, self.end_of(at_ms)) for c in self._costs)
            needed = sum(costs, Fraction(0))
            self._left[start] = Fraction(self._budget.amount) - self._metered(start) - needed
        return self._left[start]

    def count(self, at_ms: Millis, amount: Fraction) -> None:
        """Take what this pass gave out of what is left of the period that holds an instant."""
        left = self.left(at_ms)
        self._left[period_start(self._budget.period, at_ms)] = left - amount

    def exhausted_ms(self, now_ms: Millis) -> Millis | None:
        """Return when what was spent reaches the amount in the present period, None if it doesn't.

        Counts what is billed now, as if nothing else began; an instant that has passed says that it is spent.
        """
        start, end = period_start(self._budget.period, now_ms), self.end_of(now_ms)
        at_ms = max(start, self._account.as_of_ms)
        left = Fraction(self._budget.amount) - self._metered(start)
        running = [c for c in self._costs if c.runs]
        edges = sorted({e for c in running for e in (c.from_ms, c.until_ms) if at_ms < e < end})
        for until_ms in (*edges, end):
            if left <= 0:
                break
            active = (c.per_ms for c in running if c.from_ms <= at_ms < c.until_ms)
            per_ms = sum(active, Fraction(0))
            if per_ms * (until_ms - at_ms) >= left:
                return Millis(at_ms - int(-left // per_ms))
            left -= per_ms * (until_ms - at_ms)
            at_ms = until_ms
        return at_ms if left <= 0 else None

    def _metered(self, start: Millis) -> Fraction:
        """Return what the ledger says was spent in the period that begins then."""
        if start != self._account.since_ms:
            return Fraction(0)
        mine = (m for m in self._account.metered if m.currency == self._budget.currency)
        return (
            sum((Fraction(m.per_gpu_hour) * m.gpu_milliseconds for m in mine), Fraction(0))
            / MS_PER_HOUR
        )


def _costs(claim: GpuClaim) -> Iterator[Cost]:
    allocation = claim.status.allocation
    if allocation is None:
        return
    from_ms, until_ms = _billed(claim, allocation)
    if from_ms < until_ms:
        per_hour = Fraction(allocation.price_per_gpu_hour) * allocation.gpus
        runs = allocation.bound_time is not None
        yield Cost(from_ms, until_ms, per_hour / MS_PER_HOUR, runs)


def _billed(claim: GpuClaim, allocation: Allocation) -> tuple[Millis, Millis]:
    """Return from when to when an allocation is billed, or is expected to be."""
    release, bound = claim.status.release, allocation.bound_time
    nothing = (Millis(0), Millis(0))
    if release is not None and release.sequence == allocation.sequence:
        return (bound, release.release_time) if bound is not None else nothing
    if not holds(claim) or is_true(claim.status.conditions, "Releasing"):
        return nothing
    begin = bound
    if begin is None:
        begin = Millis(max(allocation.decided_time, claim.spec.schedule.start_time or 0))
    return begin, allocation.until_time if allocation.until_time is not None else FOREVER
