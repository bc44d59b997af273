"""Prices that follow their class's dated ones: what a claim pays now, and whether that is more than it said that it pays.

`maxPricePerGpuHour` bounds the price at reservation. A price that rises above it later takes nothing from anybody: the
claim is told by its condition PriceExceeded, goes on and pays it, since giving it up is its tenant's decision.
"""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from itertools import pairwise
from typing import Final

from sublet.api.common import Status, find_condition, is_true
from sublet.api.dated import holding, in_order
from sublet.api.gpuclaim import Allocation, GpuClaim
from sublet.api.gpuclass import GpuClass, Pricing, SellPrice
from sublet.api.ids import ClaimUID
from sublet.api.times import Millis, format_instant
from sublet.book.decisions import Dearer

ABOVE: Final = "AboveMaxPrice"
WITHIN: Final = "WithinMaxPrice"
Prices = Mapping[str, tuple[SellPrice, ...]]
"""class UID -> its dated prices, in the order of time"""


def dated_prices(classes: Iterable[GpuClass]) -> Prices:
    """Return the prices that floating claims follow."""
    return {each.metadata.uid: in_order(each.spec.prices) for each in classes}


def price_now(held: Allocation, prices: Prices, at_ms: Millis) -> Decimal:
    """Return what a claim pays for a GPU-hour at an instant; the price at its reservation where its class isn't there."""
    return next(iter(steps(held, prices, at_ms, Millis(at_ms + 1))))[2]


def steps(
    held: Allocation, prices: Prices, from_ms: Millis, until_ms: Millis
) -> Iterator[tuple[Millis, Millis, Decimal]]:
    """Yield from when to when a claim pays which price inside `[from_ms, until_ms)`; once, if that is empty."""
    dated = prices.get(held.class_uid, ()) if held.pricing is Pricing.FLOATING else ()
    begun = holding(dated, from_ms)
    price = begun.per_gpu_hour if begun is not None else held.price_per_gpu_hour
    later = [p for p in dated if from_ms < p.effective_time < until_ms]
    cuts = [from_ms, *(p.effective_time for p in later), until_ms]
    levels = [price, *(p.per_gpu_hour for p in later)]
    for (begin, end), level in zip(pairwise(cuts), levels, strict=True):
        yield begin, end, level


def dearer_than_said(
    claim: GpuClaim, held: Allocation, prices: Prices, now_ms: Millis
) -> Dearer | None:
    """Return what a bound claim with a floating price is to be told of it and wasn't yet."""
    if held.pricing is not Pricing.FLOATING or held.class_uid not in prices:
        return None
    if not is_true(claim.status.conditions, "Bound"):
        return None
    limit, price = claim.spec.max_price_per_gpu_hour, price_now(held, prices, now_ms)
    is_above = limit is not None and price > limit
    message = _words(held, price, limit, prices, now_ms) if limit is not None and is_above else ""
    said = find_condition(claim.status.conditions, "PriceExceeded")
    was = said.message if said is not None and said.status is Status.TRUE else ""
    if message == was:
        return None
    return Dearer(ClaimUID(claim.metadata.uid), ABOVE if is_above else WITHIN, message)


def _words(held: Allocation, price: Decimal, limit: Decimal, prices: Prices, now_ms: Millis) -> str:
    begun = (p.effective_time for p in prices[held.class_uid] if p.effective_time <= now_ms)
    since = max(begun, default=held.decided_time)
    return (
        f"the price of class {held.class_name} follows its dated prices and is {price:f} {held.currency} per GPU-hour "
        f"since {format_instant(since)}, above maxPricePerGpuHour {limit:f}; the claim goes on at that price, suspend "
        "or delete it if it shouldn't"
    )
