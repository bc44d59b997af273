"""What the GPU time of each claim cost us: a lease's used GPUs, at every instant shared out evenly among who has them. Pure.

Shares add up to what the landlord is owed for used GPUs and those beyond the commitment, exactly: the cost of one
GPU is integrated over time once, and each claim takes the difference between its end and its beginning.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from sublet.api.ids import ClaimUID, TenantUID
from sublet.api.times import MS_PER_HOUR, Millis
from sublet.rating.calendar import Span
from sublet.rating.model import LeaseState
from sublet.rating.money import Exchange
from sublet.rating.supply import Supply
from sublet.rating.wholesale import price_of


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


class _Reading(NamedTuple):
    cost: Fraction
    """Of one GPU since the span began."""
    covered: Fraction
    """Milliseconds."""


def portions(supply: Supply, span: Span, exchange: Exchange) -> Iterator[Portion]:
    """Yield what each reservation had of a lease in a span, in the order of lines; NoRate if its cost can't be converted."""
    currency, meter = _meter(supply, span, exchange)
    for interval, _, _ in supply.evidence.bound:
        begin = max(interval.start_ms, span.from_ms)
        end = min(span.to_ms if interval.end_ms is None else interval.end_ms, span.to_ms)
        if begin < end:
            yield Portion(
                tenant_uid=interval.tenant_uid,
                claim_uid=interval.claim_uid,
                sequence=interval.sequence,
                gpu_milliseconds=interval.gpus * (end - begin),
                covered=interval.gpus * (meter[end].covered - meter[begin].covered),
                currency=currency,
                cost=interval.gpus * (meter[end].cost - meter[begin].cost),
            )


def _meter(supply: Supply, span: Span, exchange: Exchange) -> tuple[str, dict[Millis, _Reading]]:
    """Return the currency, and what one bound GPU cost up to each instant at which anything changes."""
    cost, covered = Fraction(0), Fraction(0)
    currency, _ = exchange.convert(Fraction(0), supply.terms.currency, span.from_ms)
    readings = {span.from_ms: _Reading(cost, covered)}
    for each in supply.stretches(span, exchange.edges):
        if each.bound:
            own, over = (
                price_of(supply, each.price, s) for s in (LeaseState.USED, LeaseState.BEYOND)
            )
            hourly = _evenly(each.used, each.beyond, own, over)
            amount = hourly * each.milliseconds / MS_PER_HOUR
            cost += exchange.convert(amount, supply.terms.currency, each.from_ms)[1]
            covered += Fraction(each.used * each.milliseconds, each.bound)
        readings[each.to_ms] = _Reading(cost, covered)
    return currency, readings


def _evenly(used: int, beyond: int, own: Decimal, over: Decimal) -> Fraction:
    """Return what one of the bound GPUs costs for an hour."""
    if not beyond or own == over:
        return Fraction(own)
    return (used * Fraction(own) + beyond * Fraction(over)) / (used + beyond)
