"""What a lease's GPUs cost in one instant: used ones, unused ones, and those beyond the commitment, each at its price. Pure.

Beside the cost stands what the same GPUs would cost if all or none of the committed ones were used: between the two
lies the share that must be sold to break even.
"""

from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal

from sublet.api.gpulease import GpuLease
from sublet.api.lease_terms import CommitmentMode
from sublet.api.rating import Rate
from sublet.api.times import Millis
from sublet.book.contract import terms_at


@dataclass(slots=True)
class Bill:
    """GPUs, or GPU-milliseconds, by what they cost."""

    bought: Counter[Rate] = field(default_factory=Counter)
    if_sold: Counter[Rate] = field(default_factory=Counter)
    """The same quantity if all that is committed were used."""
    if_unsold: Counter[Rate] = field(default_factory=Counter)
    """The same quantity if nothing that is committed were used."""

    def add(self, other: "Bill", times: int) -> None:
        """Add what stands for so many milliseconds."""
        for mine, theirs in (
            (self.bought, other.bought),
            (self.if_sold, other.if_sold),
            (self.if_unsold, other.if_unsold),
        ):
            for rate, quantity in theirs.items():
                mine[rate] += quantity * times


def bill_at(lease: GpuLease, committed: int, used: int, at_ms: Millis) -> Bill:
    """Return what is owed per hour while so many GPUs are committed and used."""
    price, currency = terms_at(lease, at_ms), lease.spec.currency
    within, idle, beyond = min(committed, used), max(0, committed - used), max(0, used - committed)

    def rate(amount: Decimal | None) -> Rate:
        return Rate(price.per_gpu_hour if amount is None else amount, currency)

    own, over = rate(None), rate(price.overage_per_gpu_hour)
    holding = own if price.holding_per_gpu_hour is None else rate(price.holding_per_gpu_hour)
    takes_or_pays = lease.spec.commitment.mode is CommitmentMode.TAKE_OR_PAY
    if price.holding_per_gpu_hour is None and not takes_or_pays:
        idle, holding = 0, own  # what isn't used isn't bought
    found = Bill(bought=Counter({own: within}))
    found.bought[holding] += idle
    found.if_sold[own] += within + idle
    found.if_unsold[holding] += within + idle
    for each in (found.bought, found.if_sold, found.if_unsold):
        each[over] += beyond
    return found
