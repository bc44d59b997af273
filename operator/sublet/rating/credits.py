"""What a tenant is given back for GPUs that it had and that were known not to work. Pure.

A claim's downtimes that overlap or touch are one incident. One longer than the grace is credited from its beginning, in the
tenant's billing period in which it ended: lost GPU time x price x creditPercent, all of a month together at most maxPercent of
what the claim costs in it; earlier incidents come first. Each downtime of an incident is a credit of its own, over its own
time, however the grid is cut: it stands beside the evidence. One that lasts isn't credited yet.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Final

from sublet.api.ids import ClaimUID
from sublet.api.times import MS_PER_SECOND, Millis
from sublet.rating.books import Lined
from sublet.rating.calendar import Span
from sublet.rating.gpu_time import cost_of, time_charges
from sublet.rating.grid import Cells, until
from sublet.rating.model import Category, Charge
from sublet.rating.money import Money, plus
from sublet.rating.rounding import rounding_charges
from sublet.rating.runs import end_of, runs_of
from sublet.rating.tenancy import Tenancy

_PERCENT: Final = Fraction(1, 100)
_NOTHING: Final = Fraction(0)


def credit_charges(
    tenancy: Tenancy, claim_uid: ClaimUID, span: Span, as_of_ms: Millis
) -> Iterator[Charge]:
    """Yield the credits of one claim for incidents that ended within a span, nothing after `as_of_ms`."""
    past = until(span, as_of_ms)
    downs = _while_bound(
        tenancy.holdings.down.get(claim_uid, ()), tenancy.holdings.bound.get(claim_uid, ())
    )
    caps: dict[str, Money] = {}  # month -> currency -> what may still be given back
    for incident in runs_of(downs):
        end = end_of(incident)
        if end is None or end > past.to_ms:
            continue
        month = tenancy.month_at(Millis(end - 1))
        for lined, gross, percent in _gross(tenancy, incident):
            if month not in caps:
                costs = _costs(tenancy, claim_uid, month, as_of_ms)
                caps[month] = {currency: cost * percent for currency, cost in costs.items()}
            _, currency = tenancy.price_of(lined.interval)
            amount = min(gross, caps[month].get(currency, _NOTHING))
            caps[month] = plus(caps[month], currency, -amount)
            if amount and end > past.from_ms:
                begins = tenancy.month_span(month).from_ms
                start = max(lined.interval.start_ms, begins)
                within = Span(start, max(lined.interval.end_ms or end, start))
                yield tenancy.charge(lined, Category.CREDIT, within, listed=-amount, amount=-amount)


def _gross(
    tenancy: Tenancy, incident: Sequence[Lined]
) -> Iterator[tuple[Lined, Fraction, Fraction]]:
    """Yield each downtime of an incident that counts, what it is worth, and the part of a month's cost that may be given back."""
    begin, end = min(x.interval.start_ms for x in incident), end_of(incident) or Millis(0)
    agreed = tenancy.agreed(max(incident, key=lambda x: x.interval.sequence).interval)
    if (
        agreed is None
        or agreed.sla is None
        or end - begin <= agreed.sla.grace_seconds * MS_PER_SECOND
    ):
        return
    for lined in incident:
        cost = cost_of(tenancy, [lined], Span(begin, end))
        yield lined, cost * agreed.sla.credit_percent * _PERCENT, agreed.sla.max_percent * _PERCENT


def _costs(tenancy: Tenancy, claim_uid: ClaimUID, month: str, as_of_ms: Millis) -> Money:
    """Return what a claim costs in a month before credits."""
    cells = Cells([until(tenancy.month_span(month), as_of_ms)])
    bound = tenancy.holdings.bound.get(claim_uid, ())
    cancelled = tenancy.holdings.cancelled.get(claim_uid, ())
    found = (
        *time_charges(tenancy, bound, Category.USE, cells),
        *time_charges(tenancy, cancelled, Category.CANCELLED, cells),
        *rounding_charges(tenancy, bound, cells),
    )
    costs: Money = {}
    for charge in found:
        costs = plus(costs, charge.currency, charge.amount)
    return costs


def _while_bound(downs: Iterable[Lined], bound: Iterable[Lined]) -> Iterator[Lined]:
    """Yield downtimes as far as the claim had the GPUs: what it hadn't it isn't credited for."""
    held = {(x.interval.sequence, x.interval.lease_uid): x.interval for x in bound}
    for lined in downs:
        down = lined.interval
        had = held.get((down.sequence, down.lease_uid))
        if had is None:
            continue
        start = max(down.start_ms, had.start_ms)
        ends = [x for x in (down.end_ms, had.end_ms) if x is not None]
        end = min(ends) if ends else None
        if end is None or start < end:
            gpus = min(down.gpus, had.gpus)
            # a line of downtime says why under its price hash: what it is worth is what the GPUs cost
            worth = replace(down, start_ms=start, end_ms=end, gpus=gpus, price_hash=had.price_hash)
            yield lined._replace(interval=worth)
