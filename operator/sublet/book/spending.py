"""What one tenant's claims cost from now on, and what is left of its budget in a period. Exact, in fractions.

Spend is the ledger's up to the instant when it was read; after that it is what the tenant's claims cost: bound ones from
then on, those that are being bound from their decision, promises from their start, each to its end. So what is left
doesn't change while nothing happens: what was needed becomes what was spent.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cached_property

from sublet.api.common import is_true
from sublet.api.gpuclaim import Allocation, GpuClaim
from sublet.api.gputenant import Budget
from sublet.api.move_status import end_there
from sublet.api.periods import period_end, period_start
from sublet.api.times import MS_PER_HOUR, Millis
from sublet.book.account import Account
from sublet.book.holdings import holds
from sublet.book.steps import FOREVER
from sublet.book.unread import UnreadHolder


@dataclass(frozen=True, slots=True)
class Cost:
    """What one claim costs while it lasts."""

    from_ms: Millis
    until_ms: Millis
    gpus: int
    per_gpu_hour: Decimal
    runs: bool
    """It is billed; what is reserved or promised isn't yet."""

    def inside(self, from_ms: Millis, until_ms: Millis) -> int:
        """Return the GPU-milliseconds in `[from_ms, until_ms)`."""
        return self.gpus * max(0, min(self.until_ms, until_ms) - max(self.from_ms, from_ms))


class Spending:
    """One tenant's money in the periods of its budget."""

    def __init__(
        self,
        budget: Budget,
        account: Account,
        claims: Sequence[GpuClaim],
        others: Sequence[Cost] = (),
    ) -> None:
        """Read what the tenant's claims cost; those priced in another currency are no part of its budget.

        `others`: what it pays for beside them.
        """
        self._budget = budget
        self._account = account
        self._claims = claims
        self._others = others
        self._left: dict[Millis, Fraction] = {}
        """period's start -> what is left of it, after what this pass gave"""
        self._kept: list[Cost] = []

    @cached_property
    def _costs(self) -> list[Cost]:
        """Return what the claims cost; only worked out where somebody asks for money."""
        currency = self._budget.currency
        own = (
            cost
            for claim in self._claims
            if (held := claim.status.allocation) is not None and held.currency == currency
            if (cost := _cost(claim, held)) is not None
        )
        return [*self._others, *own]

    def end_of(self, at_ms: Millis) -> Millis:
        """Return when the period that holds an instant is over."""
        return period_end(self._budget.period, at_ms) or FOREVER

    def left(self, at_ms: Millis) -> Fraction:
        """Return what is neither spent nor needed in the period that holds an instant; below 0 where too much is."""
        start = period_start(self._budget.period, at_ms)
        if start not in self._left:
            from_ms, until_ms = self._counted_from(start), self.end_of(at_ms)
            needed: Counter[Decimal] = Counter()
            for cost in self._costs:
                needed[cost.per_gpu_hour] += cost.inside(from_ms, until_ms)
            amount = Fraction(self._budget.amount)
            self._left[start] = amount - self._metered(start) - _money(needed)
        return self._left[start]

    def left_beside_kept(self, at_ms: Millis) -> Fraction:
        """Return what is left in the period that holds an instant, less what claims will need whose starts are kept."""
        from_ms = self._counted_from(period_start(self._budget.period, at_ms))
        needed: Counter[Decimal] = Counter()
        for cost in self._kept:
            needed[cost.per_gpu_hour] += cost.inside(from_ms, self.end_of(at_ms))
        return self.left(at_ms) - _money(needed)

    @property
    def keeps(self) -> bool:
        """Say whether any is kept."""
        return bool(self._kept)

    def keep(self, cost: Cost) -> None:
        """Note what a claim will cost whose start is kept: nothing that could begin now is refused for it."""
        self._kept.append(cost)

    def count(self, cost: Cost) -> None:
        """Take what this pass gave out of what is left, in each period that it reaches."""
        self._costs.append(cost)
        for start in self._left:
            inside = cost.inside(self._counted_from(start), self.end_of(start))
            self._left[start] -= _money({cost.per_gpu_hour: inside})

    def _counted_from(self, start: Millis) -> Millis:
        """Return from when on claims are counted in the period that begins then: before that the ledger is."""
        return max(start, self._account.as_of_ms)

    def exhausted_ms(self, now_ms: Millis) -> Millis | None:
        """Return when what was spent reaches the amount in the present period, None if it doesn't.

        Counts what is billed now, as if nothing else began; an instant that has passed says that it is spent.
        """
        start, end = period_start(self._budget.period, now_ms), self.end_of(now_ms)
        at_ms = Millis(max(start, self._account.as_of_ms))
        left = (Fraction(self._budget.amount) - self._metered(start)) * MS_PER_HOUR
        per_hour = Fraction(0)
        changes: dict[Millis, dict[Decimal, int]] = defaultdict(lambda: defaultdict(int))
        """instant -> price -> GPUs more from then on; whole numbers first, as there may be many claims"""
        changes[end] = {}
        for cost in self._costs:
            if cost.runs and at_ms < cost.until_ms and cost.from_ms < end:
                changes[max(cost.from_ms, at_ms)][cost.per_gpu_hour] += cost.gpus
                if cost.until_ms < end:
                    changes[cost.until_ms][cost.per_gpu_hour] -= cost.gpus
        for until_ms in sorted(changes):
            if left <= 0:
                break
            if per_hour * (until_ms - at_ms) >= left:
                return Millis(at_ms - int(-left // per_hour))
            left -= per_hour * (until_ms - at_ms)
            at_ms = until_ms
            per_hour += sum(Fraction(price) * gpus for price, gpus in changes[until_ms].items())
        return at_ms if left <= 0 else None

    def _metered(self, start: Millis) -> Fraction:
        """Return what the ledger says was spent in the period that begins then."""
        billed: Counter[Decimal] = Counter()
        for each in self._account.billed(start, self.end_of(start)):
            if each.currency == self._budget.currency:
                billed[each.per_gpu_hour] += each.gpu_milliseconds
        return _money(billed)


def _money(metered: Mapping[Decimal, int]) -> Fraction:
    """Return what GPU-milliseconds cost: price per GPU-hour -> GPU-milliseconds."""
    products = (Fraction(price) * amount for price, amount in metered.items())
    return sum(products, Fraction(0)) / MS_PER_HOUR


def unread_cost(each: UnreadHolder) -> Cost:
    """Return what a claim costs that is only held: its bill goes on, whatever its end was to be."""
    return Cost(each.from_ms, FOREVER, each.gpus, each.price, each.is_billed)


def _cost(claim: GpuClaim, held: Allocation) -> Cost | None:
    from_ms, until_ms = _billed(claim, held)
    if from_ms >= until_ms:
        return None
    runs = held.bound_time is not None
    return Cost(from_ms, until_ms, held.gpus, held.price_per_gpu_hour, runs)


def _billed(claim: GpuClaim, allocation: Allocation) -> tuple[Millis, Millis]:
    """Return from when to when an allocation is billed, or is expected to be."""
    # over moves: what was left behind cost the same
    release, bound = claim.status.release, allocation.since_time or allocation.bound_time
    nothing = (Millis(0), Millis(0))
    if release is not None and release.sequence == allocation.sequence:
        return (bound, release.release_time) if bound is not None else nothing
    if not holds(claim) or is_true(claim.status.conditions, "Releasing"):
        return nothing
    begin = bound
    if begin is None:
        begin = Millis(max(allocation.decided_time, claim.spec.schedule.start_time or 0))
    until = allocation.until_time if allocation.until_time is not None else FOREVER
    if (move := claim.status.move) is not None:
        there, _ = end_there(allocation, move)
        until = max(until, there if there is not None else FOREVER)
    return begin, until
