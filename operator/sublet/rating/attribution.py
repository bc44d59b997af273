"""What the GPU time of each claim cost us: a lease's used GPUs, at every instant shared out evenly among who has them. Pure.

The cost of one GPU is integrated over time once, and each claim takes the difference between its end and its beginning. It is kept
in whole units so small that nobody sees one: exact thirds and sevenths of thousands of stretches would grow without end. What
doesn't divide is carried to the next stretch, and in the end to the last claim, so that shares add up to what
the landlord is owed for used GPUs and those beyond the commitment, exactly.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final, NamedTuple

from sublet.api.ids import ClaimUID, TenantUID
from sublet.api.times import MS_PER_HOUR, Millis
from sublet.rating.books import Lined
from sublet.rating.calendar import Span
from sublet.rating.model import LeaseState
from sublet.rating.money import Exchange, owed
from sublet.rating.supply import Supply
from sublet.rating.wholesale import price_of

_UNITS: Final = MS_PER_HOUR * 10**15
"""To one of a currency, or to one millisecond."""


@dataclass(frozen=True, slots=True)
class Portion:
    """GPU time that one reservation had of one lease, and what it cost us."""

    tenant_uid: TenantUID
    claim_uid: ClaimUID
    sequence: int
    gpu_milliseconds: int
    covered: Fraction
    """How many of these GPU-milliseconds the commitment covered."""
    currency: str
    cost: Fraction


class _Spread:
    """Shares amounts out evenly among so many, one after the other."""

    def __init__(self) -> None:
        self.each = 0
        """What one had that was there all the time, in units."""
        self._carry = Fraction(0)

    def add(self, amount: Fraction | int, among: int) -> None:
        """Share out one more."""
        share, self._carry = divmod(amount * _UNITS + self._carry, among)
        self.each += share

    @property
    def rest(self) -> Fraction:
        """Return what nobody was given."""
        return self._carry / _UNITS


class _Reading(NamedTuple):
    """Of one GPU since the span began, in units."""

    cost: int
    covered: int


def portions(supply: Supply, span: Span, exchange: Exchange) -> list[Portion]:
    """Return what each reservation had of a lease in a span, in the order of lines; NoRate if its cost can't be converted."""
    cost, covered = _Spread(), _Spread()
    currency, _ = exchange.convert(Fraction(0), supply.terms.currency, span.from_ms)
    meter = _meter(supply, span, exchange, (cost, covered))
    found = [
        Portion(
            tenant_uid=interval.tenant_uid,
            claim_uid=interval.claim_uid,
            sequence=interval.sequence,
            gpu_milliseconds=interval.gpus * (end - begin),
            covered=Fraction(interval.gpus * (meter[end].covered - meter[begin].covered), _UNITS),
            currency=currency,
            cost=Fraction(interval.gpus * (meter[end].cost - meter[begin].cost), _UNITS),
        )
        for (interval, _, _), begin, end in _within(supply, span)
    ]
    if found:
        last = found[-1]
        found[-1] = replace(last, cost=last.cost + cost.rest, covered=last.covered + covered.rest)
    return found


def _within(supply: Supply, span: Span) -> Iterator[tuple[Lined, Millis, Millis]]:
    """Yield what was bound within a span, with where it begins and ends there."""
    for lined in supply.evidence.bound:
        end_ms = lined.interval.end_ms
        begin = max(lined.interval.start_ms, span.from_ms)
        end = span.to_ms if end_ms is None else min(end_ms, span.to_ms)
        if begin < end:
            yield lined, begin, end


def _meter(
    supply: Supply, span: Span, exchange: Exchange, spreads: tuple[_Spread, _Spread]
) -> dict[Millis, _Reading]:
    """Return what one bound GPU cost up to each instant at which anything changes."""
    cost, covered = spreads
    readings = {span.from_ms: _Reading(0, 0)}
    for each in supply.stretches(span, exchange.edges):
        if each.bound:
            amount = owed(
                each.used * each.milliseconds, price_of(supply, each.price, LeaseState.USED)
            ) + owed(
                each.beyond * each.milliseconds, price_of(supply, each.price, LeaseState.BEYOND)
            )
            _, converted = exchange.convert(amount, supply.terms.currency, each.from_ms)
            cost.add(converted, each.bound)
            covered.add(each.used * each.milliseconds, each.bound)
        readings[each.to_ms] = _Reading(cost.each, covered.each)
    return readings
